package client

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/wire"
)

// goneBack makes what c remembers of the other's messages what it was when this was
// called, as a snapshot of a disk does that is brought back.
func (p *postman) goneBack(c *Client) (back func()) {
	var in counterSet
	var sum digest
	p.do(c, func(k *core) { in, sum = p.other(k).flow.In.clone(), p.other(k).flow.InSum })
	return func() { p.do(c, func(k *core) { p.other(k).flow.In, p.other(k).flow.InSum = in, sum }) }
}

func (p *postman) flow(c *Client) (f flow) {
	p.do(c, func(k *core) { f = p.other(k).flow })
	return f
}

// settle carries everything from one to the other, an acknowledgement after each
// message, until nothing waits.
func (p *postman) settle(from, to *Client) {
	p.t.Helper()
	for range 4 {
		waiting := p.outbox(from)
		if len(waiting) == 0 {
			return
		}
		for _, m := range waiting {
			if err := p.deliver(to, m); err != nil {
				p.t.Fatal(err)
			}
			if err := p.deliver(from, p.ack(to)); err != nil {
				p.t.Fatal(err)
			}
		}
		p.do(from, func(k *core) { p.other(k).sending.move = k.steady() }) // the pause is over
	}
	p.t.Errorf("%d messages wait still", len(p.outbox(from)))
}

// One side is an old copy while much waits, and acknowledgements come in pieces: the
// numbers change once, and all that was sent under those of before is accounted for.
// Each piece was taken for another old copy, for hours.
func TestNumbersChangeOnce(t *testing.T) {
	p := newPostman(t)
	back := p.goneBack(p.a)
	for _, m := range p.send(p.b, "lost 1", "lost 2") {
		if err := p.deliver(p.a, m); err != nil {
			t.Fatal(err)
		}
	}
	p.deliver(p.b, p.ack(p.a))
	back()
	want := []string{"lost 1", "lost 2"}
	waiting := p.send(p.b, numbers(20)...)
	before := p.flow(p.b).NextOut
	for _, m := range waiting { // under the numbers of before, while they change
		if err := p.deliver(p.a, m); err != nil {
			t.Fatal(err)
		}
		p.deliver(p.b, p.ack(p.a))
		p.do(p.b, func(k *core) { p.other(k).sending.move = k.steady() })
	}
	p.settle(p.b, p.a)
	if f := p.flow(p.b); f.NextOut > before+20 {
		t.Errorf("the next number is %d, it was %d: want one change of 20", f.NextOut, before)
	}
	p.do(p.a, func(k *core) { k.release(p.other(k)) })
	var got []string
	for _, text := range p.history(p.a) {
		got = append(got, text[max(0, len(text)-len("lost 1")):])
	}
	for _, text := range append(want, numbers(20)...) {
		if n := countSuffix(p.history(p.a), text); n != 1 {
			t.Errorf("%q is shown %d times: %q", text, n, got)
		}
	}
	for _, text := range p.history(p.b) {
		if text[:9] != "delivered" {
			t.Errorf("Bob shows %q", text)
		}
	}
	// What may arrive under another number is no part of what waits.
	p.do(p.b, func(k *core) {
		for _, r := range k.outbox(p.other(k), 1, 1<<40, 0) {
			t.Errorf("a row in state %d is left at %d", r.state, r.counter)
		}
	})
	p.send(p.b, "and on")
	p.settle(p.b, p.a)
	if f := p.flow(p.b); f.NextOut > before+21 {
		t.Errorf("the numbers changed again, up to %d", f.NextOut)
	}
}

func countSuffix(all []string, text string) (n int) {
	for _, x := range all {
		if x == text || len(x) > len(text) && x[len(x)-len(text)-1:] == " "+text {
			n++
		}
	}
	return n
}

// A message that is sent in the moment in which numbers change is not forgotten: it
// was stored under a number that is over.
func TestSentWhileNumbersChange(t *testing.T) {
	p := newPostman(t)
	p.send(p.b, "waits")
	p.do(p.b, func(k *core) {
		c := p.other(k)
		if _, err := k.sendText(c, Draft{Text: "in that moment"}); err != nil {
			t.Error(err)
		}
		k.acked(c, wire.Ack{Epoch: k.local.Record().Epoch, Next: c.flow.NextOut + 5, Digest: digest{1}})
		if _, err := k.sendText(c, Draft{Text: "and after"}); err != nil {
			t.Error(err)
		}
	})
	if got := len(p.outbox(p.b)); got != 3 {
		t.Fatalf("%d messages wait, want 3", got)
	}
	for _, m := range p.outbox(p.b) {
		if err := p.deliver(p.a, m); err != nil {
			t.Fatal(err)
		}
	}
	p.do(p.a, func(k *core) { k.release(p.other(k)) })
	for _, text := range []string{"waits", "in that moment", "and after"} {
		if got := p.history(p.a); countSuffix(got, text) != 1 {
			t.Errorf("%q is not shown once: %q", text, got)
		}
	}
}

