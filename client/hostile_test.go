package client

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A postman carries messages between two clients that have no network in
// common, as a hostile relay might.
type postman struct {
	t     testing.TB
	a, b  *Client
	clock *testClock
	logs  *lockedBuffer

	mute bool // clients reach each other by it alone
}

type testClock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A mute socket sends nothing: the postman carries everything, and cards, which say
// where to find each other, lead to no connection beside it.
type mute struct{ net.PacketConn }

func (mute) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }

func (p *postman) open(name string) *Client {
	p.t.Helper()
	cfg := Config{
		Store: newMemStore(), KDF: identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}, Listen: "127.0.0.1:0",
		Now: p.clock.now, Logger: slog.New(slog.NewTextHandler(p.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if p.mute {
		cfg.ListenPacket = func(addr string) (net.PacketConn, error) {
			pc, err := net.ListenPacket("udp", addr)
			return mute{pc}, err
		}
	}
	if err := Create(p.t.Context(), cfg, name); err != nil {
		p.t.Fatal(err)
	}
	c, err := Open(p.t.Context(), cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return c
}

func (p *postman) do(c *Client, f func(*core)) {
	p.t.Helper()
	if err := c.do(p.t.Context(), func(k *core) error { f(k); return nil }); err != nil {
		p.t.Fatal(err)
	}
}

// other returns c's only contact.
func (p *postman) other(k *core) *contact {
	p.t.Helper()
	if len(k.contacts) != 1 {
		p.t.Fatalf("%d contacts, want 1", len(k.contacts))
	}
	for _, c := range k.contacts {
		return c
	}
	return nil
}

// newPostman returns two contacts; b joined by a's invite.
func newPostman(t testing.TB) *postman {
	t.Helper()
	p, first := newKnock(t)
	p.do(p.a, func(k *core) { k.knock(identity.PeerID{}, first) })
	for i := range 2 { // cards and acknowledgements, both ways
		for _, m := range p.outbox(p.a) {
			p.deliver(p.b, m)
		}
		p.deliver(p.a, p.ack(p.b))
		p.deliver(p.b, p.ack(p.a))
		if i == 1 && len(p.outbox(p.a))+len(p.outbox(p.b)) > 0 {
			t.Fatal("cards were not acknowledged")
		}
	}
	return p
}

// newLinked returns two clients that reach each other by a network as well, of whom b
// has used an invite of a's.
func newLinked(t testing.TB) *postman {
	t.Helper()
	p := &postman{t: t, clock: &testClock{}, logs: &lockedBuffer{}}
	p.a, p.b = p.open("Alice"), p.open("Bob")
	inv, err := p.a.Invite(t.Context(), InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.b.Add(t.Context(), inv.URI, ""); err != nil {
		t.Fatal(err)
	}
	return p
}

// newKnock returns two clients, and b's knock with an invite of a's.
func newKnock(t testing.TB) (*postman, wire.Knock) {
	t.Helper()
	p := &postman{t: t, clock: &testClock{}, logs: &lockedBuffer{}, mute: true}
	p.a, p.b = p.open("Alice"), p.open("Bob")
	made, err := p.a.Invite(t.Context(), InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := identity.ParseInvite(made.URI)
	if err != nil {
		t.Fatal(err)
	}
	inv.Addrs = nil // no network
	if _, err := p.b.Add(t.Context(), inv.URI(), ""); err != nil {
		t.Fatal(err)
	}
	var box wire.PrekeyBox
	p.do(p.a, func(k *core) { box = k.prekeyBox() })
	p.do(p.b, func(k *core) { k.takeBundle(p.other(k), box, true) })
	return p, wire.Knock{Token: inv.Knock(), Message: p.outbox(p.b)[0]}
}

// outbox returns the ratchet messages that c has waiting.
func (p *postman) outbox(c *Client) (out [][]byte) {
	p.t.Helper()
	p.do(c, func(k *core) {}) // what waits for the batch before is stored now
	p.do(c, func(k *core) {
		for _, r := range k.outbox(p.other(k), 1, 1<<40, 0) {
			if r.state == outReady || r.state == outHeld {
				out = append(out, r.content)
			}
		}
	})
	return out
}

func (p *postman) ack(c *Client) (msg []byte) {
	p.t.Helper()
	p.do(c, func(k *core) {
		var err error
		if msg, err = k.encryptAck(p.other(k)); err != nil {
			p.t.Fatal(err)
		}
	})
	return msg
}

func (p *postman) deliver(c *Client, msg []byte) (err error) {
	p.t.Helper()
	p.do(c, func(k *core) { err = k.incoming(p.other(k), msg) })
	return err
}

func (p *postman) send(c *Client, texts ...string) (msgs [][]byte) {
	p.t.Helper()
	var to identity.PeerID
	p.do(c, func(k *core) { to = p.other(k).info.ID })
	for _, text := range texts {
		if _, err := c.Send(p.t.Context(), to, text); err != nil {
			p.t.Fatal(err)
		}
	}
	all := p.outbox(c)
	return all[len(all)-len(texts):]
}

func (p *postman) history(c *Client) (out []string) {
	p.t.Helper()
	var with identity.PeerID
	p.do(c, func(k *core) { with = p.other(k).info.ID })
	h, err := c.History(p.t.Context(), with, HistoryQuery{Limit: 1000})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, m := range h {
		s := m.Text
		if m.Missing > 0 {
			s = fmt.Sprintf("(%d missing) %s", m.Missing, s)
		}
		if m.Mine {
			s = m.State.String() + " " + s
		}
		out = append(out, s)
	}
	return out
}

func (p *postman) want(c *Client, want ...string) {
	p.t.Helper()
	if got := p.history(c); !slices.Equal(got, want) {
		p.t.Errorf("history = %q\nwant %q", got, want)
	}
}

func numbers(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("m", i))
	}
	return out
}

// A relay repeats, reorders and drops: everything once, in order, and what is
// missing is seen (attack 3).
func TestHostileOrder(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, numbers(20)...)
	order := append(slices.Clone(msgs), msgs...)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, m := range order {
		if bytes.Equal(m, msgs[5]) || bytes.Equal(m, msgs[11]) || bytes.Equal(m, msgs[12]) {
			continue // dropped
		}
		if err := p.deliver(p.a, m); err != nil {
			t.Errorf("deliver: %v", err)
		}
	}
	p.want(p.a, numbers(5)...)

	// Half an acknowledgement: what arrived is delivered, the rest is not.
	p.deliver(p.b, p.ack(p.a))
	var state []string
	for i, n := range numbers(20) {
		if i == 5 || i == 11 || i == 12 {
			state = append(state, "queued "+n)
		} else {
			state = append(state, "delivered "+n)
		}
	}
	p.want(p.b, state...)
	if got := len(p.outbox(p.b)); got != 3 {
		t.Errorf("%d messages wait in the outbox, want 3", got)
	}

	// The gap is given up: the rest is shown, and says what is missing.
	p.clock.advance(holdFor + time.Second)
	p.do(p.a, func(k *core) { k.tick() })
	shown := numbers(20)
	want := slices.Concat(shown[:5], []string{"(1 missing) m6"}, shown[7:11], []string{"(2 missing) m13"}, shown[14:])
	p.want(p.a, want...)

	// Late is better than never, and still once.
	for range 2 {
		for _, i := range []int{12, 5, 11} {
			if err := p.deliver(p.a, msgs[i]); err != nil {
				t.Errorf("late: %v", err)
			}
		}
	}
	want = slices.Concat(shown[:5], []string{"m6"}, shown[7:11], []string{"m13"}, shown[14:]) // nothing is missing any more
	p.want(p.a, append(want, "m12", "m5", "m11")...)
	p.deliver(p.b, p.ack(p.a))
	if got := len(p.outbox(p.b)); got != 0 {
		t.Errorf("%d messages wait in the outbox, want none", got)
	}
}

// What is not authentic changes nothing, and what was sent by us is not
// accepted from the other side (attacks 2 and 3).
func TestForgedAndReflected(t *testing.T) {
	p := newPostman(t)
	good := p.send(p.b, "one")[0]
	for i := range good {
		if i%37 != 0 && i > 100 {
			continue
		}
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := p.deliver(p.a, bad); err == nil {
			t.Fatalf("byte %d changed: accepted", i)
		}
	}
	if err := p.deliver(p.b, good); err == nil {
		t.Error("a message reflected to its sender was accepted")
	}
	p.want(p.a)
	if err := p.deliver(p.a, good); err != nil {
		t.Errorf("the message itself: %v", err)
	}
	p.want(p.a, "one")
}

// A false acknowledgement of messages to come delivers nothing (attack 20).
func TestAckOfTheFuture(t *testing.T) {
	p := newPostman(t)
	p.do(p.a, func(k *core) { p.other(k).flow.In.Next = 1000 })
	ack := p.ack(p.a)
	p.send(p.b, "one")
	p.deliver(p.b, ack)
	p.want(p.b, "queued one")
}

// A rejected contact is not answered, whatever it sends (attack 18).
func TestRejectedGetsNoAnswer(t *testing.T) {
	p := newPostman(t)
	msgs := p.send(p.b, "one", "two")
	p.do(p.a, func(k *core) { p.other(k).info.Trust, p.other(k).flow.AckDue = Rejected, false })
	if err := p.deliver(p.a, msgs[0]); err == nil {
		t.Error("a rejected contact's message was accepted")
	}
	p.do(p.a, func(k *core) {
		if c := p.other(k); c.flow.AckDue {
			t.Error("an acknowledgement is due")
		}
	})
	p.want(p.a)
}

// Clocks three hours off change what is shown as the time, not what arrives
// (attack 20).
func TestOldAndFutureClocks(t *testing.T) {
	p := newPostman(t)
	for _, d := range []time.Duration{3 * time.Hour, -6 * time.Hour, 3 * time.Hour} {
		p.clock.advance(d)
		for _, m := range p.send(p.b, fmt.Sprint(d)) {
			if err := p.deliver(p.a, m); err != nil {
				t.Errorf("%v: %v", d, err)
			}
		}
	}
	p.want(p.a, "3h0m0s", "-6h0m0s", "3h0m0s")
}

// No log line has a text, a name or a whole id (attack 23).
func TestLogsSayNothing(t *testing.T) {
	p := newPostman(t)
	m := p.send(p.b, "a private text")[0]
	p.deliver(p.a, m)
	p.deliver(p.a, []byte("garbage"))
	p.a.log.Info("end of log")
	for _, c := range []*Client{p.a, p.b} {
		who, err := c.WhoAmI(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		id := who.ID.String()
		for _, leak := range []string{"private text", "Alice", "Bob", id, strings.ReplaceAll(id, "-", "")} {
			if logs := p.logs.String(); strings.Contains(logs, leak) || !strings.Contains(logs, "end of log") {
				t.Errorf("the log holds %q:\n%s", leak, logs)
			}
		}
	}
}

// What the ratchet no longer knows as a repeat is acknowledged all the same to a
// connected contact, or its sender would repeat it for ever.
func TestOldRepeatIsAcknowledged(t *testing.T) {
	p := newPostman(t)
	msg := p.send(p.a, "once")[0]
	if err := p.deliver(p.b, msg); err != nil {
		t.Fatal(err)
	}
	p.do(p.b, func(k *core) {
		c := p.other(k)
		c.flow.AckDue = false
		k.frame(&link{peer: c.info.ID}, wire.FrameMessage, append(msg[:len(msg)-1:len(msg)-1], msg[len(msg)-1]^1))
		if !c.flow.AckDue {
			t.Error("no acknowledgement is due")
		}
	})
	p.want(p.b, "once")
}

// A payload that comes again in another ratchet message, as after a renewal or a
// restore of its sender's, is shown once, also if nothing marks it as a repeat: its
// number counts, whatever the ratchet says and whichever id or text it has.
func TestNumberCountsOnce(t *testing.T) {
	p := newPostman(t)
	p.send(p.b, "before")
	for _, m := range p.outbox(p.b) {
		if err := p.deliver(p.a, m); err != nil {
			t.Fatal(err)
		}
	}
	var again [][]byte
	p.do(p.b, func(k *core) {
		c := p.other(k)
		counter := c.flow.NextOut
		c.flow.NextOut++
		c.setFlow(k)
		for _, x := range []struct {
			id   MessageID
			text string
		}{{MessageID{1}, "once"}, {MessageID{1}, "once"}, {MessageID{1}, "other text"}, {MessageID{2}, "other id"}} {
			msg, err := c.session.Encrypt(nil, k.payload(c, wire.PayloadText, x.id, counter, []byte(x.text), nil))
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, msg)
		}
		c.setSession(k)
	})
	for _, m := range again {
		if err := p.deliver(p.a, m); err != nil {
			t.Fatalf("the ratchet itself refuses it (%v); the rest of this test would hold for nothing", err)
		}
	}
	p.want(p.a, "before", "once")
	p.do(p.a, func(k *core) {
		if c := p.other(k); c.flow.Shown != c.flow.In.Next || len(c.flow.Gaps) > 0 {
			t.Errorf("shown below %d, received below %d, gaps %v", c.flow.Shown, c.flow.In.Next, c.flow.Gaps)
		}
	})
}

// A contact that lies sends other texts under names that the conversation has: its
// own, and one of ours. None is shown, and ours is still the one that is edited and
// ticked.
func TestNameNamesOneMessage(t *testing.T) {
	p := newPostman(t)
	first := p.send(p.b, "first")
	if err := p.deliver(p.a, first[0]); err != nil {
		t.Fatal(err)
	}
	reply := p.send(p.a, "reply")
	if err := p.deliver(p.b, reply[0]); err != nil {
		t.Fatal(err)
	}
	var bob identity.PeerID
	p.do(p.a, func(k *core) { bob = p.other(k).info.ID })
	h, err := p.a.History(t.Context(), bob, HistoryQuery{Limit: 10})
	if err != nil || len(h) != 2 {
		t.Fatalf("history = %v, %v", h, err)
	}
	for _, m := range h {
		var msg []byte
		p.do(p.b, func(k *core) {
			c := p.other(k)
			plain := k.payload(c, wire.PayloadText, m.ID, c.flow.NextOut, []byte("another"), nil)
			c.flow.NextOut++
			if msg, err = c.session.Encrypt(nil, plain); err != nil {
				t.Error(err)
			}
		})
		if err := p.deliver(p.a, msg); err != nil {
			t.Fatal(err)
		}
	}
	p.want(p.a, "first", "queued reply")
	if _, err := p.a.Edit(t.Context(), bob, h[1].ID, "changed"); err != nil {
		t.Errorf("editing our own message: %v", err)
	}
	p.deliver(p.a, p.ack(p.b))
	p.want(p.a, "first", "delivered changed")
}
