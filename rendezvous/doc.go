// Package rendezvous is the phone book (docs/spec/70-rendezvous.md): a [Server]
// keeps sealed records under blinded keys and introduces two peers who are both
// connected; a [Client] registers, looks up, introduces and is introduced.
//
// A record stands under a key derived from its owner's identity, a lookup secret
// and the day. The server can check that only the owner writes it, and learns
// neither who that is nor where. No address of a client is ever in a record.
//
// What the server decides lives in core, without I/O; the server itself owns the
// connections and the clock.
package rendezvous
