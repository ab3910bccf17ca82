package transport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/wire"
)

// Round trips are counted in virtual time: computation takes none.
const simRTT = 2 * simLatency

// Spec §5.2.3 states these figures.
func TestRoundTripsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		key := serverKey(t, 1)
		heard := make(chan time.Time, 1)
		server := n.endpoint("11.0.0.1:1", Config{
			ServerKey: key,
			Services: map[string]func(context.Context, *Conn){testALPN: func(ctx context.Context, c *Conn) {
				if s, err := c.AcceptStream(ctx); err == nil {
					ReadFrame(s, 100)
					heard <- time.Now()
				}
			}},
		})
		client := n.endpoint("11.0.0.2:1", Config{})
		start := time.Now()
		c, err := client.DialServer(t.Context(), serverAddr(key.ID(), server.LocalAddr()), testALPN)
		if err != nil {
			t.Fatal(err)
		}
		roundTrips(t, "server known to the client", time.Since(start), 2)
		s, err := c.OpenStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		WriteFrame(s, 0x0300, nil)
		roundTrips(t, "first data at the server", (<-heard).Sub(start), 2.5)
	})
}

func TestRoundTripsPeers(t *testing.T) {
	for _, test := range []struct {
		name           string
		known          bool
		client, server float64 // when each knows the other
		early          float64 // when the client may send ratchet messages
		data           float64 // when the client's first data is at the server
	}{
		{"IK", true, 2, 1.5, 1, 1.5},
		{"XX", false, 2, 2.5, 2, 2.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newSimNet(t)
				ann, bob := pair(t)
				ea, eb := n.endpoint("11.0.0.1:1", Config{Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
				relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
				aa := Attempt{Peer: bob.PeerID(), Relay: relay.leg(0)}
				ab := Attempt{Peer: ann.PeerID(), Relay: relay.leg(1)}
				if test.known {
					aa.Record, ab.Record = bob.Record(), ann.Record()
				}
				start := time.Now()
				var early time.Duration
				aa.Early = func() []byte {
					early = time.Since(start)
					return wire.AppendFrame(nil, 0x0300, []byte("sealed"))
				}
				type result struct {
					at, data time.Time
				}
				bs := make(chan result, 1)
				go func() {
					p, err := eb.Connect(t.Context(), ab)
					if err != nil {
						t.Error(err)
					}
					r := result{at: time.Now()}
					if s, err := p.AcceptStream(t.Context()); err != nil {
						t.Error(err)
					} else if _, got, err := ReadFrame(s, 100); err != nil || string(got) != "sealed" {
						t.Errorf("first data: got %q, %v", got, err)
					}
					r.data = time.Now()
					bs <- r
				}()
				a, err := ea.Connect(t.Context(), aa)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("figure: paths.2.%s.client_knows_server %.2f RTT with the proof of the third message", test.name, float64(time.Since(start))/float64(simRTT))
				roundTrips(t, "peer known to the client", time.Since(start), test.client)
				s := a.EarlyStream()
				if (s != nil) != test.known {
					t.Fatalf("early stream: got %v, want one with IK only", s)
				}
				if s == nil {
					early = time.Since(start)
					if s, err = a.OpenStream(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				roundTrips(t, "the client may send", early, test.early)
				if !test.known {
					WriteFrame(s, 0x0300, []byte("sealed"))
				}
				b := <-bs
				roundTrips(t, "peer known to the server", b.at.Sub(start), test.server)
				data := b.data.Sub(start)
				roundTrips(t, "first data at the server", data, test.data)
				figure := func(what string, d time.Duration, against string) {
					t.Logf("figure: paths.2.%s.%s %.2f RTT %s", test.name, what, float64(d)/float64(simRTT), against)
				}
				if test.known {
					figure("client_authenticates_server", early, "by the first message of Noise IK, which is bound to the connection; the third proves it also against a stolen key of the client's own")
					figure("both_authenticated_and_first_byte", max(early, b.at.Sub(start), data), "at most 1.6")
				}
				figure("first_byte_at_server", data, map[bool]string{true: "at most 1.6; a ratchet message", false: "at most 2.6"}[test.known])
				figure("server_knows_client", b.at.Sub(start), "")
				figure("relay_client_may_send", early, "at most 1.1 relay RTT after the lower key's dial, for a known peer")
				figure("relay_dialled_side_may_send", b.at.Sub(start), "at most 1.6 relay RTT, for a known peer")
			})
		})
	}
}

func roundTrips(t *testing.T, what string, got time.Duration, want float64) {
	t.Helper()
	t.Logf("%s: %.3f round trips", what, float64(got)/float64(simRTT))
	if got := float64(got) / float64(simRTT); got > want+0.05 {
		t.Errorf("%s after %.3f round trips, want %.2f", what, got, want)
	}
}
