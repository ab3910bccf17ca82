package client

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

// Of several mailboxes the first that works is used: one that is down or full is
// asked again after ever longer pauses, and what it may hold alone goes to the
// next one as well.
func TestSeveralMailboxes(t *testing.T) {
	p := newPostman(t)
	p.do(p.b, func(k *core) {
		c := p.other(k)
		var boxes []wire.Mailbox
		for i := range byte(3) {
			key, err := identity.NewServerKey(bytes.Repeat([]byte{i + 1}, 32))
			if err != nil {
				t.Error(err)
				return
			}
			boxes = append(boxes, wire.Mailbox{
				Relay: wire.Server{ID: key.ID(), Host: "127.0.0.1", Port: uint16(1 + i)}, Inbox: [32]byte{i}, Token: [32]byte{i},
			})
		}
		c.card = &wire.Card{Version: 99, Mailboxes: boxes}
		targets := k.mailTargets(c)
		if len(targets) != 3 {
			t.Errorf("%d mailboxes, want 3", len(targets))
			return
		}
		first, second := targets[0].relay.ID, targets[1].relay.ID
		at := func() (n int) {
			got := k.mailTarget(c).relay.ID
			for i, b := range targets {
				if b.relay.ID == got {
					n = i
				}
			}
			return n
		}
		down := errors.New("no answer")
		c.flow.NextOut = 9
		if at() != 0 {
			t.Error("the favourite is not used first")
		}
		k.boxFailed(c, first, down)
		if at() != 1 || c.sending.mail.next.After(k.now()) {
			t.Error("the next one is not used, or not at once")
		}
		if c.sending.mail.again != 9 || c.sending.mail.cursor != 0 {
			t.Error("what the first may hold alone is not mailed to the next")
		}
		c.sending.mail.again = 0
		k.boxFailed(c, second, relay.ErrQuota)
		if c.sending.mail.again != 0 {
			t.Error("a mailbox that is full has what it has; it is mailed again")
		}
		for _, b := range targets[2:] {
			k.boxFailed(c, b.relay.ID, down)
		}
		if !c.sending.mail.next.After(k.now()) {
			t.Error("all failed, and there is no pause")
		}
		k.boxWorks(c, first)
		if at() != 0 {
			t.Error("the favourite works again and is not used")
		}
		wait := time.Duration(0)
		for range 12 {
			k.boxFailed(c, first, down)
			if got := c.sending.mail.boxes[first].wait; got < wait || got > mailRetryMax {
				t.Errorf("a pause of %v after one of %v", got, wait)
			} else {
				wait = got
			}
		}
		if wait != mailRetryMax {
			t.Errorf("the longest pause is %v, want %v", wait, mailRetryMax)
		}
	})
}
