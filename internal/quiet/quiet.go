// Package quiet keeps the libraries of a command from asking the terminal at
// start. The terminal's interface asks for the background's colour while the
// program is being initialised, whatever its command, and what a person has typed
// by then is lost to the search for the answer; a terminal that has none holds the
// command up for seconds. Nothing here depends on the colour.
//
// That library asks no terminal where the environment names a build machine, so
// for the time of the initialisation it does. This package imports the standard
// library alone, and so comes before those that import others (The Go Programming
// Language Specification, Program initialization); main's own comes last, and
// calls [End].
package quiet

import "os"

const variable = "CI"

var before, had = os.LookupEnv(variable)

func init() {
	if before == "" {
		os.Setenv(variable, "true") // fails for impossible names only
	}
}

// End gives the environment back as it was.
func End() {
	if had {
		os.Setenv(variable, before)
	} else {
		os.Unsetenv(variable)
	}
}
