package storetest_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/relay/storetest"
)

// TestStore is all that another engine's tests need. Here it is SQLite that must
// pass.
func TestStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) relay.Store {
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "relay.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	})
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
