package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A brokenConn fails every write for a while, as a machine without a network does.
type brokenConn struct {
	net.PacketConn
	err   atomic.Pointer[error]
	fails atomic.Int64
}

func (c *brokenConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if err := c.err.Load(); err != nil {
		c.fails.Add(1)
		return 0, *err
	}
	return c.PacketConn.WriteTo(b, to)
}

// A network that is gone for a while (an interface down, ENETUNREACH from every
// write) ends no connection: bytes flow again when it is back.
func TestUnreachableNetwork(t *testing.T) {
	for _, gone := range []error{syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EPERM, syscall.EADDRNOTAVAIL} {
		synctest.Test(t, func(t *testing.T) {
			n := newSimNet(t)
			ann, bob := pair(t)
			broken := &brokenConn{PacketConn: n.conn("11.0.0.1:1")}
			ea, eb := endpoint(t, Config{PacketConn: broken, Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
			relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
			key := [32]byte{9}
			a, b := connect(t, t.Context(),
				ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates()},
				eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates()})
			waitPath(t, t.Context(), a, PathDirect)
			e := startEcho(t, a, b, 50*time.Millisecond)
			time.Sleep(5 * time.Second)
			err := error(&net.OpError{Op: "write", Err: gone})
			broken.err.Store(&err)
			time.Sleep(8 * time.Second)
			at := e.answered.Load()
			broken.err.Store(nil)
			ea.networkChanged() // as netlink tells
			time.Sleep(5 * time.Second)
			if broken.fails.Load() == 0 {
				t.Error("no write failed: nothing was tested")
			}
			if err := errors.Join(a.Err(), b.Err()); err != nil {
				t.Fatalf("%v: the connection ended: %v", gone, err)
			}
			if got := e.answered.Load(); got < at+100 {
				t.Errorf("%v: %d answers after the network came back, %d before", gone, got, at)
			}
			waitPath(t, t.Context(), a, PathDirect)
			waitPath(t, t.Context(), b, PathDirect)
			e.end()
		})
	}
}

// A client that appears at another address (another interface, another network)
// keeps its connection: to a server, and to a peer whose NAT lets it through.
func TestRoaming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		ann, bob := pair(t)
		roaming := newRoamingConn(n.conn("11.0.0.1:1"))
		ea, eb := endpoint(t, Config{PacketConn: roaming, Identity: ann}), n.endpoint("11.0.0.2:1", Config{Identity: bob})
		key := [32]byte{9}
		a, b := connect(t, t.Context(),
			ea, Attempt{Peer: bob.PeerID(), ProbeKey: key, Remote: eb.hostCandidates()},
			eb, Attempt{Peer: ann.PeerID(), ProbeKey: key, Remote: ea.hostCandidates()})
		e := startEcho(t, a, b, 50*time.Millisecond)
		time.Sleep(5 * time.Second)
		e.gap()
		roaming.to(n.conn("11.0.0.99:7"))
		ea.networkChanged()
		time.Sleep(5 * time.Second)
		if got := e.gap(); got > 600*time.Millisecond {
			t.Errorf("gap %v, want 600ms at most", got)
		}
		if got, want := b.Path().Kind, PathDirect; got != want {
			t.Errorf("path %v, want %v", got, want)
		}
		if got, want := *b.link.direct.Load(), netip.MustParseAddrPort("11.0.0.99:7"); got != want {
			t.Errorf("packets go to %v, want %v", got, want)
		}
		e.end()
	})
}

// A roamingConn is a socket that is moved to another network.
type roamingConn struct {
	net.PacketConn // the first one: its address is the socket's
	now            atomic.Pointer[net.PacketConn]
	in             chan roamed
	once           sync.Once
}

type roamed struct {
	b    []byte
	from net.Addr
	err  error
}

func newRoamingConn(pc net.PacketConn) *roamingConn {
	c := &roamingConn{PacketConn: pc, in: make(chan roamed, 64)}
	c.now.Store(&pc)
	go c.read(pc)
	return c
}

func (c *roamingConn) read(pc net.PacketConn) {
	for b := make([]byte, 2048); ; {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			if pc == *c.now.Load() {
				close(c.in)
			}
			return
		}
		c.in <- roamed{append([]byte(nil), b[:n]...), from, nil}
	}
}

func (c *roamingConn) to(pc net.PacketConn) {
	old := *c.now.Swap(&pc)
	old.Close()
	go c.read(pc)
}

func (c *roamingConn) ReadFrom(b []byte) (int, net.Addr, error) {
	x, ok := <-c.in
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return copy(b, x.b), x.from, nil
}

func (c *roamingConn) WriteTo(b []byte, to net.Addr) (int, error) {
	return (*c.now.Load()).WriteTo(b, to)
}

func (c *roamingConn) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		return c.Close()
	}
	return nil
}

func (c *roamingConn) Close() (err error) {
	c.once.Do(func() { err = (*c.now.Load()).Close() })
	return err
}

func (c *roamingConn) SetReadBuffer(int) error  { return nil }
func (c *roamingConn) SetWriteBuffer(int) error { return nil }
