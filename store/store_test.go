package store

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var v1 = fstest.MapFS{
	"0001-boxes.sql": {Data: []byte(`CREATE TABLE boxes (id BLOB PRIMARY KEY) STRICT;
		CREATE TABLE blobs (box BLOB NOT NULL REFERENCES boxes, body BLOB NOT NULL) STRICT;`)},
}

func open(t *testing.T, path string, m fs.FS) *sql.DB {
	t.Helper()
	db, err := Open(t.Context(), path, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Each pragma must hold on every connection of the pool, not on the first.
func TestPragmasOnEveryConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space?.db")
	db := open(t, path, v1)
	for i := range 3 {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // keep it: the next Conn must be a new one
		for pragma, want := range map[string]string{
			"foreign_keys": "1", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "secure_delete": "1",
		} {
			var got string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("conn %d: %s = %q, %v; want %q", i, pragma, got, err, want)
			}
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Stat(path + suffix); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%q: mode %v, %v; want 0600", suffix, fi.Mode(), err)
		}
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, "a.db", v1)
	if _, err := os.Stat("a.db"); err != nil {
		t.Error(err)
	}
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path, v1)
	open(t, path, v1) // again: nothing to do

	bad := fstest.MapFS{"0001-boxes.sql": v1["0001-boxes.sql"], "0002-bad.sql": {Data: []byte("CREATE TABLE extra (x); NOT SQL;")}}
	if _, err := Open(t.Context(), path, bad); err == nil {
		t.Fatal("bad migration accepted")
	}
	db := open(t, path, v1)
	var n int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").Scan(&n); err != nil || n != 0 {
		t.Errorf("a failed migration left %d tables, %v", n, err)
	}
	gap := fstest.MapFS{"0001-boxes.sql": v1["0001-boxes.sql"], "0003-c.sql": {Data: []byte("SELECT 1")}}
	if _, err := Open(t.Context(), path, gap); err == nil {
		t.Error("a gap in the numbers accepted")
	}
	if _, err := Open(t.Context(), path, fstest.MapFS{}); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("err = %v, want ErrNewerSchema", err)
	}
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, bytes.Repeat([]byte("not a database. "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), junk, v1); !errors.Is(err, ErrDamaged) {
		t.Errorf("junk: err = %v, want ErrDamaged", err)
	}

	path := filepath.Join(dir, "a.db")
	db := open(t, path, v1)
	for range 200 {
		if _, err := db.Exec("INSERT INTO boxes VALUES (randomblob(900))"); err != nil {
			t.Fatal(err)
		}
	}
	if err := Check(t.Context(), db); err != nil {
		t.Errorf("Check of a sound database = %v", err)
	}
	db.Close() // checkpoints
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 6 * 4096; page+4096 < len(b); page += 4096 {
		copy(b[page:], bytes.Repeat([]byte{0xff}, 100))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err = Open(t.Context(), path, v1)
	if err == nil {
		err = Check(t.Context(), db)
		db.Close()
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("overwritten pages: err = %v, want ErrDamaged", err)
	}
}

func TestIsFull(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a.db"), v1)
	db.SetMaxOpenConns(1) // max_page_count holds for one connection
	if _, err := db.Exec("PRAGMA max_page_count = 10"); err != nil {
		t.Fatal(err)
	}
	_, err := db.Exec("INSERT INTO boxes VALUES (randomblob(100000))")
	if !IsFull(err) {
		t.Errorf("IsFull(%v) = false", err)
	}
	_, err = db.Exec("INSERT INTO blobs VALUES (x'01', x'02')")
	if err == nil || IsFull(err) {
		t.Errorf("IsFull(%v) = true for a foreign key", err)
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM boxes").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v after a full disk; want 0", n, err)
	}
}

func TestInTxRollsBackOnPanic(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a.db"), v1)
	func() {
		defer func() { recover() }()
		InTx(t.Context(), db, func(tx *sql.Tx) error {
			if _, err := tx.Exec("INSERT INTO boxes VALUES (x'01')"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM boxes").Scan(&n); err != nil || n != 0 {
		t.Errorf("count = %d, %v after a panic; want 0", n, err)
	}
}

// go-sqlite3 builds without cgo and fails at run time: our build must not.
func TestBuildWithoutCgoSaysWhatToDo(t *testing.T) {
	cmd := exec.Command("go", "build", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "install_a_C_compiler") {
		t.Errorf("CGO_ENABLED=0 go build: %v\n%s", err, out)
	}
}
