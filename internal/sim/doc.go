// Package sim runs whole networks of the real code (clients, relays and
// rendezvous) in virtual time, breaks them in every way that one seed chooses,
// and holds what persons saw against the laws of package sim/history.
//
// One world is one process with one GOMAXPROCS, in one testing/synctest bubble.
// Its network is quic-go's simnet with NATs, delay, loss, reordering, bandwidth
// and partitions; its disks lose what was not synced, tear writes, fill up and
// fail; its clients are killed at any transaction, moved to other networks, put
// to sleep, restored from backups, and given wrong clocks; its servers are killed
// and started again. In every fourth world one server's operator lies: its relay
// drops, repeats, delays, reorders and changes mail, and its rendezvous hides,
// exchanges and changes records; the laws stay.
//
// In every fifth world the databases of persons and relays are the programs' own,
// of SQLite, on disks of package faults: the power fails at any write or sync, of
// what was not synced any part is lost, the last write torn; they fill up and they
// fail. The pragmas are the programs', except that a client has one connection
// that locks its file for itself, and a relay's connections share a cache: these
// disks have no shared memory. In the other worlds persons have a journal of this
// package's on a modelled disk, which costs less, and relays files that lose
// nothing. A rendezvous keeps nothing that clients do not renew.
//
//	go test ./internal/sim -run TestSeed -seed N     # one seed again, with its history
//	make sim SEEDS=200                               # many, of a day each, on all cores
//
// All of a world that is this package's own follows from the seed. quic-go and
// TLS draw from the same global source (testing/cryptotest), but the scheduler is
// not seeded: a run again has the same people, places and accidents, and packets
// that differ in time; TestReplay measures how often it goes the same way. So a
// world that breaks a law prints its whole history.
//
// It has no code outside its tests.
package sim
