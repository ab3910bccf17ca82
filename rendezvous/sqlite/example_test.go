package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/sqlite"
)

// A record is kept until it expires. The store knows neither whose it is nor what
// it says.
func Example() {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			log.Panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "rendezvous")
	must(err)
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "rendezvous.db"))
	must(err)
	defer store.Close()

	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	must(store.Put(ctx, rendezvous.StoredRecord{Blinded: [32]byte{1}, Sealed: []byte("sealed"), Expires: now.Add(time.Hour)}, 10))
	for _, at := range []time.Time{now, now.Add(2 * time.Hour)} {
		record, ok, err := store.Get(ctx, [32]byte{1}, at)
		fmt.Printf("%q %v %v\n", record.Sealed, ok, err)
	}
	// Output:
	// "sealed" true <nil>
	// "" false <nil>
}
