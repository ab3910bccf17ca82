package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// garbageEndpoint has everything that looks at packets before authentication.
func garbageEndpoint(t testing.TB, pc net.PacketConn) *Endpoint {
	t.Helper()
	ann, bob := pair(t)
	e := endpoint(t, Config{PacketConn: pc, Identity: ann, STUN: true, Forward: func(netip.AddrPort, []byte) {}})
	e.OnHello([32]byte{1}, func(netip.AddrPort, []byte) []byte { return nil })
	at := newAttempt(Attempt{Peer: bob.PeerID(), ProbeKey: [32]byte{2}, Relay: &Leg{Server: e.LocalAddr(), Session: testSession}}, func(error) {})
	e.begin(at, true)
	t.Cleanup(func() { e.withdraw(at); e.m.paths.release(at.link) })
	return e
}

// Every length and first byte, to a socket that still works afterwards.
func TestGarbageDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		e := garbageEndpoint(t, n.conn("11.0.0.1:1"))
		key := serverKey(t, 1)
		server := n.endpoint("11.0.0.3:1", Config{ServerKey: key, Services: map[string]func(context.Context, *Conn){testALPN: echo}})
		evil := n.conn("11.0.0.66:1")
		defer evil.Close()
		to := net.UDPAddrFromAddrPort(e.LocalAddr())
		b := make([]byte, 1500)
		for _, first := range []byte{0, 1, 4, 5, 6, 7, 0x10, 0x2f, 0x30, 0x31, 0x3f, 0x40, 0x80, 0xc0, 0xff} {
			for n := range b {
				b[0] = first
				evil.WriteTo(b[:n], to)
			}
			synctest.Wait()
		}
		if _, err := e.DialServer(t.Context(), serverAddr(key.ID(), server.LocalAddr()), testALPN); err != nil {
			t.Errorf("after garbage: %v", err)
		}
	})
}

func FuzzDatagram(f *testing.F) {
	e := garbageEndpoint(f, nil)
	from := netip.MustParseAddrPort("11.0.0.66:1")
	forward := append(make([]byte, wire.ForwardHeaderLen), 0x40, 1, 2)
	wire.SealForward(forward, wire.ForwardFromRelay, testSession, 1, [16]byte{})
	f.Add(forward)
	f.Add(sealHello(newHelloKeys([32]byte{1}).request, helloRequest, helloMessage{kind: kindHello}))
	f.Add([]byte{0x40, 1, 2, 3})
	// The same to a spare socket, which expects a ping.
	key, at := [32]byte{3}, []nat.Candidate{{Addr: from, Kind: nat.ServerReflexive}}
	pc := udpConn(f)
	f.Cleanup(func() { pc.Close() })
	s := &spareSearch{
		x:     &extraSocket{pc: pc, out: writeOnly(pc, &e.m.stats)},
		agent: nat.NewAgent(time.Now(), nat.AgentConfig{Key: key, Remote: at, Waiting: true}),
	}
	var p *prober
	for p = range e.probers {
		p.mu.Lock()
		p.spare = s
		p.mu.Unlock()
	}
	peer := nat.NewAgent(time.Now(), nat.AgentConfig{Key: key, Controlling: true, Remote: at})
	peer.HandleTimeout(time.Now())
	ping, _ := peer.PollTransmit()
	f.Add(ping.Payload)
	f.Fuzz(func(t *testing.T, b []byte) {
		p.handleSpare(s, time.Now(), from, b)
		e.m.sort(datagram{data: b, from: from, addr: net.UDPAddrFromAddrPort(from)})
	})
}

// Spec §5.6: who says nothing, or nonsense, is gone in five seconds, and has
// never reached the service.
func TestSlowAndBrokenHandshakes(t *testing.T) {
	for _, test := range []struct {
		name  string
		speak func(*quic.Stream)
		soon  bool // closed at once, not after the timeout
	}{
		{"silent", func(*quic.Stream) {}, false},
		{"half a length", func(s *quic.Stream) { s.Write([]byte{0}) }, false},
		{"half a message", func(s *quic.Stream) { s.Write([]byte{0, 32, 1, 2, 3}) }, false},
		{"no length", func(s *quic.Stream) { s.Write([]byte{0, 0}) }, true},
		{"too long", func(s *quic.Stream) { s.Write([]byte{0xff, 0xff}) }, true},
		{"low order point", func(s *quic.Stream) { s.Write(append([]byte{0, 32}, make([]byte, 32)...)) }, true},
		{"ends", func(s *quic.Stream) { s.Close() }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newSimNet(t)
				server := n.endpoint("11.0.0.1:1", Config{ServerKey: serverKey(t, 1), Services: map[string]func(context.Context, *Conn){
					testALPN: func(context.Context, *Conn) { t.Error("the service was reached") },
				}})
				evil := n.endpoint("11.0.0.66:1", Config{})
				q, err := evil.main.Dial(t.Context(), net.UDPAddrFromAddrPort(server.LocalAddr()), clientTLS(testALPN), quicConfig())
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				s, err := q.OpenStream()
				if err != nil {
					t.Fatal(err)
				}
				test.speak(s)
				<-q.Context().Done()
				limit := handshakeTimeout + simRTT
				if test.soon {
					limit = 3 * simRTT
				}
				if got := time.Since(start); got > limit {
					t.Errorf("closed after %v, want %v at most", got, limit)
				}
				synctest.Wait()
				if got := server.halfOpen.Load(); got != 0 {
					t.Errorf("%d connections half open, want 0", got)
				}
			})
		})
	}
}

