package sqlite

import (
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/internal/faults"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/storetest"
)

func openOn(t testing.TB, d *faults.Disk) *Store {
	t.Helper()
	s, err := OpenOn(t.Context(), faults.VFS, d.Path("relay.db"), func() error { return d.Sync("relay.db-wal") })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformanceOnADiskInMemory(t *testing.T) {
	storetest.Test(t, func(t *testing.T) relay.Store {
		d := faults.New()
		t.Cleanup(d.Remove)
		return openOn(t, d)
	})
}

// putOn delivers blobs until one is not taken, at most most, and returns those
// that were answered.
func putOn(t *testing.T, s *Store, most int) (answered [][]byte) {
	t.Helper()
	for i := range most {
		blob := binary.BigEndian.AppendUint64(make([]byte, 700), uint64(i))
		if _, err := s.Put(t.Context(), delivery(blob)); err != nil {
			return answered
		}
		answered = append(answered, blob)
	}
	return answered
}

// stored counts which of the blobs a disk has, after its power came back.
func stored(t *testing.T, d *faults.Disk, blobs [][]byte) (n int) {
	t.Helper()
	s := openOn(t, d)
	defer s.Close()
	var check string
	if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity_check = %q, %v", check, err)
	}
	mail, err := s.Fetch(t.Context(), owner, 0, time.Now(), 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, m := range mail {
		have[string(m.Blob)] = true
	}
	for _, b := range blobs {
		if have[string(b)] {
			n++
		}
	}
	return n
}

// What Put has answered is there after the power failed at any write or sync,
// whatever the disk makes of what was not synced.
func TestPowerFailsAtAnyWrite(t *testing.T) {
	last := 120
	if testing.Short() {
		last = 20
	}
	for at := 1; at <= last; at++ {
		d := faults.New()
		s := openOn(t, d)
		setUp(t, s)
		d.Fail(faults.PowerOff, at, 1)
		answered := putOn(t, s, 200)
		if !d.Off() {
			t.Fatalf("the power did not fail at operation %d", at)
		}
		for _, loss := range []faults.Loss{faults.LoseAll, faults.LoseSome, faults.LoseNone} {
			img := d.Image(loss, uint64(at))
			if got, want := stored(t, img, answered), len(answered); got != want {
				t.Errorf("after the power failed at operation %d, with %v of the unsynced writes lost: %d messages, want %d", at, loss, got, want)
			}
			img.Remove()
		}
		s.Close() // with what error is all the same
		d.Remove()
	}
}

// The store's answers are worth what the sync of the log is: without it the disk
// has nothing.
func TestUnsyncedIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := faults.New()
		t.Cleanup(d.Remove)
		honest := true
		s, err := OpenOn(t.Context(), faults.VFS, d.Path("relay.db"), func() error {
			if honest {
				return d.Sync("relay.db-wal")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		setUp(t, s)
		synctest.Wait() // a checkpoint, which syncs the log as well: the next is a second away
		honest = false
		blobs := putOn(t, s, 1)
		img := d.Image(faults.LoseAll, 0)
		t.Cleanup(img.Remove)
		if got := stored(t, img, blobs); got != 0 || len(blobs) != 1 {
			t.Errorf("%d of %d messages are there that nobody synced", got, len(blobs))
		}
	})
}

// A disk that is full, or fails, is told to the sender, and what was answered
// before and after is there.
func TestFullAndFailingDisk(t *testing.T) {
	for _, fault := range []faults.Fault{faults.Full, faults.IOError} {
		d := faults.New()
		t.Cleanup(d.Remove)
		s := openOn(t, d)
		setUp(t, s)
		d.Fail(fault, 1, 1<<30)
		_, err := s.Put(t.Context(), delivery([]byte("lost")))
		if err == nil || errors.Is(err, relay.ErrFull) != (fault == faults.Full) {
			t.Errorf("fault %d: %v, want an error; that the relay is full: %v", fault, err, fault == faults.Full)
		}
		d.Heal()
		s.Close()
		s = openOn(t, d) // a store whose log was not synced takes nothing more
		answered := putOn(t, s, 3)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := stored(t, d, answered); got != 3 {
			t.Errorf("fault %d: %d messages afterwards, want 3", fault, got)
		}
	}
}
