package portmap

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/nat"
)

func TestMethods(t *testing.T) {
	for _, tt := range []struct {
		name     string
		pcp, pmp bool
		want     Method
		within   time.Duration
	}{
		{"PCP", true, false, PCP, 10 * time.Millisecond},
		{"both", true, true, PCP, 10 * time.Millisecond},
		{"NAT-PMP", false, true, NATPMP, 200 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, newRouter(tt.pcp, tt.pmp))
				start := time.Now()
				got, err := g.wait()
				if err != nil || got.Method != tt.want || got.External != g.router.outside || got.Gateway != gatewayAddr {
					t.Fatalf("got %+v, %v, want %v by %s", got, err, g.router.outside, tt.want)
				}
				if d := time.Since(start); d > tt.within {
					t.Errorf("it took %v, want at most %v", d, tt.within)
				}
				g.m.Close()
				if g.router.stands() {
					t.Error("the mapping stands after Close")
				}
				if _, ok := g.m.Mapping(); ok {
					t.Error("Mapping says that there is one after Close")
				}
			})
		})
	}
}

// A gateway that says nothing costs packets on the LAN, and no time of anybody.
func TestSilentGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(false, false)
		g := newRig(t, r)
		if _, err := g.wait(); !errors.Is(err, ErrNoMapping) {
			t.Fatalf("got %v, want %v", err, ErrNoMapping)
		}
		time.Sleep(24 * time.Hour)
		g.lan.mu.Lock()
		sent := g.lan.sent[gatewayPort]
		g.lan.mu.Unlock()
		if sent > 20*2*gatewayTries {
			t.Errorf("%d packets to a silent gateway in a day", sent)
		}
		start := time.Now()
		g.m.Close()
		if d := time.Since(start); d > releaseTime {
			t.Errorf("Close took %v, want at most %v", d, releaseTime)
		}
	})
}

// It stands for days, whatever lifetime the gateway grants.
func TestRenewal(t *testing.T) {
	for _, lifetime := range []uint32{60, 120, 3600, 7200, 1 << 31} {
		for _, pcp := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter(pcp, !pcp)
				r.lifetime = lifetime
				g := newRig(t, r)
				if _, err := g.wait(); err != nil {
					t.Fatal(err)
				}
				for range 2000 {
					time.Sleep(13 * time.Second)
					if !r.stands() {
						t.Fatalf("lifetime %d s, PCP %v: not renewed in time", lifetime, pcp)
					}
				}
				if most := 2 + 2000*13/int(minRenew/time.Second); r.requests > most {
					t.Errorf("lifetime %d s: %d requests, want at most %d", lifetime, r.requests, most)
				}
				if got, _ := g.m.Mapping(); time.Until(got.Expires) > maxLifetime {
					t.Errorf("lifetime %d s is believed", lifetime)
				}
			})
		}
	}
}

func TestShortLifetimeIsNoMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(true, false)
		r.lifetime = 1
		g := newRig(t, r)
		if got, err := g.wait(); !errors.Is(err, ErrNoMapping) {
			t.Errorf("got %+v, %v, want %v: it would have to be renewed every half second", got, err, ErrNoMapping)
		}
	})
}

// A gateway that restarts and says so is asked again at once, one that is silent
// about it within checkEvery.
func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name     string
		pcp      bool
		announce bool
		within   time.Duration
	}{
		{"PCP announced", true, true, time.Second},
		{"NAT-PMP announced", false, true, time.Second},
		{"PCP", true, false, checkEvery},
		{"NAT-PMP", false, false, checkEvery},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter(tt.pcp, !tt.pcp)
				g := newRig(t, r)
				if _, err := g.wait(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				r.restart()
				r.set(func() { r.outside = netip.AddrPortFrom(outsideAddr, 11111) })
				if tt.announce {
					g.lan.send(gatewayPort, g.toAll.addr, r.announcement())
				}
				time.Sleep(tt.within)
				if !r.stands() {
					t.Error("the mapping was not made again")
				}
				if got, _ := g.m.Mapping(); got.External.Port() != 11111 {
					t.Errorf("got %v, want the new port", got.External)
				}
			})
		})
	}
}

// Announcements of others, and those that tell of no loss, cause nothing; many
// cause one request in announceGap.
func TestForgedAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(true, false)
		g := newRig(t, r)
		if _, err := g.wait(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		before := r.requests
		lie := r.announcement()
		binary.BigEndian.PutUint32(lie[8:], 1)
		for _, from := range []string{"192.168.1.66:5351", "192.168.1.1:6666"} {
			g.lan.send(netip.MustParseAddrPort(from), g.toAll.addr, lie)
		}
		g.lan.send(gatewayPort, g.toAll.addr, r.announcement())
		g.lan.send(gatewayPort, g.toAll.addr, []byte{2, 0x80})
		time.Sleep(time.Second)
		if r.requests != before {
			t.Errorf("%d requests because of what tells nothing", r.requests-before)
		}
		for i := range uint32(100) { // in the gateway's own name
			binary.BigEndian.PutUint32(lie[8:], 1000*(i%2))
			g.lan.send(gatewayPort, g.toAll.addr, lie)
			time.Sleep(100 * time.Millisecond)
		}
		if n := r.requests - before; n > 3 {
			t.Errorf("%d requests because of a flood of 10 s, want at most 3", n)
		}
		if !r.stands() {
			t.Error("the mapping is gone")
		}
	})
}

func TestNetworkChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(true, false)
		g := newRig(t, r)
		if _, err := g.wait(); err != nil {
			t.Fatal(err)
		}
		// Another network, with the same kind of router elsewhere.
		other := netip.MustParseAddr("10.0.0.1")
		g.serve(netip.AddrPortFrom(other, nat.GatewayPort))
		before := g.lan.sent[gatewayPort]
		g.mu.Lock()
		g.gateway = Gateway{other, netip.MustParseAddr("10.0.0.7"), "wlan0"}
		g.mu.Unlock()
		g.m.Refresh()
		synctest.Wait()
		time.Sleep(time.Second)
		if got, ok := g.m.Mapping(); !ok || got.Gateway != other {
			t.Errorf("got %+v, %v, want one at %v", got, ok, other)
		}
		g.lan.mu.Lock()
		after := g.lan.sent[gatewayPort]
		g.lan.mu.Unlock()
		if after != before {
			t.Error("a gateway that is no longer the default route's was asked")
		}
		// And none at all.
		g.mu.Lock()
		g.err = ErrNoGateway
		g.mu.Unlock()
		g.m.Refresh()
		time.Sleep(time.Second)
		if got, ok := g.m.Mapping(); ok {
			t.Errorf("got %+v without a default route", got)
		}
		g.mu.Lock()
		g.err = nil
		g.mu.Unlock()
		g.m.Refresh()
		time.Sleep(time.Second)
		if _, ok := g.m.Mapping(); !ok {
			t.Error("no mapping after the network is back")
		}
	})
}

// What a gateway, or somebody in its name, must not achieve.
func TestHostileGateway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pcp    bool
		tamper func(b []byte)
	}{
		{"another's nonce", true, func(b []byte) { b[24] ^= 1 }},
		{"another port of ours", true, func(b []byte) { b[40] ^= 1 }},
		{"outside port 0", true, func(b []byte) { clear(b[42:44]) }},
		{"outside at multicast", true, func(b []byte) { b[56] = 239 }},
		{"a request sent back", true, func(b []byte) { b[1] &^= 0x80 }},
		{"NAT-PMP: another port of ours", false, func(b []byte) {
			if len(b) == 16 {
				b[8] ^= 1
			}
		}},
		{"NAT-PMP: outside at 0.0.0.0", false, func(b []byte) {
			if len(b) == 12 {
				clear(b[8:])
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter(tt.pcp, !tt.pcp)
				r.tamper = func(b []byte) {
					if tt.pcp == (len(b) == 60) {
						tt.tamper(b)
					}
				}
				g := newRig(t, r)
				if got, err := g.wait(); err == nil {
					t.Errorf("got %+v, want none", got)
				}
			})
		})
	}
}

// Another machine of the LAN that answers in the gateway's place is not heard.
func TestAnswerFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(true, true)
		g := newRig(t, r)
		if _, err := g.wait(); err != nil {
			t.Fatal(err)
		}
		g.m.Close()

		silent := newRouter(true, true)
		h := newRig(t, silent)
		silent.set(func() { silent.silent = true })
		forged := r.answer(nat.PMPMap(4444, 4444, 7200))
		for port := uint16(40001); port < 40004; port++ {
			h.lan.send(netip.MustParseAddrPort("192.168.1.66:5351"), netip.AddrPortFrom(ourAddr, port), forged)
		}
		if got, err := h.wait(); err == nil {
			t.Errorf("got %+v from another machine", got)
		}
	})
}

func TestRefused(t *testing.T) {
	for _, pcp := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter(pcp, !pcp)
			r.refuse = 2
			g := newRig(t, r)
			if got, err := g.wait(); !errors.Is(err, ErrNoMapping) {
				t.Errorf("PCP %v: got %+v, %v, want %v", pcp, got, err, ErrNoMapping)
			}
		})
	}
}

// A gateway that stops answering has lost the mapping when that ends, and gets
// it again when it answers.
func TestGatewayGoesSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter(true, false)
		g := newRig(t, r)
		if _, err := g.wait(); err != nil {
			t.Fatal(err)
		}
		r.set(func() { r.silent = true })
		time.Sleep(wantedLifetime)
		if got, ok := g.m.Mapping(); ok {
			t.Errorf("got %+v after its end", got)
		}
		r.set(func() { r.silent = false })
		time.Sleep(2 * retryMin)
		if _, ok := g.m.Mapping(); !ok {
			t.Error("no mapping although the gateway answers again")
		}
	})
}

func TestSocketElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Start(Config{
			Port: 1, Local: netip.MustParseAddr("127.0.0.1"),
			Gateway: func() (Gateway, error) { return Gateway{gatewayAddr, ourAddr, "eth0"}, nil },
		})
		defer m.Close()
		if _, err := m.Wait(t.Context()); !errors.Is(err, ErrNoGateway) {
			t.Errorf("got %v, want %v: the socket cannot be reached from the gateway", err, ErrNoGateway)
		}
	})
}
