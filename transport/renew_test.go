package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A failingConn is a socket that can be made to fail, or to lose all it is given.
type failingConn struct {
	net.PacketConn
	err   atomic.Pointer[error]
	loses atomic.Bool
}

func (c *failingConn) WriteTo(b []byte, to net.Addr) (int, error) {
	switch err := c.err.Load(); {
	case err != nil:
		return 0, *err
	case c.loses.Load():
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

func (c *failingConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.loses.Load() {
			return n, from, err
		}
	}
}

func (c *failingConn) SetReadBuffer(int) error  { return nil }
func (c *failingConn) SetWriteBuffer(int) error { return nil }

// A socket that has broken, that finds no route for long, or to which nothing comes
// in a new network, is replaced under connections that live on, whichever side's it
// is; on its own port unless that was of no use or is not to be had (spec §5.1.4).
func TestSocketIsReplaced(t *testing.T) {
	closed := func(_ *Endpoint, c *failingConn) { c.PacketConn.Close() }
	fails := func(err error) func(*Endpoint, *failingConn) {
		return func(_ *Endpoint, c *failingConn) {
			err := error(&net.OpError{Op: "write", Err: err})
			c.err.Store(&err)
		}
	}
	const detected = 2 * time.Second // an attempt at the socket, two round trips, a probe
	for _, test := range []struct {
		name     string
		breaks   func(*Endpoint, *failingConn)
		taken    bool // the port is another's
		port     uint16
		patience time.Duration
	}{
		{"closed", closed, false, 1, detected},
		{"closed, port taken", closed, true, 2, detected},
		{"EBADF", fails(syscall.EBADF), false, 1, detected},
		{"no route for long", fails(syscall.ENETUNREACH), false, 1, renewAfter + detected},
		{"address gone", fails(syscall.EADDRNOTAVAIL), true, 2, renewAfter + detected},
		{"nothing comes", func(e *Endpoint, c *failingConn) { c.loses.Store(true); e.networkChanged() }, false, 2, suspectSocket + detected},
	} {
		for side := range 2 {
			t.Run(fmt.Sprintf("%s, side %d", test.name, side), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newSimNet(t)
					ann, bob := pair(t)
					addrs := [2]string{"11.0.0.1", "11.0.0.2"}
					failing := &failingConn{PacketConn: n.conn(addrs[side] + ":1")}
					reopen := func(at netip.AddrPort) (net.PacketConn, error) {
						if at.Port() != 0 && test.taken {
							return nil, syscall.EADDRINUSE
						}
						if at.Port() == 0 {
							at = netip.AddrPortFrom(at.Addr(), 2)
						}
						return n.conn(at.String()), nil
					}
					c := [2]Config{{Identity: ann}, {Identity: bob}}
					for i := range c {
						if i == side {
							c[i].PacketConn, c[i].Reopen = failing, reopen
						} else {
							c[i].PacketConn = n.conn(addrs[i] + ":1")
						}
					}
					ea, eb := endpoint(t, c[0]), endpoint(t, c[1])
					relay := newTestRelay(t, n.connAt("11.0.0.3:1", 0), ea, eb)
					relay.mu.Lock()
					relay.moves = true
					relay.mu.Unlock()
					key := [32]byte{9}
					a, b := connect(t, t.Context(),
						ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), ProbeKey: key, Remote: eb.hostCandidates()},
						eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), ProbeKey: key, Remote: ea.hostCandidates()})
					waitPath(t, t.Context(), a, PathDirect)
					e := startEcho(t, a, b, 50*time.Millisecond)
					defer e.end()
					time.Sleep(5 * time.Second)
					e.gap()
					mine := []*Endpoint{ea, eb}[side]
					test.breaks(mine, failing)
					time.Sleep(20 * time.Second)
					if err := errors.Join(a.Err(), b.Err()); err != nil {
						t.Fatalf("the connection ended: %v", err)
					}
					at := e.answered.Load()
					if got := e.gap(); got > test.patience {
						t.Errorf("gap %v, want at most %v", got, test.patience)
					}
					time.Sleep(5 * time.Second)
					if got := e.answered.Load() - at; got < 90 {
						t.Errorf("%d answers in 5 s, want 100", got)
					}
					if got := mine.m.renewals.done.Load(); got != 1 {
						t.Errorf("replaced %d times, want 1", got)
					}
					if got := mine.LocalAddr().Port(); got != test.port {
						t.Errorf("on port %d, want %d", got, test.port)
					}
					waitPath(t, t.Context(), a, PathDirect)
					waitPath(t, t.Context(), b, PathDirect)
				})
			})
		}
	}
}

// A machine without any network does not open one socket after the other.
func TestSocketIsNotReplacedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		err := error(syscall.ENETUNREACH)
		var opened atomic.Int64
		e := endpoint(t, Config{PacketConn: n.conn("11.0.0.1:1"), Identity: local(t, "Ann"), Reopen: func(at netip.AddrPort) (net.PacketConn, error) {
			opened.Add(1)
			c := &failingConn{PacketConn: n.conn(at.String())}
			c.err.Store(&err)
			return c, nil
		}})
		e.m.current.Load().pc.Close()
		for range 3600 {
			e.WritePacket(netip.MustParseAddrPort("11.0.0.9:1"), []byte{firstForward})
			time.Sleep(time.Second)
		}
		if n := opened.Load(); n > 20 || n < 2 {
			t.Errorf("%d sockets in an hour without a network, want a few", n)
		}
	})
}

// The same with the system's sockets, which join and split datagrams: a transfer
// goes on over the new one, as fast.
func TestSystemSocketIsReplaced(t *testing.T) {
	ann, bob := pair(t)
	ea, eb := endpoint(t, Config{Identity: ann}), endpoint(t, Config{Identity: bob})
	a, b := connect(t, t.Context(),
		ea, Attempt{Peer: bob.PeerID(), ProbeKey: [32]byte{9}, Remote: eb.hostCandidates()},
		eb, Attempt{Peer: ann.PeerID(), ProbeKey: [32]byte{9}, Remote: ea.hostCandidates()})
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for round, e := range []*Endpoint{nil, ea, eb, ea} {
		done := make(chan error, 1)
		go func() {
			s, err := a.OpenStream(t.Context())
			if err == nil {
				_, err = s.Write(sent)
				s.Close()
			}
			done <- err
		}()
		s, err := b.AcceptStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e != nil {
			at, before := e.LocalAddr(), e.m.renewals.done.Load()
			e.m.current.Load().pc.Close()
			for e.m.renewals.done.Load() == before {
				if err := context.Cause(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			if got := e.LocalAddr(); got != at {
				t.Errorf("round %d: at %v, was at %v", round, got, at)
			}
		}
		got, err := io.ReadAll(s)
		if err := errors.Join(err, <-done); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("round %d: %d of %d bytes, %v", round, len(got), len(sent), err)
		}
	}
	if ea.m.stats.segmented.Load() == 0 {
		t.Error("no write was split by the system")
	}
	exchange(t, t.Context(), a, b)
}
