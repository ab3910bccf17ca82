package relay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Spec §6.4.1: a stranger without an invite pays by work, for this inbox, this
// blob and this day.
func TestWork(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	c, s, ctx := r.dial(t, 1), r.sender(t), timeout(t)
	ok(t, c.CreateInbox(ctx, relay.InboxParams{ID: inbox, Knock: true}))
	const bits = 10
	now := time.Now()
	if _, err := s.StoreWithWork(ctx, now, inbox, bits, []byte("closed")); !errors.Is(err, relay.ErrNoInbox) {
		t.Errorf("not open to work: %v", err)
	}
	ok(t, c.AllowWork(ctx, inbox, bits))
	if got, err := s.WorkBits(ctx, inbox); got != bits || err != nil {
		t.Errorf("WorkBits = %d, %v", got, err)
	}
	ok(t, c.PutPrekeys(ctx, inbox, []byte("bundle"), []relay.SealedOneTime{{ID: 1, Blob: []byte("k")}}))
	if b, err := s.FetchBundleWithWork(ctx, now, inbox, bits); string(b) != "bundle" || err != nil {
		t.Errorf("FetchBundleWithWork = %q, %v", b, err)
	}
	must[relay.Receipt](t)(s.StoreWithWork(ctx, now, inbox, bits, []byte("hello")))
	if m := next(t, c); string(m.Blob) != "hello" {
		t.Errorf("mail %q", m.Blob)
	}
	if _, err := s.StoreWithWork(ctx, now.Add(-72*time.Hour), inbox, bits, []byte("old")); !errors.Is(err, relay.ErrNoInbox) {
		t.Errorf("work of another day: %v", err)
	}
	// The work for one blob does not carry another.
	raw := r.raw(t)
	for n := range uint64(50) {
		d := wire.WorkDeliver{Inbox: inbox, Work: wire.Work{Day: uint32(now.Unix() / 86400), Nonce: n}, Blob: []byte("cheap")}
		typ, answer := ask(t, raw, wire.FrameWorkDeliver, d.Append(nil))
		if typ == wire.FrameReceipt {
			continue // one of 1024 is a proof
		}
		wantCode(t, "no work", typ, answer, 4)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.StoreWithWork(ended, now, inbox, wire.MaxWorkBits, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("work without end: %v", err)
	}
}

// Admission by tokens that the operator makes while the server runs.
func TestTokenAdmission(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{TokensOnly: true})
	dial := func(seed byte, token string) error {
		c, err := relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, owner(t, seed), token)
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := dial(1, ""); !errors.Is(err, relay.ErrAdmission) {
		t.Errorf("without a token: %v", err)
	}
	ok(t, r.store.AddToken(t.Context(), relay.AdmissionToken{
		Hash: relay.AdmissionHash([]byte("friends")), Uses: 1, Created: time.Now(), Expires: time.Now().Add(time.Hour),
	}))
	if err := dial(1, "enemies"); !errors.Is(err, relay.ErrAdmission) {
		t.Errorf("with another token: %v", err)
	}
	ok(t, dial(1, "friends"))
	ok(t, dial(1, ""))
	if err := dial(2, "friends"); !errors.Is(err, relay.ErrAdmission) {
		t.Errorf("with a token used up: %v", err)
	}
}

// Whom the operator blocks, beside the running server, is cut off and stays out.
func TestBlock(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Tick: 20 * time.Millisecond})
	c := r.dial(t, 1)
	k := owner(t, 1)
	leg, _, err := c.OpenForward(timeout(t))
	ok(t, err)
	ok(t, r.store.Block(t.Context(), k.Public(), time.Now()))
	select {
	case <-c.Done():
	case <-timeout(t).Done():
		t.Fatal("a blocked owner's connection stands")
	}
	if got := r.Counters().Sessions; got != 0 {
		t.Errorf("%d sessions of the blocked (%d)", got, leg.Session)
	}
	if _, err := relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, k, ""); !errors.Is(err, relay.ErrAdmission) {
		t.Errorf("a blocked owner came in: %v", err)
	}
}
