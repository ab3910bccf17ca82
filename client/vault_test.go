package client

import (
	"errors"
	"testing"
)

// A row does not open in another's place, nor with another state: who edits the
// file can make a message of ours neither held nor queued.
func TestRowsAreBound(t *testing.T) {
	v := newVault(newMemStore(), randomKey())
	good := v.put(TableOutbox, 7, 3, outHeld, []byte("body")).Row
	if b, err := v.open(TableOutbox, good); err != nil || string(b) != "body" {
		t.Fatalf("open = %q, %v", b, err)
	}
	for what, change := range map[string]func(*Row){
		"owner": func(r *Row) { r.Owner++ }, "seq": func(r *Row) { r.Seq++ },
		"state": func(r *Row) { r.State = outReady }, "no state": func(r *Row) { r.State = 0 },
		"body": func(r *Row) { r.Body[30] ^= 1 }, "short": func(r *Row) { r.Body = r.Body[:20] },
	} {
		bad := good
		bad.Body = append([]byte(nil), good.Body...)
		change(&bad)
		if _, err := v.open(TableOutbox, bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("another %s: %v, want ErrDamaged", what, err)
		}
	}
	if _, err := v.open(TableWaiting, good); !errors.Is(err, ErrDamaged) {
		t.Errorf("another table: %v, want ErrDamaged", err)
	}
	plain := v.put(TableOutbox, 7, 3, 0, []byte("body")).Row
	plain.State = outHeld
	if _, err := v.open(TableOutbox, plain); !errors.Is(err, ErrDamaged) {
		t.Errorf("a state where there was none: %v, want ErrDamaged", err)
	}
}
