// Package transport joins two machines: one UDP socket that carries QUIC, STUN,
// path probes, hello probes and the relay's framing, and on it authenticated
// connections to servers and to peers (docs/spec/50-transport.md).
//
// An [Endpoint] owns the socket. [Endpoint.DialServer] reaches a server by the
// key in its address; [Endpoint.Connect] and [Endpoint.Accept] reach peers:
// through a relay at once, directly as soon as a direct path is proven.
//
// Everything that arrives is told apart by its first byte (RFC 9443):
//
//	0..3        STUN
//	4..15       relay framing, of a leg of ours or for [Config.Forward]
//	0x10..0x3f  path probes and hello probes
//	0x40..0xff  QUIC
//
// QUIC knows a peer's paths by virtual addresses, one for each (peer, slot):
// slot 0 is the relay leg, slot 1 the direct path. The socket layer translates
// them, so that a connection migrates with QUIC's own means and no address of a
// relay frame ever enters QUIC.
//
// The package is the only importer of quic-go.
package transport
