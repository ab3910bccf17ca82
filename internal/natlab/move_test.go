//go:build linux

package natlab

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// TestMove: a host is carried from one router's network to another's. In between
// it has no way anywhere; the socket that it has all the time works in both.
func TestMove(t *testing.T) {
	w := world(t, Conditions{})
	server := must[*Place](t)(w.Public(1))
	var routers [2]*Router
	for i := range routers {
		routers[i] = must[*Router](t)(w.Router(RouterOptions{Kind: Port}))
	}
	host := must[*Place](t)(routers[0].Home())
	echo := socketAt(t, server.Site, netip.AddrPortFrom(server.Addr, 7))
	go func() { // ends with the socket
		b := make([]byte, 64)
		for {
			_, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			echo.WriteTo([]byte(from.(*net.UDPAddr).AddrPort().Addr().Unmap().String()), from)
		}
	}()
	pc := socketAt(t, host.Site, netip.MustParseAddrPort("0.0.0.0:0"))
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr, 7))
	for i, r := range routers {
		if i > 0 {
			if err := host.Unplug(); err != nil {
				t.Fatal(err)
			}
			if _, err := pc.WriteTo([]byte("?"), to); !errors.Is(err, syscall.ENETUNREACH) {
				t.Errorf("sending from a host without a network = %v, want ENETUNREACH", err)
			}
			if err := r.Plug(host); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		for end := time.Now().Add(time.Minute); got == "" && time.Now().Before(end); {
			if _, err := pc.WriteTo([]byte("?"), to); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 64)
			pc.SetReadDeadline(time.Now().Add(time.Second))
			if n, _, err := pc.ReadFrom(b); err == nil {
				got = string(b[:n])
			}
		}
		if want := r.Addr.String(); got != want {
			t.Errorf("behind router %d the host is seen at %q, want %q", i, got, want)
		}
	}
}
