// Package natlab builds networks with real kernel NATs in network namespaces:
//
//	home 1 ── router 1 ──┐
//	                     ├── internet (11.0.0.1)
//	home 2 ── router 2 ──┘
//
// Home N is 192.168.N.2 behind 192.168.N.1; its router is 11.0.N.2 outside. The
// routers do what Linux homes do: they masquerade, keep ports where they can,
// and drop what comes from outside unasked.
//
// That is a [Lab], for the demonstration. A [World] has routers of every [Kind],
// in any arrangement, and a [Forwarder] between them that delays, loses and
// shows packets. Each kind is proven by a classification like RFC 5780's.
//
// It needs the rights of root over its own user namespace (see [Enter]) and the
// nft command. Namespaces have no names: they and all in them end with the
// process, however it ends.
package natlab
