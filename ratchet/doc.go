// Package ratchet encrypts messages between two devices: a prekey agreement of
// PQXDH's shape, then Signal's Double Ratchet with header encryption and sparse
// post-quantum steps (docs/spec/40-ratchet.md). Their keys take the place of
// zeros at the end of a plaintext: a caller that pads with zeros to fixed sizes
// gets them, at no byte more.
//
// A [Peer] is all state with one remote device. [Peer.Encrypt] and
// [Peer.Decrypt] change it in memory only. The caller must persist
// [Peer.MarshalBinary] before the message leaves the machine, and before it acts
// on a plaintext: a state that goes back in time would use a message key twice.
// A call that returns an error has changed nothing.
//
// The package does no I/O, takes no lock, starts no goroutine and reads no
// clock. Its values hold secrets and never print them.
package ratchet
