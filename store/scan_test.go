package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/sremp/sremp/store"
)

// BenchmarkScan reads every row of a table and searches its bytes, as a search
// through a history and the counting of a relay's mail do. How a program is linked
// decides which copying and comparing functions it has: make dist-speed runs this
// in both ways.
func BenchmarkScan(b *testing.B) {
	const rows = 100_000
	files := fstest.MapFS{"0001-t.sql": {Data: []byte("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;")}}
	db, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "t.db"), files)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(b.Context(),
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO t (body) SELECT randomblob(200) FROM n", rows)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			var n int
			if err := db.QueryRowContext(b.Context(), "SELECT count(*) FROM t WHERE instr(body, x'00112233445566778899')").Scan(&n); err != nil || n != 0 {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
	b.Run("rows", func(b *testing.B) {
		for b.Loop() {
			if n, err := readAll(b.Context(), db); err != nil || n != rows*200 {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	})
}

// readAll reads all rows into the program and returns their bytes.
func readAll(ctx context.Context, db *sql.DB) (total int, err error) {
	rows, err := db.QueryContext(ctx, "SELECT body FROM t")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return 0, err
		}
		total += len(body)
	}
	return total, rows.Err()
}
