// Package desktop draws the messenger's window with GTK 4 and does nothing else:
// what is shown comes from package present as values, what a person does goes
// there as method calls. It is compiled with the build tag gtk; this file exists
// so that the package exists without it.
//
// All of it runs on GTK's main loop. The one way in from other goroutines is the
// post function that [Run] gives to the presenter.
package desktop
