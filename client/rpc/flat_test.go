package rpc

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/leak"
)

// Faces come and go, also in the middle of a call and of a subscription.
func TestFacesLeaveNothing(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := Serve(ctx, l, refuser{&client.Lockable{}}); err != nil {
			t.Error(err)
		}
	}()
	leak.Flat(t, 100, 2<<10, func() {
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := NewClient(conn)
		events, err := c.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WhoAmI(t.Context()); err == nil {
			t.Error("a locked client answered")
		}
		c.Close()
		for range events {
		}
	})
	cancel()
	<-ended
}
