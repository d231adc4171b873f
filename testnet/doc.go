// Package testnet makes, runs and watches a ledger on one machine: the homes of
// validators, bridge and devices under one folder, the processes of them on
// loopback, and what an outsider can check: the same app hash at every height,
// and what a kill -9 of any of them leaves behind.
//
// A folder made by Generate holds
//
//	mtm.json              the manifest: what there is, where it listens
//	trust.json            the trust root that certificates are checked against
//	organisation/key.pem  the admin key of the one organisation (mode 0600)
//	validators/N/         a node home (package app/node)
//	bridge/key.pem        the bridge's key (mode 0600); its spool stands beside it
//	devices/NAME/         a device: key.pem (mode 0600) and its store
//	run/                  process ids and logs of running processes
//
// The commands of cmd/mtm work on such a folder, so a demo home, a single
// validator and a testnet look the same.
package testnet
