package rendezvous

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A pipe is one end of a connection in memory.
type pipe struct {
	net.Conn
	binding [32]byte
	remote  netip.AddrPort
}

func (p pipe) Binding() [32]byte          { return p.binding }
func (p pipe) RemoteAddr() netip.AddrPort { return p.remote }
func (p pipe) Close(uint64, string) error { return p.Conn.Close() }

// A fixture is a server in memory.
type fixture struct {
	t      *testing.T
	server *Server
	key    *identity.ServerKey
	conns  byte
	wg     sync.WaitGroup
}

func newFixture(t *testing.T, c ServerConfig) *fixture {
	t.Helper()
	return newFixtureAt(t, c, time.Now)
}

// newFixtureAt gives the server a clock of its own.
func newFixtureAt(t *testing.T, c ServerConfig, now func() time.Time) *fixture {
	t.Helper()
	key := c.Key
	if key == nil {
		key = serverKey(t, 77)
		c.Key = key
	}
	s, err := newServer(c, now)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, server: s, key: key}
	t.Cleanup(func() {
		s.Close()
		f.wg.Wait()
	})
	return f
}

// connect returns the client's end of a new connection.
func (f *fixture) connect() pipe {
	f.conns++
	a, b := net.Pipe()
	remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 0, f.conns}), 4000)
	binding := [32]byte{f.conns}
	f.wg.Go(func() { f.server.serve(context.Background(), pipe{b, binding, remote}, b) })
	return pipe{a, binding, netip.MustParseAddrPort("203.0.113.1:443")}
}

func (f *fixture) client() *Client {
	f.t.Helper()
	p := f.connect()
	c, err := newClient(f.t.Context(), f.key.ID(), p, p.Conn)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

func register(t *testing.T, c *Client, l *identity.Local, lookup [32]byte) {
	t.Helper()
	if err := c.Register(t.Context(), time.Now(), l, lookup, testContent(t, l), 0); err != nil {
		t.Fatal(err)
	}
}

func TestRegisterAndLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, seeker := f.client(), f.client()
		if got := owner.Observed(); got != netip.MustParseAddrPort("11.0.0.1:4000") {
			t.Errorf("observed %v, want 11.0.0.1:4000", got)
		}
		if _, _, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, ErrNotFound) {
			t.Errorf("before registration: %v, want ErrNotFound", err)
		}
		register(t, owner, l, lookup)
		c, online, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup)
		if err != nil || !online || !c.Record.Equal(l.Record()) {
			t.Fatalf("got %+v, %v, %v", c, online, err)
		}
		if _, _, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), [32]byte{2}); !errors.Is(err, ErrNotFound) {
			t.Errorf("with another lookup secret: %v, want ErrNotFound", err)
		}

		owner.Close()
		synctest.Wait()
		if _, online, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err != nil || online {
			t.Errorf("after the owner left: online %v, %v", online, err)
		}
		// The next day the second of the two names serves, until its time is over.
		time.Sleep(23 * time.Hour)
		if _, _, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err != nil {
			t.Errorf("23 hours later: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if _, _, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, ErrNotFound) {
			t.Errorf("25 hours later: %v, want ErrNotFound", err)
		}
	})
}

func TestPeriodChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, seeker := f.client(), f.client()
		time.Sleep(24*time.Hour - time.Minute) // bubbles start at midnight
		register(t, owner, l, lookup)
		before := Period(time.Now())
		time.Sleep(2 * time.Minute)
		if now := Period(time.Now()); now != before+1 {
			t.Fatalf("period %d, want %d", now, before+1)
		}
		if _, online, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err != nil || !online {
			t.Errorf("after midnight: online %v, %v", online, err)
		}
	})
}

func TestUnregister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		f := newFixture(t, ServerConfig{Store: store})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, seeker := f.client(), f.client()
		register(t, owner, l, lookup)
		if len(store.records) != 2 {
			t.Errorf("%d records, want 2", len(store.records))
		}
		if err := owner.Unregister(t.Context(), time.Now(), l, lookup); err != nil {
			t.Fatal(err)
		}
		if _, _, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if len(store.records) != 0 {
			t.Errorf("%d records left", len(store.records))
		}
	})
}

