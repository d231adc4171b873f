// Package archtest holds the import rules of the project as a test, each with its reason,
// and checks that every package says what it is for.
package archtest
