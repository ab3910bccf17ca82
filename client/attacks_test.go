package client

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A knock key whose X25519 half is a weak point would give everybody the same
// secret: nothing is sealed to it, and nothing sealed with a weak point opens
// (attack 1).
func TestWeakKnockKeys(t *testing.T) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public := key.PublicKey().Bytes()
	good, err := sealKnock(public, wire.Knock{Message: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	k := &core{}
	k.profile.KnockKeys = []hidden{newHidden(private)}
	if _, err := k.openKnock(good); err != nil {
		t.Fatalf("a good knock: %v", err)
	}
	const kem = 1088 // ML-KEM-768's ciphertext, before the X25519 share
	for _, weak := range [][]byte{
		make([]byte, 32),
		append([]byte{1}, make([]byte, 31)...),
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
		append([]byte{0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...),
	} {
		bad := append(bytes.Clone(public[:len(public)-32]), weak...)
		if b, err := sealKnock(bad, wire.Knock{Message: []byte("x")}); err == nil {
			t.Errorf("a knock of %d bytes was sealed to the point %x", len(b), weak)
		}
		bad = bytes.Clone(good)
		copy(bad[kem:], weak)
		if _, err := k.openKnock(bad); err == nil {
			t.Errorf("a knock with the point %x was opened", weak)
		}
	}
}

// A relay that kept everything plays it back to the owner's restored client, and
// to the client that is still there: nothing is shown again, nothing is answered
// (attack 3).
func TestReplayAfterRestore(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, "one", "two")
	for _, m := range msgs {
		if err := p.deliver(p.a, m); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "backup")
	if err := p.a.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg := p.a.cfg
	cfg.Store = newMemStore()
	if _, err := Restore(t.Context(), cfg, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	p.want(restored, "one", "two")
	for _, c := range []*Client{p.a, restored} {
		for range 2 {
			for _, m := range slices.Backward(msgs) {
				if err := p.deliver(c, m); c == restored && err == nil {
					t.Error("the restored client took a message of before")
				}
			}
		}
		p.want(c, "one", "two")
	}
	p.do(restored, func(k *core) {
		if c := p.other(k); c.flow.AckDue {
			t.Error("the restored client acknowledges what it cannot read")
		}
	})
}

// Another key under the same name, or under one that looks the same, is another
// person: not trusted, not verified, not written to by that name; and names that
// only hide a difference are refused (attack 10).
func TestSameNameIsAnotherPerson(t *testing.T) {
	p := newPostman(t)
	var bob identity.PeerID
	p.do(p.a, func(k *core) { bob = p.other(k).info.ID })
	v, err := p.a.Verification(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.a.Verify(t.Context(), bob, v.Code); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Bob", "B\u043eb"} { // the second with a Cyrillic o
		mallory := p.open(name)
		made, err := p.a.Invite(t.Context(), InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		inv, err := identity.ParseInvite(made.URI)
		if err != nil {
			t.Fatal(err)
		}
		inv.Addrs = nil
		if _, err := mallory.Add(t.Context(), inv.URI(), ""); err != nil {
			t.Fatal(err)
		}
		var box wire.PrekeyBox
		p.do(p.a, func(k *core) { box = k.prekeyBox() })
		p.do(mallory, func(k *core) { k.takeBundle(p.other(k), box, true) })
		first := p.outbox(mallory)
		p.do(p.a, func(k *core) { k.knock(identity.PeerID{}, wire.Knock{Token: inv.Knock(), Message: first[0]}) })
	}
	cs, err := p.a.Contacts(t.Context())
	if err != nil || len(cs) != 3 {
		t.Fatalf("%d contacts, %v, want three people", len(cs), err)
	}
	for _, c := range cs {
		if c.Verified.IsZero() == (c.ID == bob) {
			t.Errorf("%s (%s) verified at %v", c.Name, c.ID.Short(), c.Verified)
		}
		other, err := p.a.Verification(t.Context(), c.ID)
		if err != nil || (other.Words == v.Words) != (c.ID == bob) {
			t.Errorf("%s (%s) shows the words %v, %v", c.Name, c.ID.Short(), other.Words, err)
		}
	}
	if c, err := FindContact(cs, "Bob"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("Bob is %v, %v; want ErrAmbiguous", c.ID, err)
	}
	for _, name := range []string{"Bob ", " Bob", "Bob\u202e", "Bo\u200bb", "Bob\x00"} {
		cfg := Config{Store: newMemStore(), KDF: identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}}
		if err := Create(t.Context(), cfg, name); err == nil {
			t.Errorf("somebody is called %q", name)
		}
	}
}

// A copy of the disk has what was there then. After one round trip each side it
// decrypts nothing that is new, and neither does a later copy decrypt what was
// deleted (attack 13).
func TestCopiedDiskDecryptsNothingNew(t *testing.T) {
	p := newPostman(t)
	trip := func(text string) (toA [][]byte) {
		for _, x := range []struct{ from, to *Client }{{p.b, p.a}, {p.a, p.b}} {
			msgs := p.send(x.from, text)
			for _, m := range msgs {
				if err := p.deliver(x.to, m); err != nil {
					t.Fatal(err)
				}
			}
			p.deliver(x.from, p.ack(x.to))
			if x.to == p.a {
				toA = msgs
			}
		}
		return toA
	}
	trip("before")
	s := p.a.cfg.Store.(*memStore)
	s.mu.Lock()
	stolen := &memStore{header: bytes.Clone(s.header), rows: maps.Clone(s.rows)}
	s.mu.Unlock()

	seen := append(trip("one"), trip("two")...)
	secret := trip("secret")

	cfg := p.a.cfg
	cfg.Store = stolen
	thief, err := Open(t.Context(), cfg) // with the passphrase
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	for _, m := range seen { // the thief has all that went over the network, and acts as its owner did
		_ = p.deliver(thief, m)
		p.ack(thief)
	}
	for _, m := range secret {
		if err := p.deliver(thief, m); err == nil {
			t.Error("the copy decrypts what was sent after a round trip")
		}
	}
	if got := p.history(thief); slices.Contains(got, "secret") || !slices.Contains(got, "before") {
		t.Errorf("the copy shows %q", got)
	}
}

// Somebody whom we have blocked, and a stranger who asks, learn nothing by what we
// do: whatever they send, however often, nothing is sent, no acknowledgement comes
// due, and nothing is told to those who look at us (attack 18).
func TestProbesGetNoAnswer(t *testing.T) {
	for _, trust := range []TrustState{Rejected, TrustUnknown} {
		t.Run(trust.String(), func(t *testing.T) {
			p := newPostman(t)
			probes := p.send(p.b, numbers(100)...)
			var conversation [32]byte
			var before int
			p.do(p.a, func(k *core) {
				c := p.other(k)
				c.info.Trust, c.flow.AckDue = trust, false
				conversation = c.conversation
				before = len(k.outbox(c, 1, 1<<40, 0))
			})
			for i, m := range probes {
				_ = p.deliver(p.a, m)
				if i%10 == 0 {
					_ = p.deliver(p.a, m) // again, as if it had been lost
				}
			}
			p.do(p.a, func(k *core) {
				c := p.other(k)
				for i, x := range []wire.Payload{
					{Type: wire.PayloadReaction, Counter: 500, Body: wire.Reaction{ID: [16]byte{9}, Emoji: []byte("+")}.Append(nil)},
					{Type: wire.PayloadEdit, Counter: 501, Body: wire.Edit{ID: [16]byte{9}, Text: []byte("x")}.Append(nil)},
					{Type: wire.PayloadDelete, Counter: 502, Body: wire.Deletion{IDs: [][16]byte{{9}}}.Append(nil)},
					{Type: wire.PayloadTyping, Body: wire.Typing{On: true}.Append(nil)},
				} {
					x.ID, x.Conversation = [16]byte{byte(i)}, conversation
					if trust != Rejected { // whose payloads nobody opens
						k.plaintext(c, x.Append(nil))
					}
				}
			})
			p.clock.advance(holdFor + time.Second)
			p.do(p.a, func(k *core) { k.tick() })
			p.do(p.a, func(k *core) {
				c := p.other(k)
				if c.flow.AckDue || c.readDue {
					t.Errorf("an acknowledgement is due: %v, a read mark: %v", c.flow.AckDue, c.readDue)
				}
				if got := len(k.outbox(c, 1, 1<<40, 0)); got != before {
					t.Errorf("%d messages wait for the contact, %d before", got, before)
				}
			})
			for _, m := range p.history(p.b) {
				if m[:6] != "queued" {
					t.Errorf("the other side sees %q", m)
				}
			}
		})
	}
}

// Somebody whom we have blocked does not come back by an invite of ours that it
// still has: its knock changes nothing, and does not use the invite up.
func TestBlockedKnocksInVain(t *testing.T) {
	p, first := newKnock(t)
	bob, err := p.b.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.do(p.a, func(k *core) {
		c := k.newContact(bob.ID, "Bob")
		c.info.Trust = Rejected
		c.setInfo(k)
		k.knock(identity.PeerID{}, first)
		if c.session != nil || c.info.Trust != Rejected || !k.inviteByToken(first.Token).Bound.IsZero() {
			t.Errorf("session %v, trust %v, invite bound to %v", c.session != nil, c.info.Trust, k.inviteByToken(first.Token).Bound)
		}
	})
	p.want(p.a)
}

// A connection of somebody whom we have blocked is closed, and becomes neither the
// one that we write to nor a guest's.
func TestBlockedIsDisconnected(t *testing.T) {
	a, b := openAt(t, "Ann"), openAt(t, "Bob")
	befriend(t, a, b)
	bob := b.mustMe(t)
	var l *link
	until(t, "a connection", func() bool { // for a moment, two may have ended each other
		err := a.do(t.Context(), func(k *core) error {
			c := k.contacts[bob]
			if l = c.link; l == nil {
				return nil
			}
			c.link, c.info.Trust = nil, Rejected
			k.linkUp(l)
			if c.link != nil || k.guests[bob] != nil {
				t.Errorf("linked: %v, a guest: %v", c.link != nil, k.guests[bob] != nil)
			}
			return nil
		})
		return err == nil && l != nil
	})
	until(t, "the end of the connection", func() bool { return l.conn.Err() != nil })
}

// What has disappeared is in no list, search or quote, and what was notified of it
// is withdrawn (attack 23).
func TestDisappearedIsQuotedNowhere(t *testing.T) {
	p := newPostman(t)
	ann, bob := p.a.mustMe(t), p.b.mustMe(t)
	events, err := p.a.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.b.SendDraft(t.Context(), ann, Draft{Text: "for an hour", Timer: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	all := p.outbox(p.b)
	if err := p.deliver(p.a, all[len(all)-1]); err != nil {
		t.Fatal(err)
	}
	r, err := p.a.SendDraft(t.Context(), bob, Draft{Text: "an answer", ReplyTo: m.ID, Timer: -1})
	if err != nil || r.Quote != "for an hour" {
		t.Fatalf("got %+v, %v, want the quote", r, err)
	}
	p.clock.advance(2 * time.Hour)
	p.do(p.a, func(k *core) { k.tick() })
	h, err := p.a.History(t.Context(), bob, HistoryQuery{})
	if err != nil || len(h) != 1 || h[0].ID != r.ID || h[0].Quote != "" {
		t.Errorf("got %+v, %v, want the answer without a quote", h, err)
	}
	if found, err := p.a.Search(t.Context(), SearchQuery{Text: "an hour"}); err != nil || len(found) > 0 {
		t.Errorf("found %+v, %v, want nothing", found, err)
	}
	notified, late := false, time.After(2*time.Minute)
	for {
		select {
		case e := <-events:
			switch e := e.(type) {
			case NotificationEvent:
				notified = notified || e.Message == m.ID
			case WithdrawEvent:
				if slices.Contains(e.IDs, m.ID) {
					if !notified {
						t.Error("it was withdrawn, and had not been notified")
					}
					return
				}
			}
		case <-late:
			t.Fatal("it is not withdrawn")
		}
	}
}

// Texts of 1 to 4096 bytes show at most six sizes where they lie sealed for the
// network and for the mailbox (attack 22).
func TestTextsShowFewSizes(t *testing.T) {
	p := newPostman(t)
	var texts []string
	for n := 1; n <= 4096; n += 45 {
		texts = append(texts, string(bytes.Repeat([]byte{'a'}, n)))
	}
	texts = append(texts, string(bytes.Repeat([]byte{'a'}, 4096)))
	sizes := map[int]bool{}
	for i, m := range p.send(p.b, texts...) {
		sizes[len(m)] = true
		if len(m) <= len(texts[i]) {
			t.Errorf("a text of %d bytes is sealed in %d", len(texts[i]), len(m))
		}
	}
	if len(sizes) > 6 {
		t.Errorf("%d sizes: %v, want at most 6", len(sizes), slices.Sorted(maps.Keys(sizes)))
	}
}

// A contact that is relay only gets no connection for an offer that names no relay,
// or one that is not ours: the answer would carry our addresses, or lead us to
// where they are seen (attack 17).
func TestRelayOnlyAnswersThroughOwnRelays(t *testing.T) {
	p := newPostman(t)
	var bob identity.PeerID
	p.do(p.a, func(k *core) { bob = p.other(k).info.ID })
	theirs := wire.Server{ID: identity.GenerateSecretKey().Public(), Host: "127.0.0.1", Port: 9}
	answered := func(relays ...wire.Server) bool {
		o := wire.Offer{Peer: bob, Secret: randomBytes(), Relay: relays}
		g := p.a.net.answer(o, bob, [32]byte{})
		if g == nil || g.answer == nil {
			return false
		}
		a, err := wire.ParseAnswer(g.answer)
		if err != nil {
			t.Fatal(err)
		}
		return a.What == wire.AnswerConnect || len(a.Candidates) > 0
	}
	if !answered() {
		t.Fatal("an offer is not answered; the rest of this test would hold for nothing")
	}
	yes := true
	if _, err := p.a.SetContact(t.Context(), bob, ContactSettings{RelayOnly: &yes}); err != nil {
		t.Fatal(err)
	}
	for _, relays := range [][]wire.Server{nil, {theirs}} {
		if answered(relays...) {
			t.Errorf("an offer with the relays %v is answered", relays)
		}
	}
}

// What was prepared for a contact before it was made relay only does not reach it
// after: an answer that a repeated offer would get, the attempt that goes with it, a
// card that waits; and SetContact returns when the network knows (attack 17).
func TestRelayOnlyRecallsAddresses(t *testing.T) {
	p := newPostman(t)
	ours := netip.MustParseAddrPort("192.0.2.9:4433")
	p.a.net.mu.Lock()
	p.a.net.addrs = []netip.AddrPort{ours}
	p.a.net.mu.Unlock()
	var bob identity.PeerID
	p.do(p.a, func(k *core) {
		bob = p.other(k).info.ID
		if err := k.sendCard(p.other(k)); err != nil {
			t.Fatal(err)
		}
	})
	p.send(p.a, "between")
	offer := wire.Offer{Peer: bob, Secret: randomBytes()}
	before := p.a.net.answer(offer, bob, [32]byte{})
	if before == nil || before.answer == nil || before.open.Err() != nil {
		t.Fatal("an offer is not answered; the rest of this test would hold for nothing")
	}

	// The core stores what SetContact changes and then stands still.
	start, release, returned := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	p.a.post(func(k *core) {
		<-start
		k.then(func() { <-release })
	})
	yes := true
	go func() {
		_, err := p.a.SetContact(t.Context(), bob, ContactSettings{RelayOnly: &yes})
		if err == nil && !p.a.net.relayOnly(bob) {
			err = errors.New("SetContact returned before the network knew")
		}
		returned <- err
	}()
	for len(p.a.jobs) == 0 {
		runtime.Gosched()
	}
	close(start)
	select {
	case err := <-returned:
		t.Errorf("SetContact = %v although the network could not know yet", err)
		returned <- err
	case <-time.After(100 * time.Millisecond): // only without the defence is there anything to wait for
	}
	close(release)
	if err := <-returned; err != nil {
		t.Fatal(err)
	}
	if before.open.Err() == nil {
		t.Error("the attempt that shows our addresses goes on")
	}
	if g := p.a.net.answer(offer, bob, [32]byte{}); g != nil {
		t.Error("the offer that was answered before gets its answer again")
	}
	for _, m := range p.outbox(p.a) {
		if err := p.deliver(p.b, m); err != nil {
			t.Fatal(err)
		}
		p.do(p.b, func(k *core) {
			if c := p.other(k); len(c.card.Addrs) > 0 {
				t.Errorf("the contact learns %v", c.card.Addrs)
			}
		})
	}
	p.want(p.b, "between")
}
