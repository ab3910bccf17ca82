package present

import (
	"fmt"
	"slices"
	"testing"
)

// keysFrom names n rows from a number on.
func keysFrom(first, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("row ", first+i)
	}
	return keys
}

func wantRange(t *testing.T, p *Portion, from, to int) {
	t.Helper()
	if gotFrom, gotTo := p.Range(); gotFrom != from || gotTo != to {
		t.Errorf("the portion goes from %d to %d, want %d to %d", gotFrom, gotTo, from, to)
	}
}

func TestPortionMoves(t *testing.T) {
	var p Portion
	p.Set(nil)
	wantRange(t, &p, 0, 0)
	p.Set(keysFrom(1000, 100))
	wantRange(t, &p, 100-PortionStart, 100)
	if p.Down() {
		t.Error("there is a piece after the end")
	}
	steps := 0
	for ; p.Up(); steps++ {
		from, to := p.Range()
		if to-from > PortionMost || from < 0 {
			t.Fatalf("the portion goes from %d to %d", from, to)
		}
	}
	if want := (100 - PortionStart + PortionPiece - 1) / PortionPiece; steps != want {
		t.Errorf("up in %d pieces, want %d", steps, want)
	}
	wantRange(t, &p, 0, PortionMost)

	// A page comes before: what is shown stays what it was.
	p.Set(keysFrom(900, 200))
	wantRange(t, &p, 100, 100+PortionMost)
	for p.Up() {
	}
	if _, to := p.Range(); to > PortionMost {
		t.Errorf("%d rows, want %d at the most", to, PortionMost)
	}
	for p.Down() {
		from, to := p.Range()
		if to-from > PortionMost {
			t.Fatalf("%d rows, want %d at the most", to-from, PortionMost)
		}
	}
	if top, bottom := p.Whole(); top || !bottom {
		t.Errorf("whole: %v, %v; want only the end", top, bottom)
	}
}

func TestPortionEnd(t *testing.T) {
	var p Portion
	p.Set(keysFrom(0, 100))
	p.Set(keysFrom(0, 101)) // a message comes
	wantRange(t, &p, 100-PortionStart, 101)
	if !p.Show("row 3") || p.Show("row 103") {
		t.Error("what there is and what there is not are told apart wrongly")
	}
	wantRange(t, &p, 0, PortionStart)
	p.Set(keysFrom(0, 102)) // another, which is not seen
	wantRange(t, &p, 0, PortionStart)
	p.Show("row 4") // that is there
	wantRange(t, &p, 0, PortionStart)
	p.Show("row 60")
	wantRange(t, &p, 60-PortionStart/2, 60+PortionStart/2)
	p.End()
	wantRange(t, &p, 102-PortionStart, 102)
	p.Set(keysFrom(0, 102+3*PortionPiece)) // many come at once: all in time, the end if that is wanted
	wantRange(t, &p, 102-PortionStart, 102+PortionPiece)
	p.End()
	wantRange(t, &p, 102+3*PortionPiece-PortionStart, 102+3*PortionPiece)
	p.Set(keysFrom(5000, 80)) // another conversation
	wantRange(t, &p, 80-PortionStart, 80)
	p.Set(keysFrom(5000, 7))
	p.Set(nil)
	wantRange(t, &p, 0, 0)
}

// TestPortionKeeps takes rows out of the middle, and moves a heading.
func TestPortionKeeps(t *testing.T) {
	var p Portion
	all := keysFrom(0, 100)
	p.Set(all)
	p.Set(slices.Concat(all[:80], all[82:])) // two are deleted
	wantRange(t, &p, 98-PortionStart, 98)
	p.Show("row 0")
	p.Set(append([]string{"row 0"}, slices.Concat(keysFrom(-50, 50), all[1:])...)) // the day begins earlier
	wantRange(t, &p, 50, 50+PortionStart)
}
