// Package peers times the ratchet of this repository against others, in turns
// in one process. It is a module of its own, so that nobody who builds the
// programs downloads them.
//
//	scripts/bench.sh
//
// go.mau.fi/libsignal is measured as it is shipped, where every message formats
// texts that its logger then drops, and with a logger that does nothing, in a copy
// that the script makes. libsignal's own Rust code is measured
// through its package for Node, which the script installs in a temporary
// directory if npm serves it; see node/bench.mjs for what is taken off.
package peers
