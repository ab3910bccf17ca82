package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sremp/sremp/internal/faults"
)

// A disk that is gone for good keeps nobody waiting: neither who asks for
// something, longer than they want, nor who closes the client.
func TestDiskIsGone(t *testing.T) {
	t.Parallel()
	disk := faults.New()
	t.Cleanup(disk.Remove)
	a := newPersonOn(t, disk, "Alice")
	a.open(nil)
	disk.Fail(faults.PowerOff, 1, 1)
	if _, err := a.c.Send(t.Context(), a.id, "note"); err == nil {
		t.Error("a note was stored on a disk that is gone")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := a.c.Send(ctx, a.id, "another"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send = %v, want that the time is over", err)
	}
	a.c.Close()
	a.disk = disk.Image(faults.LoseAll, 0)
	t.Cleanup(a.disk.Remove)
	a.open(nil)
	if got := texts(t, a.c, a.id); len(got) != 0 {
		t.Errorf("notes = %q, want none of those that failed", got)
	}
}
