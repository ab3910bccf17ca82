package ratchet

import (
	"testing"
	"time"
)

func TestReplenish(t *testing.T) {
	low, high := newSides(t, 2)
	s := low.store
	first := low.bundle(start)
	if changed, err := s.Replenish(low.local, start.Add(time.Hour), 2); err != nil || changed {
		t.Errorf("Replenish of a full store = %v, %v; want no change", changed, err)
	}
	one := s.OneTime()
	if len(one) != 2 || one[0].ID == one[1].ID {
		t.Fatalf("%d one-time pairs, want 2 different ones", len(one))
	}
	s.Published([]uint32{one[0].ID, 999})
	if left := s.OneTime(); len(left) != 1 || left[0].ID != one[1].ID || s.Count() != 2 {
		t.Errorf("after one was published OneTime gives %d, Count %d; want 1, 2", len(left), s.Count())
	}
	low.restart()
	s = low.store
	if left := s.OneTime(); len(left) != 1 || string(left[0].Bytes) != string(one[1].Bytes) {
		t.Error("a stored pair reads differently")
	}

	// A message for the first bundle is accepted as long as it may be under way.
	high.peer = nil
	p, err := Initiate(start, high.local, first, one[0].Bytes, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	high.peer = p
	old := high.encrypt("from long ago")
	now := start
	for range 8 {
		now = now.Add(RotateAfter)
		serial := s.s.newest().serial
		if changed, err := s.Replenish(low.local, now, 2); err != nil || !changed {
			t.Fatalf("Replenish after %v = %v, %v; want a change", RotateAfter, changed, err)
		}
		if got := s.s.newest().serial; got <= serial {
			t.Errorf("serial %d after %d", got, serial)
		}
		low.bundle(now)
	}
	copied := low.stolen()
	if _, _, text, err := Accept(now, low.local, copied.store, [32]byte{}, old); err != nil || string(text) != "from long ago" {
		t.Errorf("after %v: %q, %v", now.Sub(start), text, err)
	}
	now = start.Add(BundleLifetime + mailLifetime + time.Hour)
	if _, err := s.Replenish(low.local, now, 2); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Accept(now, low.local, s, [32]byte{}, old); !is(err, ErrNoPrekey) {
		t.Errorf("after the keys were destroyed: %v, want ErrNoPrekey", err)
	}
	if s.Count() != 2 {
		t.Errorf("%d one-time pairs, want 2", s.Count())
	}
}

// Rotation of the identity's keys makes a new bundle; messages for the bundle
// before are still understood.
func TestReplenishAfterRotation(t *testing.T) {
	low, high := newSides(t, 0)
	high.initiate(low, [32]byte{})
	rotated, err := low.local.Rotate(start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	before := low.bundle(start)
	low.local = rotated
	if changed, err := low.store.Replenish(rotated, start.Add(time.Minute), 0); err != nil || !changed {
		t.Fatalf("Replenish = %v, %v; want a change", changed, err)
	}
	after := low.bundle(start.Add(time.Minute))
	if after.Serial() <= before.Serial() || !after.Record().Equal(rotated.Record()) || after.Device() != rotated.Device() {
		t.Errorf("serial %d after %d, or not the new record", after.Serial(), before.Serial())
	}
	if got := low.accept(high.encrypt("to the old key"), [32]byte{}); got != "to the old key" {
		t.Errorf("accepted %q", got)
	}
	high.expect(low.encrypt("fine"), "fine")
}

func TestReplenishRefuses(t *testing.T) {
	low, high := newSides(t, 0)
	for _, n := range []int{-1, MaxOneTime + 1} {
		if _, err := low.store.Replenish(low.local, start, n); err == nil {
			t.Errorf("Replenish(%d): no error", n)
		}
	}
	if _, err := low.store.Replenish(high.local, start, 0); !is(err, ErrWrongPeer) {
		t.Errorf("Replenish by another device: %v, want ErrWrongPeer", err)
	}
}