// The server's clock counts when it is within a day of ours (spec §7.2.2).
func TestClocks(t *testing.T) {
	for _, tt := range []struct {
		skew time.Duration
		want error
	}{{0, nil}, {3 * time.Hour, nil}, {-23 * time.Hour, nil}, {72 * time.Hour, ErrClock}, {-72 * time.Hour, ErrClock}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixtureAt(t, ServerConfig{}, func() time.Time { return time.Now().Add(tt.skew) })
			l, lookup := newPerson(t, "Ada"), [32]byte{1}
			owner, seeker := f.client(), f.client()
			if got := time.Until(owner.ServerTime()); (got - tt.skew).Abs() > time.Millisecond {
				t.Errorf("skew %v: server time is off by %v", tt.skew, got)
			}
			err := owner.Register(t.Context(), time.Now(), l, lookup, testContent(t, l), 0)
			if !errors.Is(err, tt.want) {
				t.Fatalf("skew %v: got %v, want %v", tt.skew, err, tt.want)
			}
			if _, online, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err == nil != (tt.want == nil) || online != (tt.want == nil) {
				t.Errorf("skew %v: online %v, %v", tt.skew, online, err)
			}
		})
	}
}

func TestIntroduce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, seeker := f.client(), f.client()
		ask := func(offer string) ([]byte, error) {
			return seeker.Introduce(t.Context(), time.Now(), l.PeerID(), lookup, []byte(offer))
		}
		if _, err := ask("hello"); !errors.Is(err, ErrOffline) {
			t.Errorf("an absent peer: %v, want ErrOffline", err)
		}
		register(t, owner, l, lookup)
		if _, err := seeker.Introduce(t.Context(), time.Now(), l.PeerID(), [32]byte{2}, nil); !errors.Is(err, ErrOffline) {
			t.Errorf("a hidden peer: %v, want ErrOffline", err)
		}

		var answered time.Time
		f.wg.Go(func() {
			for in := range owner.Introductions() {
				if string(in.Sealed) == "silence" {
					continue
				}
				if err := in.Answer(context.Background(), append([]byte("re: "), in.Sealed...)); err != nil {
					t.Error(err)
				}
				answered = time.Now()
			}
		})
		answer, err := ask("hello")
		if err != nil || string(answer) != "re: hello" {
			t.Errorf("got %q, %v", answer, err)
		}
		synctest.Wait()
		if !answered.Equal(time.Now()) {
			t.Error("the go did not come with the answer")
		}
		start := time.Now()
		if _, err := ask("silence"); !errors.Is(err, ErrTimeout) || time.Since(start) != 20*time.Second {
			t.Errorf("no answer: %v after %v, want ErrTimeout after 20s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := seeker.Introduce(ctx, time.Now(), l.PeerID(), lookup, []byte("silence")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		owner.Close()
		synctest.Wait()
		if _, err := ask("hello"); !errors.Is(err, ErrOffline) {
			t.Errorf("after the peer left: %v, want ErrOffline", err)
		}
	})
}

// An offer that was not sealed by somebody who knows the lookup secret does not
// reach the application, and the server cannot exchange answers.
func TestIntroductionIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner := f.client()
		register(t, owner, l, lookup)
		name := BlindedName(l.PeerID(), lookup, owner.period(time.Now()))
		owner.handleOffer(wire.RendezvousOffer{Blinded: name.Blinded, Offer: make([]byte, wire.RendezvousBlob)})
		owner.handleOffer(wire.RendezvousOffer{Blinded: [32]byte{1}, Offer: make([]byte, wire.RendezvousBlob)})
		offer, err := sealPadded(periodAEAD(contextOfferKey, l.PeerID(), lookup, name.Period), name.Blinded[:], []byte("x"), introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		reflected, err := sealPadded(periodAEAD(contextAnswerKey, l.PeerID(), lookup, name.Period), name.Blinded[:], []byte("x"), introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		owner.handleOffer(wire.RendezvousOffer{Blinded: name.Blinded, Offer: reflected})
		if n := len(owner.intros); n != 0 {
			t.Errorf("%d forged offers passed on", n)
		}
		for range 2 * introQueue {
			owner.handleOffer(wire.RendezvousOffer{Blinded: name.Blinded, Offer: offer})
		}
		if n := len(owner.intros); n != introQueue {
			t.Errorf("%d offers wait, want %d", n, introQueue)
		}
		// An answer to one offer does not open as the answer to another.
		aead := periodAEAD(contextAnswerKey, l.PeerID(), lookup, name.Period)
		answer, err := sealPadded(aead, answerData(offer), []byte("y"), introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := openPadded(aead, answerData(reflected), answer, introductionBuckets); ok {
			t.Error("the answer to another offer opens")
		}
	})
}

