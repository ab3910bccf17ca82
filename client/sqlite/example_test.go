package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
)

// A profile is a directory; one program at a time has it open.
func Example() {
	ctx := context.Background()
	tmp, err := os.MkdirTemp("", "profile")
	if err != nil {
		log.Panic(err)
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "profile")
	store, err := sqlite.Create(ctx, dir)
	if err != nil {
		log.Panic(err)
	}
	must := func(err error) {
		if err != nil {
			log.Panic(err)
		}
	}
	must(store.Apply(ctx, []client.Change{{Kind: client.Put, Table: client.TableContacts, Row: client.Row{Seq: 1, Body: []byte("sealed")}}}))

	_, err = sqlite.Open(ctx, dir)
	fmt.Println(err)
	must(store.Close())

	store, err = sqlite.Open(ctx, dir)
	must(err)
	defer store.Close()
	rows, err := store.Rows(ctx, client.Query{Table: client.TableContacts})
	must(err)
	fmt.Printf("%s\n", rows[0].Body)
	// Output:
	// the profile is in use by another program; stop that one first
	// sealed
}
