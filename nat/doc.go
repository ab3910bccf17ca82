// Package nat finds a direct path between two peers behind NATs
// (docs/spec/55-nat.md): candidates, STUN, and the sealed probes of the path
// search.
//
// The [Agent] is a state machine without I/O: packets and the time go in,
// packets, the validated path and the next deadline come out. It owns no
// socket, clock, goroutine or lock, so a test can run it against any network
// and at any speed. Package transport drives it.
package nat
