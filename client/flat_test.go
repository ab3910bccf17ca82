package client

import (
	"testing"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/leak"
)

// A client that is opened and closed, with a subscription and somebody it writes
// to, leaves nothing.
func TestOpeningLeavesNothing(t *testing.T) {
	p := newPostman(t)
	var to identity.PeerID
	p.do(p.b, func(k *core) { to = p.other(k).info.ID })
	cfg := p.b.cfg
	p.b.Close()
	leak.Flat(t, 15, 64<<10, func() {
		c, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		events, err := c.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Send(t.Context(), to, "hello")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), to, []MessageID{m.ID}, false); err != nil {
			t.Fatal(err)
		}
		c.Close()
		for range events { // until it is closed
		}
	})
}
