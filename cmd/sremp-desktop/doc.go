// The sremp-desktop command is the messenger in a window. It needs GTK 4 and is
// built with the tag gtk; without the tag it says so and ends.
// docs/desktop.md describes it.
package main
