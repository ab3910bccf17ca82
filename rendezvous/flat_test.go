package rendezvous_test

import (
	"context"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/leak"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Who registers, looks up and leaves, leaves a record that stands there anyway.
func TestVisitsLeaveNothing(t *testing.T) {
	at := serve(t, 77)
	ep := endpoint(t, transport.Config{})
	l, _, err := identity.NewLocal("Ada", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leak.Flat(t, 40, 16<<10, func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := rendezvous.Dial(ctx, ep, at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Register(ctx, time.Now(), l, [32]byte{1}, rendezvous.Content{Record: l.Record()}, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Lookup(ctx, time.Now(), l.PeerID(), [32]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Subscribe(ctx, time.Now(), l.PeerID(), [32]byte{1}); err != nil {
			t.Fatal(err)
		}
	})
}