// raw speaks frames on one connection, after the hello.
type raw struct {
	t *testing.T
	p pipe
}

func (f *fixture) raw() raw {
	f.t.Helper()
	r := raw{f.t, f.connect()}
	f.t.Cleanup(func() { r.p.Conn.Close() })
	if typ, _ := r.ask(wire.FrameRendezvousHello, wire.RendezvousHello{Version: version}.Append(nil)); typ != wire.FrameRendezvousWelcome {
		f.t.Fatalf("got frame %#x, want a welcome", typ)
	}
	return r
}

func (r raw) ask(typ uint16, payload []byte) (uint16, []byte) {
	r.t.Helper()
	if err := transport.WriteFrame(r.p.Conn, typ, payload); err != nil {
		r.t.Fatal(err)
	}
	typ, b, err := transport.ReadFrame(r.p.Conn, wire.MaxRendezvousFrame)
	if err != nil {
		r.t.Fatal(err)
	}
	return typ, b
}

func (r raw) register(x wire.RendezvousRegister) wire.RendezvousStatus {
	r.t.Helper()
	_, b := r.ask(wire.FrameRendezvousRegister, x.Append(nil))
	answer, err := wire.ParseRendezvousRegistered(b)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.Status
}

// signedRegistration is l's for one server and connection.
func signedRegistration(l *identity.Local, lookup [32]byte, period uint64, ttl uint32, sealed []byte, server identity.ServerID, binding [32]byte) wire.RendezvousRegister {
	bk := blindKey(l.IdentityKey(), lookup, period)
	x := wire.RendezvousRegister{Blinded: bk.public, Period: period, TTL: ttl, Sealed: sealed}
	x.Signature = bk.sign(contextRegistration, registrationMessage(server, binding, x))
	return x
}

// Nobody registers another's key, and a registration holds for one server, one
// connection, one lifetime and one record.
func TestRegistrationIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		f := newFixture(t, ServerConfig{Store: store, Limits: Limits{Register: Rate{100, time.Second}}})
		l, mallory, lookup := newPerson(t, "Ada"), newPerson(t, "Mallory"), [32]byte{1}
		a, b := f.raw(), f.raw()
		day := Period(time.Now())
		good := signedRegistration(l, lookup, day, 60, []byte("sealed"), f.key.ID(), a.p.binding)

		edited := func(edit func(*wire.RendezvousRegister)) wire.RendezvousRegister {
			x := good
			edit(&x)
			return x
		}
		theirs := signedRegistration(mallory, lookup, day, 60, []byte("sealed"), f.key.ID(), a.p.binding)
		for what, x := range map[string]wire.RendezvousRegister{
			"another server":       signedRegistration(l, lookup, day, 60, []byte("sealed"), identity.ServerID{9}, a.p.binding),
			"another ttl":          edited(func(x *wire.RendezvousRegister) { x.TTL = 61 }),
			"another record":       edited(func(x *wire.RendezvousRegister) { x.Sealed = []byte("Sealed") }),
			"another period":       edited(func(x *wire.RendezvousRegister) { x.Period++ }),
			"another key":          edited(func(x *wire.RendezvousRegister) { x.Blinded = theirs.Blinded }),
			"another's signature":  edited(func(x *wire.RendezvousRegister) { x.Signature = theirs.Signature }),
			"a key of small order": {Blinded: [32]byte{1}, Period: day, TTL: 60, Sealed: []byte("x"), Signature: [64]byte{1}},
			"a removal":            {Blinded: good.Blinded, Period: day, Signature: good.Signature},
		} {
			if got := a.register(x); got != wire.RendezvousRefused {
				t.Errorf("%s: status %d, want %d", what, got, wire.RendezvousRefused)
			}
		}
		if got := b.register(good); got != wire.RendezvousRefused {
			t.Errorf("on another connection: status %d, want %d", got, wire.RendezvousRefused)
		}
		for _, p := range []uint64{day - 2, day + 2, 0, 1<<64 - 1} {
			x := signedRegistration(l, lookup, p, 60, []byte("sealed"), f.key.ID(), a.p.binding)
			if got := a.register(x); got != wire.RendezvousPeriod {
				t.Errorf("period %d on day %d: status %d, want %d", p, day, got, wire.RendezvousPeriod)
			}
		}
		if len(store.records) != 0 {
			t.Fatalf("%d records stored", len(store.records))
		}
		if got := a.register(good); got != wire.RendezvousOK {
			t.Errorf("the genuine one: status %d", got)
		}
	})
}

