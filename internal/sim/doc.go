// Package sim runs whole networks of the real code (clients, relays and
// rendezvous) in virtual time, breaks them in every way that one seed chooses,
// and holds what persons saw against the laws of package sim/history.
//
// One world is one process with one GOMAXPROCS, in one testing/synctest bubble.
// Its network is quic-go's simnet with NATs, delay, loss, reordering, bandwidth
// and partitions; its disks take time, lose what was not synced, tear writes, fill up
// and fail; its clients are killed at any transaction, also soon after they started,
// moved to other networks, put to sleep, restored from backups, and given wrong
// clocks (but none restores under a clock that is behind that of its restore before:
// spec §2.6 says what comes of that); its servers are killed and started again. The laws are the same in all
// worlds, and some have more in them:
//
//   - seed%4 == 0: one server's operator lies. Its relay drops, repeats, delays,
//     reorders and changes mail, its rendezvous hides, exchanges and changes records
//     (adversary_test.go).
//   - seed%4 == 2: one contact of everybody's is a cheat, with a program of its own
//     made of the real handshake, ratchet and connections, over which it says what it
//     likes: its messages doubled, held back, reordered and changed, names, numbers,
//     epochs and clocks that are not its own, acknowledgements of what never came,
//     edits and deletions of others' messages, old states and prekeys, junk
//     (cheat_test.go, lies_test.go).
//   - seed%7 == 5: devices are lost, and others begin from backups later.
//   - seed%5 == 0: all databases are SQLite's.
//   - seed%3 == 1: at times somebody is alone with the servers: what a relay holds
//     must arrive without its sender.
//
// Where they are SQLite's the databases of persons and relays are the programs' own,
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
