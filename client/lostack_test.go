package client

import (
	"testing"
	"time"

	"github.com/sremp/sremp/transport"
)

// An acknowledgement that went over a connection which is lost afterwards may be
// lost with it, and a message that a relay holds is not sent again by itself: so
// it is due again, and the mailbox takes it.
func TestAcknowledgementLostWithTheConnection(t *testing.T) {
	p := newLinked(t)
	var l *link
	awaitIn(t, "an acknowledgement over a connection", func() (sent bool) {
		p.do(p.b, func(k *core) {
			for _, c := range k.contacts {
				if l = c.link; l != nil && c.session != nil {
					sent = !l.told.IsZero() && !c.flow.AckDue
				}
			}
		})
		return sent
	})
	for _, x := range []struct {
		name string
		told time.Duration // before the connection was lost
		err  error
		want bool
	}{
		{"lost", time.Minute, transport.ErrLost, true},
		{"lost long after", time.Hour, transport.ErrLost, false},
		{"closed by the other side", time.Minute, &transport.CloseError{Remote: true}, false},
	} {
		p.do(p.b, func(k *core) {
			c := p.other(k)
			c.flow.AckDue = false
			c.link = &link{peer: l.peer, conn: l.conn, told: time.Now().Add(-x.told)}
			k.linkDown(c.link, x.err)
			if got := c.flow.AckDue; got != x.want {
				t.Errorf("%s: an acknowledgement is due: %v, want %v", x.name, got, x.want)
			}
			c.flow.AckDue = false
		})
	}
}
