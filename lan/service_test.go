package lan

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A wire is one network with multicast, in virtual time.
type wire struct {
	mu    sync.Mutex
	conns []*wireConn
}

// A wireConn is the socket of one machine. All of it has one link, of index 2.
type wireConn struct {
	w      *wire
	in     chan received
	closed chan struct{}

	mu     sync.Mutex
	joined bool
	addr   netip.Addr
}

func (w *wire) conn(a netip.Addr) *wireConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &wireConn{w: w, in: make(chan received, 64), closed: make(chan struct{}), addr: a}
	w.conns = append(w.conns, c)
	return c
}

func (c *wireConn) set(joined bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = joined
}

func (c *wireConn) Join(l Link) error { c.set(true); return nil }
func (c *wireConn) Leave(l Link)      { c.set(false) }
func (c *wireConn) Close() error      { close(c.closed); return nil }

func (c *wireConn) Read(b []byte) (int, int, netip.AddrPort, error) {
	select {
	case r := <-c.in:
		return copy(b, r.b), r.link, r.from, nil
	case <-c.closed:
		return 0, 0, netip.AddrPort{}, errors.New("closed")
	}
}

func (c *wireConn) Write(b []byte, link int) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, o := range c.w.conns {
		o.mu.Lock()
		if o.joined { // itself as well, as with loopback on
			o.in <- received{append([]byte(nil), b...), link, netip.AddrPortFrom(c.addr, mdnsPort)}
		}
		o.mu.Unlock()
	}
	return nil
}

// A machine runs a service.
type machine struct {
	*Service
	mu    sync.Mutex
	links []Link
	found map[string]netip.Addr // by body
}

func (w *wire) machine(t *testing.T, addr, says string) *machine {
	m := &machine{found: map[string]netip.Addr{}}
	m.move(addr)
	c := w.conn(netip.MustParseAddr(addr))
	var err error
	m.Service, err = Start(Config{
		Port:     4444,
		Announce: func([]netip.AddrPort) []Announcement { return []Announcement{{Sealed, []byte(says)}} },
		Found: func(f Found) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if f.Gone {
				delete(m.found, string(f.Body))
			} else {
				m.found[string(f.Body)] = f.Near[0].Addr()
			}
		},
		Links: func() []Link {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.links
		},
		Listen: func() ([]Conn, error) { return []Conn{c}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) move(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links = []Link{{2, "eth0", []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(addr), 24)}}}
}

func (m *machine) sees(says string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.found[says]; a.IsValid() {
		return a.String()
	}
	return ""
}

func TestService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		a := w.machine(t, "192.168.1.5", "ann")
		time.Sleep(time.Minute)
		b := w.machine(t, "192.168.1.6", "bob")
		time.Sleep(maxAnswerWait)
		synctest.Wait()
		if a.sees("bob") != "192.168.1.6" || b.sees("ann") != "192.168.1.5" {
			t.Fatalf("after %v: ann sees bob at %q, bob sees ann at %q", maxAnswerWait, a.sees("bob"), b.sees("ann"))
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if a.sees("bob") == "" || b.sees("ann") == "" {
			t.Error("a day later they do not see each other")
		}
		b.move("192.168.1.99") // DHCP
		b.Refresh()
		synctest.Wait()
		time.Sleep(maxAnswerWait)
		synctest.Wait()
		if a.sees("bob") != "192.168.1.99" {
			t.Errorf("ann sees bob at %q after his address changed", a.sees("bob"))
		}
		b.Close()
		synctest.Wait()
		if a.sees("bob") != "" {
			t.Error("ann sees bob after he left")
		}
		a.Close()
	})
}
