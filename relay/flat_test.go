package relay_test

import (
	"testing"
	"time"

	"github.com/sremp/sremp/internal/leak"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

// Owners and senders come and go: what they leave is their mail, and that is
// acknowledged here.
func TestVisitsLeaveNothing(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Limits: relay.Limits{Requests: 1e6, RequestBurst: 1e6}})
	near, far := endpoint(t, transport.Config{}), endpoint(t, transport.Config{})
	leak.Flat(t, 40, 16<<10, func() {
		ctx := timeout(t)
		c, err := relay.Dial(ctx, near, r.addr, owner(t, 1), "")
		ok(t, err)
		ok(t, c.CreateInbox(ctx, contactInbox(inbox)))
		s, err := relay.DialSender(ctx, far, r.addr)
		ok(t, err)
		_, err = s.Store(ctx, inbox, token, []byte(time.Now().String()))
		ok(t, err)
		ok(t, c.Ack(ctx, []uint64{next(t, c).Seq}))
		s.Close()
		c.Close()
	})
}