// A contact that acknowledges nonsense has numbers changed now and then, not with
// every acknowledgement, and what is remembered for it is bounded.
func TestNumbersChangeSeldom(t *testing.T) {
	p := newPostman(t)
	p.send(p.b, numbers(10)...)
	nonsense := func(n int) {
		for i := range n {
			p.do(p.b, func(k *core) {
				c := p.other(k)
				k.acked(c, wire.Ack{Epoch: k.local.Record().Epoch, Next: c.flow.Acked.Next + 1, Digest: digest{byte(i), 1}})
			})
		}
	}
	before := p.flow(p.b).NextOut
	nonsense(100)
	if f := p.flow(p.b); f.NextOut > before+11 {
		t.Errorf("the next number is %d, it was %d: want one change", f.NextOut, before)
	}
	for range 3 * maxMoved / 10 {
		p.do(p.b, func(k *core) { p.other(k).sending.move = k.steady() })
		nonsense(1)
	}
	rows := 0
	p.do(p.b, func(k *core) { rows = len(k.outbox(p.other(k), 1, 1<<40, 0)) })
	if rows > maxMoved+10 {
		t.Errorf("%d rows are kept, want at most %d", rows, maxMoved+10)
	}
	if got := len(p.outbox(p.b)); got < 10 {
		t.Errorf("%d messages wait, want 10", got)
	}
}

// A key that was used for another message says that the contact's ratchet went back:
// the session is renewed at once, and the message comes again in the new one.
func TestReusedKeyRenewsAtOnce(t *testing.T) {
	p := newPostman(t)
	typing := func() (msg []byte) {
		p.do(p.b, func(k *core) {
			var err error
			if msg, err = k.encryptNotice(p.other(k), wire.PayloadTyping, wire.Typing{On: true}.Append(nil)); err != nil {
				t.Fatal(err)
			}
		})
		return msg
	}
	var old *ratchet.Peer
	p.do(p.b, func(k *core) {
		state, err := p.other(k).session.MarshalBinary()
		if err == nil {
			old, err = ratchet.ParsePeer(state)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if err := p.deliver(p.a, typing()); err != nil {
		t.Fatal(err)
	}
	p.do(p.b, func(k *core) { p.other(k).session = old })
	reused := typing()
	if err := p.deliver(p.a, reused); !errors.Is(err, ratchet.ErrReused) {
		t.Errorf("delivering under a used number = %v, want ErrReused", err)
	}
	p.do(p.a, func(k *core) {
		if !p.other(k).renewal.asked {
			t.Error("no prekeys were asked for")
		}
	})
}

// restored returns c's client as a new computer has it from a backup.
func (p *postman) restored(c *Client, path string) *Client {
	p.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	cfg := c.cfg
	cfg.Store = newMemStore()
	if _, err := Restore(p.t.Context(), cfg, bytes.NewReader(b)); err != nil {
		p.t.Fatal(err)
	}
	r, err := Open(p.t.Context(), cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { r.Close() })
	return r
}

// meet gives c, which has no session, the prekeys of its contact by hand, and the
// contact all that c has for it.
func (p *postman) meet(c, contact *Client) {
	p.t.Helper()
	var box wire.PrekeyBox
	p.do(contact, func(k *core) { box = k.prekeyBox() })
	p.do(c, func(k *core) { k.takeBundle(p.other(k), box, true) })
	for _, m := range p.outbox(c) {
		if err := p.deliver(contact, m); err != nil {
			p.t.Fatal(err)
		}
	}
	p.deliver(c, p.ack(contact))
}

// A contact that begins again from a backup has less than it acknowledged. That is
// said by its new epoch, and what waits for it keeps its numbers.
func TestNumbersOfARestoredContact(t *testing.T) {
	p := newPostman(t)
	path := filepath.Join(t.TempDir(), "backup")
	if err := p.a.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	for _, m := range p.send(p.b, "lost 1", "lost 2") {
		if err := p.deliver(p.a, m); err != nil {
			t.Fatal(err)
		}
	}
	p.deliver(p.b, p.ack(p.a))
	p.send(p.b, numbers(20)...)
	a := p.restored(p.a, path)
	p.meet(a, p.b)
	before := p.flow(p.b).NextOut
	p.settle(p.b, a)
	if f := p.flow(p.b); f.NextOut != before {
		t.Errorf("the next number is %d, it was %d", f.NextOut, before)
	}
	p.do(a, func(k *core) { k.release(p.other(k)) })
	want := numbers(20)
	want[0] = "(2 missing) m0"
	p.want(a, want...)
}

// What waits behind a gap when a backup is made is acknowledged already: its sender
// has it no more, so it is in the backup.
func TestBackupHasWhatWaits(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, "one", "two", "three")
	for _, i := range []int{0, 2} {
		if err := p.deliver(p.a, msgs[i]); err != nil {
			t.Fatal(err)
		}
	}
	p.deliver(p.b, p.ack(p.a))
	p.want(p.b, "delivered one", "queued two", "delivered three")
	p.want(p.a, "one")
	path := filepath.Join(t.TempDir(), "backup")
	if err := p.a.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	a := p.restored(p.a, path)
	p.meet(a, p.b)
	p.settle(p.b, a)
	p.want(a, "one", "two", "three")

	// Nor does it come again once it was shown, and deleted.
	if err := p.deliver(p.a, msgs[1]); err != nil {
		t.Fatal(err)
	}
	p.want(p.a, "one", "two", "three")
	var bob identity.PeerID
	p.do(p.a, func(k *core) { bob = p.other(k).info.ID })
	h, err := p.a.History(t.Context(), bob, HistoryQuery{Limit: 1})
	if err != nil || len(h) != 1 {
		t.Fatal(h, err)
	}
	if err := p.a.Delete(t.Context(), bob, []MessageID{h[0].ID}, false); err != nil {
		t.Fatal(err)
	}
	if err := p.a.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	p.want(p.restored(p.a, path), "one", "two")
}
