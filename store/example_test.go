package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/sremp/sremp/store"
)

// A database is opened with the migrations that lead to it.
func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	db, err := store.Open(ctx, filepath.Join(dir, "notes.db"), fstest.MapFS{
		"0001-notes.sql": {Data: []byte("CREATE TABLE notes (text TEXT NOT NULL) STRICT;")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	err = store.InTx(ctx, db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO notes VALUES ('milk')")
		return err
	})
	var text string
	if err == nil {
		err = db.QueryRowContext(ctx, "SELECT text FROM notes").Scan(&text)
	}
	fmt.Println(text, err)
	// Output: milk <nil>
}
