package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/wire"
)

// Spec §5.2.5, §3.3: whoever can write IK's first message but not the third gets
// what Early returned and nothing else: no candidates, no ping, no other stream,
// and no connection.
func TestEarlyIsAllThatAnImpostorGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		ann, bob := pair(t)
		ea := n.endpoint("11.0.0.1:1", Config{Identity: ann})
		cert, err := throwAwayCertificate()
		if err != nil {
			t.Fatal(err)
		}
		pc := n.conn("11.0.0.66:1")
		tr := &quic.Transport{Conn: pc}
		conf := clientTLS(alpnIK)
		conf.Certificates = append(conf.Certificates, cert)
		ln, err := tr.ListenEarly(conf, quicConfig())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close(); tr.Close(); pc.Close() })
		early := wire.AppendFrame(nil, 0x0300, []byte("sealed"))
		got := make(chan []byte, 2)
		go func() {
			q, err := ln.Accept(t.Context())
			if err != nil {
				return
			}
			s, err := q.OpenStreamSync(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			exporter, err := export(q.ConnectionState().TLS, exporterHandshake)
			if err != nil {
				t.Error(err)
				return
			}
			hs, err := handshake.New(handshake.Config{
				Pattern: handshake.IK, Initiator: true, ALPN: alpnIK, Version: version, Exporter: exporter, Local: bob, Remote: ann.Record(),
			})
			if err != nil {
				t.Error(err)
				return
			}
			msg, err := hs.WriteMessage()
			if err != nil {
				t.Error(err)
				return
			}
			s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
			if _, err := readMessage(s); err != nil {
				t.Error(err)
				return
			}
			// The third message never comes.
			go func() {
				b, _ := io.ReadAll(s)
				got <- b
			}()
			e, err := q.AcceptStream(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			b, _ := io.ReadAll(e)
			got <- b
			if _, err := q.AcceptStream(t.Context()); err == nil {
				t.Error("the client opened another stream")
			}
		}()
		at := newAttempt(Attempt{Peer: bob.PeerID(), Record: bob.Record(), Early: func() []byte { return early }}, func(error) {})
		ea.begin(at, true)
		defer ea.m.paths.release(at.link)
		defer ea.withdraw(at)
		to := netip.MustParseAddrPort("11.0.0.66:1")
		ea.m.paths.know(at.link, to)
		start := time.Now()
		p, err := ea.dialSlot(t.Context(), at, slotDirect, to, true)
		if p != nil || err == nil {
			t.Errorf("connected to an impostor: %v, %v", p, err)
		}
		if d := time.Since(start); d > 2*handshakeTimeout {
			t.Errorf("gave up after %v", d)
		}
		a, b := <-got, <-got
		if string(a)+string(b) != string(early) {
			t.Errorf("the impostor got %q and %q, want %q", a, b, early)
		}
	})
}

// One way that fails does not stop the other: a guess that leads to somebody
// else, while the relay leads to the peer.
func TestGuessLeadsAstray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		ann, bob := pair(t)
		_, eve := pair(t)
		ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
		ee := n.endpoint("11.0.0.66:1", Config{Identity: eve})
		relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
		a, b := connect(t, t.Context(),
			ea, Attempt{Peer: bob.PeerID(), Record: bob.Record(), Relay: relay.leg(0), ProbeKey: [32]byte{9}, Remote: ee.hostCandidates()},
			eb, Attempt{Peer: ann.PeerID(), Record: ann.Record(), Relay: relay.leg(1), Answering: true})
		exchange(t, t.Context(), a, b)
	})
}

// Of a relay and a guess that both lead to the peer one connection comes about,
// at the sooner.
func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		ann, bob := pair(t)
		ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
		relay := newTestRelay(t, n.connAt("11.0.0.3:1", 50*time.Millisecond), ea, eb)
		key := [32]byte{9}
		start := time.Now()
		a, b := connect(t, t.Context(),
			ea, Attempt{Peer: bob.PeerID(), Record: bob.Record(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates()},
			eb, Attempt{Peer: ann.PeerID(), Record: ann.Record(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates(), Answering: true})
		roundTrips(t, "direct and both authenticated", time.Since(start), 2)
		t.Logf("figure: paths.3.guess %.2f RTT from the dial to both sides authenticated and direct, in virtual time", float64(time.Since(start))/float64(simRTT))
		if a.Path().Kind != PathDirect || b.Path().Kind != PathDirect {
			t.Errorf("paths: %+v, %+v; want direct ones", a.Path(), b.Path())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if p, err := eb.Accept(ctx); err == nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second connection came about: %v, %v", p, err)
		}
		exchange(t, t.Context(), a, b)
	})
}
