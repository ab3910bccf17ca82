package shell_test

import (
	"fmt"
	"log"
	"os"

	"github.com/sremp/sremp/desktop/shell"
)

// What is remembered of a window, and what a new profile begins with.
func ExampleLoadState() {
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		log.Panic(err)
	}
	defer os.RemoveAll(dir)
	fmt.Println(shell.LoadState(dir, shell.State{Background: true}).Background)
	// Output: true
}
