// Package fleet holds the test of several machines' worth of servers, as processes
// on one: relays and rendezvous of one key on one PostgreSQL with a synchronous
// standby, any of which is killed under load (docs/self-hosting.md). It has no code
// of its own.
package fleet
