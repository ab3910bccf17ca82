// Package present is the desktop without the toolkit: it turns the client's
// events into view states, and a person's actions into the client's commands.
// Package desktop draws the states with GTK and does nothing else.
//
// A [Window] is owned by the main loop: its methods are called there only. Slow
// work runs on goroutines of its own; results come back through one function,
// post, and are dropped when the window is gone. A [View] is a value: one that
// was handed out is never written to again.
package present
