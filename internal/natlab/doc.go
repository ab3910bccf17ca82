// Package natlab builds networks with real kernel NATs in network namespaces:
//
//	host ── router ──┐
//	                 ├── internet
//	host ── router ──┘
//
// A [World] has routers of every [Kind], in any arrangement, and a [Forwarder]
// between them that delays, loses and shows packets. Each kind is proven by a
// classification like RFC 5780's.
//
// It needs the rights of root over its own user namespace (see [Enter]) and the
// nft command. Namespaces have no names: they and all in them end with the
// process, however it ends.
package natlab