// An endpoint without services or identity answers nobody.
func TestNobodyHome(t *testing.T) {
	ctx := withTimeout(t)
	e, client := endpoint(t, Config{}), endpoint(t, Config{})
	_, err := client.DialServer(ctx, serverAddr(serverKey(t, 1).ID(), e.LocalAddr()), testALPN)
	if !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// A frame of the control stream that breaks its rules ends the connection.
func TestControlRules(t *testing.T) {
	for name, speak := range map[string]func(a, b *PeerConn){
		"path from the dialled side": func(_, b *PeerConn) {
			WriteFrame(b.control, wire.FrameControlPath, wire.ControlPath{Seq: 1, Path: wire.ControlPathDirect}.Append(nil))
		},
		"path twice": func(a, _ *PeerConn) {
			for range 2 {
				WriteFrame(a.control, wire.FrameControlPath, wire.ControlPath{Seq: 9, Path: wire.ControlPathRelay}.Append(nil))
			}
		},
		"rounds too fast": func(a, _ *PeerConn) {
			for i := range uint32(roundBurst + 1) {
				WriteFrame(a.control, wire.FrameControlCandidates, wire.ControlCandidates{Round: i + 1}.Append(nil))
			}
		},
		"candidates twice": func(_, b *PeerConn) {
			WriteFrame(b.control, wire.FrameControlCandidates, wire.ControlCandidates{}.Append(nil))
		},
		"too long":  func(a, _ *PeerConn) { WriteFrame(a.control, 0x00ff, make([]byte, wire.MaxControlFrame+1)) },
		"malformed": func(a, _ *PeerConn) { WriteFrame(a.control, wire.FrameControlPing, []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, _, a, b := simPair(t, false)
				time.Sleep(3 * time.Second)
				speak(a, b)
				<-a.Done()
				<-b.Done()
				if _, ok := <-b.PathChanges(); ok {
					<-b.PathChanges()
				}
			})
		})
	}
}

// Close says goodbye, so that the other side knows at once.
func TestCloseSaysGoodbye(t *testing.T) {
	ctx := withTimeout(t)
	server, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	c, err := client.DialServer(ctx, addr, testALPN)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("the client did not notice")
	}
	if err := c.Err(); !errors.Is(err, ErrRemoteClosed) {
		t.Errorf("got %v, want ErrRemoteClosed", err)
	}
	if _, err := server.DialServer(ctx, addr, testALPN); !errors.Is(err, ErrClosed) {
		t.Errorf("dialling on a closed endpoint: got %v, want ErrClosed", err)
	}
}

// A dead relay does not hold up two peers that can reach each other.
func TestDeadRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		ann, bob := pair(t)
		ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
		relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
		relay.setDrop(true)
		key := [32]byte{9}
		start := time.Now()
		a, b := connect(t, t.Context(),
			ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates()},
			eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates()})
		if got := time.Since(start); got > 6*time.Second {
			t.Errorf("connected after %v, want 6s at most", got)
		}
		exchange(t, t.Context(), a, b)
		if a.Path().Kind != PathDirect || b.Path().Kind != PathDirect {
			t.Errorf("paths: %+v and %+v, want direct ones", a.Path(), b.Path())
		}
	})
}

func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		stun := n.endpoint("11.0.0.1:1", Config{STUN: true})
		e := n.endpoint("11.0.0.2:7", Config{})
		silent := netip.MustParseAddrPort("11.0.0.99:1")
		start := time.Now()
		got := e.Gather(t.Context(), []netip.AddrPort{stun.LocalAddr()})
		if len(got) != 1 || got[0].Addr != e.LocalAddr() { // seen from outside it is the same
			t.Errorf("got %v, want %v", got, e.LocalAddr())
		}
		roundTrips(t, "gathered", time.Since(start), 1)
		e.Gather(t.Context(), []netip.AddrPort{stun.LocalAddr(), silent})
		if got := time.Since(start); got > gatherTimeout+time.Second {
			t.Errorf("a silent server held up Gather for %v", got)
		}
	})
}
