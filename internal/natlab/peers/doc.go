// Package peers holds no code. In its directories are programs, each a module of
// its own, that do in the laboratory what sremp does, with the libraries that a
// user could pick instead: command rivals runs them.
//
// All speak one language. The arguments say what the program is; it prints lines
// to standard output:
//
//	address TEXT  a server is there, and where
//	ready NAME    a peer is connected to its servers and has found out all that
//	              it can before it knows of somebody to reach
//	EVENT NANOS   what happened when, as Unix nanoseconds: begun (the dial),
//	              relay (connected through a relay), message (the first from
//	              the other side), direct
//
// A peer reads one line, "dial NAME", or waits for the other.
package peers
