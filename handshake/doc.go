// Package handshake authenticates a QUIC connection with Noise
// (docs/spec/30-handshake.md): XX between peers that meet, IK between peers that
// know each other, NX towards a server.
//
// QUIC encrypts, Noise authenticates. The TLS exporter is part of the prologue,
// so that somebody who terminates TLS in the middle has a different prologue on
// each leg, and no message passes.
//
// A [Handshake] does no I/O: it says whose turn it is, gives a message to send,
// or takes one that was received. Any error is final.
//
//	XX                 IK                       NX
//	-> e               -> e, es, s, ss          -> e
//	<- e,ee,s,es {R}   <- e, ee, se {R}         <- e, ee, s, es {certificate}
//	-> s,se {R}        -> confirmation {R}      -> confirmation
//
// {R} is the sender's identity record. A side has authenticated the other when
// its [Handshake.Turn] is Done, and not before.
package handshake
