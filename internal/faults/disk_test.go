package faults_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/sremp/sremp/internal/faults"
	"github.com/sremp/sremp/store"
)

var schema fs.FS = fstest.MapFS{"0001-x.sql": {Data: []byte("CREATE TABLE x (n INTEGER)")}}

func open(t *testing.T, d *faults.Disk) *sql.DB {
	t.Helper()
	db, err := store.OpenOn(t.Context(), faults.VFS, d.Path("x.db"), schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func insert(db *sql.DB, n int) error {
	_, err := db.Exec("INSERT INTO x VALUES (?)", n)
	return err
}

func count(t *testing.T, d *faults.Disk) (n int) {
	t.Helper()
	if err := open(t, d).QueryRow("SELECT count(*) FROM x").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A disk without power keeps what was synced, and of the rest what it is told.
func TestPower(t *testing.T) {
	d := faults.New()
	t.Cleanup(d.Remove)
	db := open(t, d)
	if err := insert(db, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA synchronous = OFF"); err != nil {
		t.Fatal(err)
	}
	if err := insert(db, 2); err != nil {
		t.Fatal(err)
	}
	for loss, want := range map[faults.Loss]int{faults.LoseAll: 1, faults.LoseNone: 2} {
		img := d.Image(loss, 1)
		if got := count(t, img); got != want {
			t.Errorf("%d rows after the loss of %s, want %d", got, loss, want)
		}
		img.Remove()
	}
	d.Fail(faults.PowerOff, 1, 1)
	for range 2 {
		if err := insert(db, 3); err == nil {
			t.Error("a disk without power took a row")
		}
	}
	if !d.Off() {
		t.Error("the power is on")
	}
}

func TestErrors(t *testing.T) {
	for fault, full := range map[faults.Fault]bool{faults.IOError: false, faults.Full: true} {
		d := faults.New()
		t.Cleanup(d.Remove)
		db := open(t, d)
		d.Fail(fault, 1, 20)
		err := insert(db, 1)
		if err == nil || store.IsFull(err) != full {
			t.Errorf("fault %d: %v, want an error; a full disk: %v", fault, err, full)
		}
		d.Heal()
		if err := insert(db, 2); err != nil {
			t.Errorf("fault %d: %v afterwards", fault, err)
		}
	}
	if _, err := store.OpenOn(t.Context(), faults.VFS, "/nowhere/x.db", schema); err == nil || errors.Is(err, store.ErrDamaged) {
		t.Errorf("a disk that is not there: %v", err)
	}
}
