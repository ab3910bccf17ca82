package client

import (
	"testing"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

// Who asked for the prekeys of a contact's lost computer, since it did not know of
// another, asks at once for those of the new one when it hears of that, and does not
// wait as for one that does not answer.
func TestNewComputerIsAskedAtOnce(t *testing.T) {
	p := newPostman(t)
	var of rendezvous.Content
	p.do(p.a, func(k *core) {
		recovery, err := identity.NewSecretKey(k.profile.Recovery.bytes())
		if err != nil {
			t.Fatal(err)
		}
		local, err := k.local.Recover(recovery, k.now())
		if err != nil {
			t.Fatal(err)
		}
		of.Record = local.Record()
	})
	p.do(p.b, func(k *core) {
		c := p.other(k)
		k.askPrekeys(c)
		if !c.renewal.asked || !k.steady().Before(c.renewal.next) {
			t.Fatal("nothing was asked for")
		}
		for _, want := range []bool{true, false} { // the second time it is no news
			c.renewal.asked = false
			k.found(rendezvous.Change{ID: c.info.ID, Content: &of})
			if c.renewal.asked != want {
				t.Errorf("prekeys of epoch %d were asked for: %v, want %v", of.Record.Epoch, c.renewal.asked, want)
			}
		}
		if c.epoch() != of.Record.Epoch {
			t.Errorf("the epoch is %d, want %d", c.epoch(), of.Record.Epoch)
		}
	})
}