// Absent and hidden look alike: the same bytes but for the request's number.
func TestAbsentAndHiddenLookAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		l := newPerson(t, "Ada")
		owner := f.client()
		register(t, owner, l, [32]byte{1})
		r := f.raw()
		absent, hidden := newPerson(t, "Bob"), BlindedName(l.PeerID(), [32]byte{2}, Period(time.Now()))
		_, a := r.ask(wire.FrameRendezvousLookup, wire.RendezvousLookup{Blinded: BlindedName(absent.PeerID(), [32]byte{1}, 1).Blinded}.Append(nil))
		_, h := r.ask(wire.FrameRendezvousLookup, wire.RendezvousLookup{Blinded: hidden.Blinded}.Append(nil))
		found := BlindedName(l.PeerID(), [32]byte{1}, Period(time.Now()))
		_, p := r.ask(wire.FrameRendezvousLookup, wire.RendezvousLookup{Blinded: found.Blinded}.Append(nil))
		if !bytes.Equal(a, h) || len(a) != len(p) {
			t.Errorf("answers of %d, %d and %d bytes, want the first two the same, the third as long", len(a), len(h), len(p))
		}
	})
}

func TestServerLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{MaxRecords: 1, Lookup: Rate{1, time.Minute}, MaxTTL: time.Hour}})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		c := f.client()
		if got := c.MaxTTL(); got != time.Hour {
			t.Errorf("MaxTTL %v, want 1h", got)
		}
		if err := c.Register(t.Context(), time.Now(), l, lookup, testContent(t, l), 48*time.Hour); !errors.Is(err, ErrBusy) {
			t.Errorf("two records where one fits: %v, want ErrBusy", err)
		}
		if _, _, err := c.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); err != nil {
			t.Errorf("first lookup: %v", err)
		}
		if _, _, err := c.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, ErrBusy) {
			t.Errorf("second lookup: %v, want ErrBusy", err)
		}
		time.Sleep(time.Hour)
		if _, _, err := c.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the longest ttl: %v, want ErrNotFound", err)
		}
	})
}

type brokenStore struct{ MemoryStore }

func (*brokenStore) Get(context.Context, [32]byte, time.Time) (StoredRecord, bool, error) {
	return StoredRecord{}, false, errors.New("disk on fire")
}

func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Store: &brokenStore{}})
		if _, _, err := f.client().Lookup(t.Context(), time.Now(), newPerson(t, "Ada").PeerID(), [32]byte{}); !errors.Is(err, ErrServer) {
			t.Errorf("got %v, want ErrServer", err)
		}
	})
}

