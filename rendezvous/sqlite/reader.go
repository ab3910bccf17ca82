package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// mapped is how much of the file a reader maps: SQLite's own limit.
const mapped = 0x7fff0000

// A reader is a connection that looks records up. It maps the file: a cache of
// its own would be empty after each commit of the writer. It speaks to the driver
// itself: database/sql would cost as much again as what it asks.
type reader struct {
	conn    *sql.Conn
	record  statement // by row
	locator statement // by name
}

type statement interface {
	driver.Stmt
	driver.StmtQueryContext
}

func newReader(ctx context.Context, db *sql.DB) (*reader, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	r := &reader{conn: conn}
	if _, err = conn.ExecContext(ctx, fmt.Sprintf("PRAGMA mmap_size = %d", mapped)); err == nil {
		err = conn.Raw(r.prepare)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *reader) prepare(c any) error {
	for query, st := range map[string]*statement{
		"SELECT sealed, expires, blinded FROM records WHERE rowid = ?": &r.record,
		"SELECT rowid, expires FROM records WHERE blinded = ?":         &r.locator,
	} {
		prepared, err := c.(driver.Conn).Prepare(query)
		if err != nil {
			return err
		}
		*st = prepared.(statement)
	}
	return nil
}

func (r *reader) close() error {
	var errs []error
	for _, st := range []statement{r.record, r.locator} {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(append(errs, r.conn.Close())...)
}

// one runs a query for at most one row.
func one(st statement, arg any, row []driver.Value) (found bool, err error) {
	// Not the caller's context: the driver would start a goroutine to watch it,
	// for microseconds.
	rows, err := st.QueryContext(context.Background(), []driver.NamedValue{{Ordinal: 1, Value: arg}})
	if err != nil {
		return false, err
	}
	err = rows.Next(row)
	if closeErr := rows.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}

var errColumns = errors.New("rendezvous: a row of another shape")

// get reads the record in a row, if that is still the name's.
func (r *reader) get(rowid int64, name [32]byte) (sealed []byte, expires int64, ok bool, err error) {
	var row [3]driver.Value
	if ok, err = one(r.record, rowid, row[:]); !ok || err != nil {
		return nil, 0, false, err
	}
	sealed, isBlob := row[0].([]byte)
	expires, isInt := row[1].(int64)
	blinded, isName := row[2].([]byte)
	if !isBlob || !isInt || !isName {
		return nil, 0, false, errColumns
	}
	return sealed, expires, string(blinded) == string(name[:]), nil
}

// locate finds where a name is.
func (r *reader) locate(name [32]byte) (p place, ok bool, err error) {
	var row [2]driver.Value
	if ok, err = one(r.locator, name[:], row[:]); !ok || err != nil {
		return p, false, err
	}
	var isRow, isInt bool
	p.row, isRow = row[0].(int64)
	p.expires, isInt = row[1].(int64)
	if !isRow || !isInt {
		return p, false, errColumns
	}
	return p, true, nil
}
