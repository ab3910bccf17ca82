package relay_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A forwarder is a registered client with a peer's endpoint on the same socket.
type forwarder struct {
	id *identity.Local
	ep *transport.Endpoint
	c  *relay.Client
}

func newForwarder(t *testing.T, r *testRelay, name string, ownerSeed byte) forwarder {
	t.Helper()
	id, _, err := identity.NewLocal(name, time.Now())
	ok(t, err)
	ep := endpoint(t, transport.Config{Identity: id})
	c := must[*relay.Client](t)(relay.Dial(timeout(t), ep, r.addr, owner(t, ownerSeed), ""))
	t.Cleanup(func() { c.Close() })
	return forwarder{id, ep, c}
}

// Two peers who share no path but the relay talk through it; the relay's
// packets go to their two addresses and nowhere else.
func TestPeersThroughTheRelay(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	a, b := newForwarder(t, r, "Alice", 1), newForwarder(t, r, "Bob", 2)
	legA, ticket, err := a.c.OpenForward(timeout(t))
	ok(t, err)
	legB := must[transport.Leg](t)(b.c.JoinForward(timeout(t), ticket))
	if _, err := b.c.JoinForward(timeout(t), ticket); !errors.Is(err, relay.ErrTicket) {
		t.Errorf("a ticket used twice: err = %v, want ErrTicket", err)
	}
	probe := [32]byte{9}
	type result struct {
		c   *transport.PeerConn
		err error
	}
	connect := func(f forwarder, to *identity.Local, leg transport.Leg) chan result {
		done := make(chan result, 1)
		go func() {
			c, err := f.ep.Connect(timeout(t), transport.Attempt{Peer: to.PeerID(), Record: to.Record(), ProbeKey: probe, Relay: &leg, RelayOnly: true})
			done <- result{c, err}
		}()
		return done
	}
	ca, cb := connect(a, b.id, legA), connect(b, a.id, legB)
	ra, rb := <-ca, <-cb
	ok(t, ra.err)
	ok(t, rb.err)
	defer ra.c.Close(0, "")
	defer rb.c.Close(0, "")
	if p := ra.c.Path(); p.Kind != transport.PathRelay {
		t.Errorf("path = %+v, want the relay's", p)
	}
	body := bytes.Repeat([]byte("x"), 300<<10)
	go func() {
		s, err := ra.c.OpenStream(timeout(t))
		if err == nil {
			_, err = s.Write(body)
		}
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Errorf("sending: %v", err)
		}
	}()
	s := must[*transport.Stream](t)(rb.c.AcceptStream(timeout(t)))
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, body) {
		t.Errorf("received %d bytes, %v; want %d", len(got), err, len(body))
	}
	if c := r.Counters(); c.Forwarded < 200 || c.DroppedForged+c.DroppedReplayed+c.DroppedUnknown != 0 {
		t.Errorf("counters = %+v", c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	want := map[netip.AddrPort]bool{a.ep.LocalAddr(): true, b.ep.LocalAddr(): true}
	for to := range r.sent {
		if !want[to] {
			t.Errorf("the relay sent to %v", to)
		}
	}
}

// Whoever sends to the relay from elsewhere, even a side's own packet with a
// valid MAC, gets no more than the question who he is, and moves nothing.
func TestForwardContactsNobodyElse(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	a, b := newForwarder(t, r, "Alice", 1), newForwarder(t, r, "Bob", 2)
	legA, ticket, err := a.c.OpenForward(timeout(t))
	ok(t, err)
	legB := must[transport.Leg](t)(b.c.JoinForward(timeout(t), ticket))

	victim := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	defer victim.Close()
	victimAddr := victim.LocalAddr().(*net.UDPAddr).AddrPort()
	packet := func(leg transport.Leg, counter uint64, key [16]byte) []byte {
		p := append(make([]byte, wire.ForwardHeaderLen), "not a QUIC packet at all"...)
		wire.SealForward(p, leg.Side, leg.Session, counter, key)
		return p
	}
	count := func() uint64 {
		c := r.Counters()
		return c.Forwarded + c.DroppedForged + c.DroppedReplayed + c.DroppedUnknown
	}
	packets := [][]byte{
		packet(legA, 1000, legA.Key), packet(legA, 1000, legA.Key), packet(legA, 1001, legB.Key), packet(legB, 1000, legB.Key),
		packet(transport.Leg{Session: legA.Session + 1}, 1002, legA.Key),
	}
	for _, p := range packets {
		must[int](t)(victim.WriteToUDPAddrPort(p, legA.Server))
	}
	for ctx := timeout(t); count() < uint64(len(packets)); {
		if ctx.Err() != nil {
			t.Fatal("the packets did not arrive")
		}
		time.Sleep(time.Millisecond)
	}
	// Whatever the relay sends back stands in its own record before it counts.
	r.mu.Lock()
	defer r.mu.Unlock()
	// It asks who is there, never with more bytes than came (spec §6.6.5).
	for range r.sent[victimAddr] {
		b := make([]byte, 2000)
		n := must[int](t)(victim.Read(b))
		if _, _, fromRelay, is := wire.ParseForwardControl(b[:n]); !is || !fromRelay || n > len(packets[0]) {
			t.Errorf("the relay sent %d bytes to an address that is nobody's connection: %x", n, b[:n])
		}
	}
	if r.sent[a.ep.LocalAddr()] != 1 || r.sent[b.ep.LocalAddr()] != 1 {
		t.Errorf("sent = %v, want one to each side", r.sent)
	}
	if c := r.Counters(); c.DroppedReplayed != 1 || c.DroppedForged != 1 || c.DroppedUnknown != 1 || c.Forwarded != 2 {
		t.Errorf("counters = %+v", c)
	}
}