// Bytes before and after the hello: wrong, cut, slow. The connection ends, and
// within five seconds when nothing is said.
func TestHostileClients(t *testing.T) {
	hello := wire.AppendFrame(nil, wire.FrameRendezvousHello, wire.RendezvousHello{Version: version}.Append(nil))
	for what, b := range map[string][]byte{
		"nothing":            nil,
		"half a header":      {2},
		"wrong first frame":  wire.AppendFrame(nil, wire.FrameRendezvousLookup, make([]byte, 36)),
		"wrong version":      wire.AppendFrame(nil, wire.FrameRendezvousHello, wire.RendezvousHello{Version: 9}.Append(nil)),
		"huge frame":         {0x02, 0x00, 0xff, 0xff, 0xff},
		"huge second frame":  append(bytes.Clone(hello), 0x02, 0x02, 0xff, 0xff, 0xff),
		"unknown frame":      append(bytes.Clone(hello), wire.AppendFrame(nil, 0x02ff, nil)...),
		"server's frame":     append(bytes.Clone(hello), wire.AppendFrame(nil, wire.FrameRendezvousGo, wire.RendezvousGo{}.Append(nil))...),
		"empty registration": append(bytes.Clone(hello), wire.AppendFrame(nil, wire.FrameRendezvousRegister, nil)...),
		"second hello":       append(bytes.Clone(hello), hello...),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, ServerConfig{})
			p := f.connect()
			defer p.Conn.Close()
			start := time.Now()
			f.wg.Go(func() { p.Conn.Write(b) })
			if _, err := io.Copy(io.Discard, p.Conn); err != nil || time.Since(start) > 5*time.Second {
				t.Errorf("%s: %v after %v, want the end within 5s", what, err, time.Since(start))
			}
		})
	}
}

// A client that asks and does not read holds no memory but its outbox.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{Introduce: Rate{1000, time.Second}}})
		slow := f.raw()
		done := make(chan struct{})
		f.wg.Go(func() {
			defer close(done)
			for {
				if transport.WriteFrame(slow.p.Conn, wire.FrameRendezvousIntroduce, wire.RendezvousIntroduce{Offer: blob1}.Append(nil)) != nil {
					return
				}
			}
		})
		<-done // the server closed the connection
		if _, _, err := f.client().Lookup(t.Context(), time.Now(), newPerson(t, "Ada").PeerID(), [32]byte{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("another client: %v, want ErrNotFound", err)
		}
	})
}

// A server that does not speak the protocol ends the client's calls.
func TestHostileServer(t *testing.T) {
	welcome := wire.AppendFrame(nil, wire.FrameRendezvousWelcome, wire.RendezvousWelcome{Version: version, Observed: netip.MustParseAddrPort("11.0.0.1:1"), MaxTTL: 60}.Append(nil))
	for what, b := range map[string][]byte{
		"cut answer":    wire.AppendFrame(nil, wire.FrameRendezvousFound, []byte{0, 0, 0, 1}),
		"wrong answer":  wire.AppendFrame(nil, wire.FrameRendezvousRegistered, wire.RendezvousRegistered{Request: 1}.Append(nil)),
		"no number":     wire.AppendFrame(nil, wire.FrameRendezvousFound, []byte{1}),
		"unknown frame": wire.AppendFrame(nil, 0x02ff, nil),
		"end":           nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			a, b2 := net.Pipe()
			defer b2.Close()
			read := make(chan struct{})
			go func() {
				defer close(read)
				transport.ReadFrame(b2, 1000)
				b2.Write(welcome)
				transport.ReadFrame(b2, 1000)
				b2.Write(b)
				if b == nil {
					b2.Close()
				}
			}()
			c, err := newClient(t.Context(), identity.ServerID{}, pipe{a, [32]byte{}, netip.AddrPort{}}, a)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Lookup(t.Context(), time.Now(), newPerson(t, "Ada").PeerID(), [32]byte{}); err == nil {
				t.Errorf("%s: no error", what)
			}
			<-c.Done()
			if err := c.Err(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", what, err)
			}
			if _, _, err := c.Lookup(t.Context(), time.Now(), newPerson(t, "Ada").PeerID(), [32]byte{}); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", what, err)
			}
			<-read
		})
	}
}

func TestNewClientGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := newClient(ctx, identity.ServerID{}, pipe{a, [32]byte{}, netip.AddrPort{}}, a); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	})
}

func TestServerCloseEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		c := f.client()
		f.server.Close()
		<-c.Done()
		p := f.connect()
		if _, err := newClient(t.Context(), f.key.ID(), p, p.Conn); err == nil {
			t.Error("a closed server took a connection")
		}
	})
}
