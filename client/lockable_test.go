package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sremp/sremp/client"
)

// What is to be stored before a lock is stored, once for each lock; what takes too
// long does not put the lock off.
func TestBeforeLock(t *testing.T) {
	c, _ := newClient(t, "Alice")
	l, err := client.NewLockable(c, func(context.Context, client.Unlock) (*client.Client, error) { return nil, client.ErrClosed })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	calls := make(chan error, 2)
	l.BeforeLock(func(ctx context.Context) {
		_, err := l.WhoAmI(ctx)
		calls <- err
		<-ctx.Done()
	})
	for range 2 {
		if err := l.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(calls); n != 1 {
		t.Fatalf("%d calls, want one", n)
	}
	if err := <-calls; err != nil {
		t.Errorf("in the call: %v; want that it is open still", err)
	}
	if _, err := l.Contacts(t.Context()); !errors.Is(err, client.ErrLocked) {
		t.Errorf("got %v, want that it is locked", err)
	}
}
