package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
)

// A relay.ServerConfig takes the store as it is; closing it is the caller's.
// With open admission an owner is registered by its first visit.
func Example() {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			log.Panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "relay")
	must(err)
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "relay.db"))
	must(err)
	defer store.Close()

	owner, now := [32]byte{1}, time.Now()
	known, err := store.Owner(ctx, owner, now, relay.Admission{Open: true, Limit: 10})
	fmt.Println(known, err)
	known, err = store.Owner(ctx, owner, now, relay.Admission{Open: true, Limit: 10})
	fmt.Println(known, err)
	// Output:
	// true <nil>
	// true <nil>
}
