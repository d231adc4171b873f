// Package simtest is a ledger without consensus for tests: a memory store of records and
// log, a cast of organisations, bridges, devices and streams with keys that follow from
// their names, and a chain that makes blocks of transactions.
//
//	c := simtest.New(t, simtest.Config{Organisations: 2, Devices: 3, Streams: 1})
//	s := c.Streams[0]
//	b := c.Block(c.Batch(s.Next(2)))
//	b.Results[0].Code // ledger.CodeOK
//
// Everything is deterministic: the same calls give the same bytes. A failure of a helper
// ends the test.
package simtest
