package storetest_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/storetest"
)

// TestStore is all that another engine's tests need. Here it is the store in
// memory that must pass.
func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) rendezvous.Store { return new(rendezvous.MemoryStore) })
}

func Example() {
	defer quietly()()
	passed := testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestStore", F: TestStore}})
	fmt.Println(passed)
	// Output: true
}

// quietly keeps go test -v from printing into the example's output.
func quietly() (restore func()) {
	verbose := flag.Lookup("test.v")
	before := verbose.Value.String()
	verbose.Value.Set("false")
	return func() { verbose.Value.Set(before) }
}
