//go:build !gtk

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "sremp-desktop: this program was built without its window; build it with: make desktop")
	os.Exit(exitUsage)
}
