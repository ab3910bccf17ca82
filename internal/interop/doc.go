// Package interop holds a second implementation of docs/spec, in JavaScript for
// Node, which was written from that text alone and shares no line and no library
// with the Go code. Its tests read the vectors that the Go tests wrote, and
// complete with them identity verification, an invite, a handshake of each
// pattern, a prekey agreement, a knock, a ratchet exchange, what relays sign and
// forward, a registration and an introduction through a rendezvous, and path probes:
// they open every message, and make it again from the same keys, byte for byte.
//
// Where it needs something that the spec does not say, the spec is mended:
// nobody reads the Go code to write the decoder.
//
// decoder is the implementation, test its tests; npm ci, which make test runs,
// installs its libraries.
package interop
