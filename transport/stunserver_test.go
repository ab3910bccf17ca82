package transport

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/nat"
)

// Two ports of two addresses tell of each other, and each answers for the others,
// to where the request came from and with no more bytes (spec §5.21).
func TestSTUNPlaces(t *testing.T) {
	open := func(last byte) *Endpoint {
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, last)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(Config{PacketConn: pc, STUN: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
	var all STUNPlaces
	for i, last := range []byte{1, 1, 2, 2} {
		all.Endpoints[i] = open(last)
		all.Addrs[i] = all.Endpoints[i].LocalAddr()
	}
	all.Join()
	a := all.Endpoints[0]
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(to netip.AddrPort, packet []byte) (netip.AddrPort, []byte) {
		t.Helper()
		if _, err := c.WriteToUDPAddrPort(packet, to); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2000)
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if n > len(packet) {
			t.Errorf("%d bytes to %d", n, len(packet))
		}
		return from, buf[:n]
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	self := c.LocalAddr().(*net.UDPAddr).AddrPort()
	for at := range all.Endpoints {
		for change := range nat.STUNChange(4) {
			id, packet := nat.STUNDiscover(change)
			from, reply := ask(all.Addrs[at], packet)
			want := nat.STUNDiscovery{Mapped: self, Origin: all.Addrs[at^int(change)], Other: all.Addrs[at^3]}
			gotID, got, err := nat.ParseSTUNDiscovery(reply)
			if err != nil || gotID != id || got != want || from != want.Origin {
				t.Errorf("at %d, change %d: got %+v from %v, %v, want %+v", at, change, got, from, err, want)
			}
		}
	}
	_, plain := nat.STUNRequest()
	if _, reply := ask(all.Addrs[3], plain); !bytes.Equal(reply, nat.STUNReply(plain, self)) {
		t.Error("a short request got more than its address")
	}
	// Parted again, a request to change the port has no answer: the next one is
	// the one that comes.
	all.Part()
	_, change := nat.STUNDiscover(nat.STUNOtherPort)
	if _, err := c.WriteToUDPAddrPort(change, a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	id, packet := nat.STUNDiscover(0)
	_, reply := ask(a.LocalAddr(), packet)
	if gotID, got, err := nat.ParseSTUNDiscovery(reply); err != nil || gotID != id || got.Other.IsValid() {
		t.Errorf("got %+v, %v, want the plain answer to the second request", got, err)
	}
}
