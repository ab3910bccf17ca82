package relay_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
)

// startRelay starts a relay with readers at an address, on a store that others
// may have used before. stop ends it as a crash would: without a word to anybody.
func startRelay(t testing.TB, at netip.AddrPort, db string) (s *relay.Server, addr identity.ServerAddr, stop func()) {
	t.Helper()
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	store := must[*sqlite.Store](t)(sqlite.Open(t.Context(), db))
	s = must[*relay.Server](t)(relay.NewServer(relay.ServerConfig{Key: key, Store: store}))
	pc := must[*net.UDPConn](t)(net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)))
	ep := must[*transport.Endpoint](t)(transport.New(transport.Config{
		PacketConn: pc, ServerKey: key, Forward: s.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve},
	}))
	s.SetSend(ep.WritePacket)
	ep.Forward(2, s)
	port := ep.LocalAddr().Port()
	return s, identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: port}, func() {
		ep.Close()
		s.Close()
		store.Close()
	}
}

// Spec §6.6.5: a new process with the same key takes up the sessions of the old
// one, of which nothing is stored: a connection through the relay goes on.
func TestRestart(t *testing.T) {
	db := t.TempDir() + "/relay.db"
	_, addr, stop := startRelay(t, netip.MustParseAddrPort("127.0.0.1:0"), db)
	r := &testRelay{addr: addr}
	a, b := newForwarder(t, r, "Alice", 1), newForwarder(t, r, "Bob", 2)
	legA, ticket, err := a.c.OpenForward(timeout(t))
	ok(t, err)
	legB := must[transport.Leg](t)(b.c.JoinForward(timeout(t), ticket))
	conns := make(chan *transport.PeerConn, 2)
	for _, x := range []struct {
		f   forwarder
		to  *identity.Local
		leg transport.Leg
	}{{a, b.id, legA}, {b, a.id, legB}} {
		go func() {
			c, err := x.f.ep.Connect(timeout(t), transport.Attempt{
				Peer: x.to.PeerID(), Record: x.to.Record(), ProbeKey: [32]byte{9}, Relay: &x.leg, RelayOnly: true,
			})
			if err != nil {
				t.Error(err)
			}
			conns <- c
		}()
	}
	ca, cb := <-conns, <-conns
	if t.Failed() {
		t.FailNow()
	}
	defer ca.Close(0, "")
	defer cb.Close(0, "")
	out := must[*transport.Stream](t)(ca.OpenStream(timeout(t)))
	var in *transport.Stream
	ping := func() {
		t.Helper()
		must[int](t)(out.Write([]byte("ping")))
		if in == nil {
			in = must[*transport.Stream](t)(cb.AcceptStream(timeout(t)))
		}
		in.SetReadDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 4)
		for n := 0; n < 4; {
			k, err := in.Read(buf[n:])
			ok(t, err)
			n += k
		}
	}
	ping()
	stop()
	start := time.Now()
	s2, _, stop2 := startRelay(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port), db)
	up := time.Since(start)
	start = time.Now()
	ping()
	gap := time.Since(start)
	ping()
	if c := s2.Counters(); c.Resumed != 2 || c.Sessions != 1 || c.Forwarded == 0 {
		t.Errorf("counters = %+v", c)
	}
	// Owners who come back keep the session.
	must[*relay.Client](t)(relay.Dial(timeout(t), a.ep, addr, owner(t, 1), ""))
	ping()
	t.Logf("gap %v after a start of %v", gap, up)
	if os.Getenv("SREMP_FIGURES") != "" {
		fmt.Printf("figure: relay.7.restart_gap %.3f s from the new process's start to the first byte through it, at most 1\n", (up + gap).Seconds())
	}
	stop2()
}
