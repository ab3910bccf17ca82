package portmap

import (
	"context"
	"net"
	"net/netip"

	"github.com/sremp/sremp/nat"
)

// An announcement is a packet that a gateway, or somebody who says to be one,
// sent to all.
type announcement struct {
	from   netip.Addr
	packet []byte
}

// listen takes announcements until ctx ends or stop is called. Where it cannot,
// checkEvery is enough.
func (m *Mapper) listen(ctx context.Context, g Gateway) (stop func()) {
	pc, err := m.c.Announcements(g.Interface)
	if err != nil || pc == nil {
		return func() {}
	}
	end := context.AfterFunc(ctx, func() { pc.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			// The source port is the one that requests go to (RFC 6887, section 14.1).
			if a := addrPort(from); a == netip.AddrPortFrom(g.Addr, nat.GatewayPort) {
				select {
				case m.heard <- announcement{a.Addr(), append([]byte(nil), b[:n]...)}:
				default: // one waits already
				}
			}
		}
	}()
	return func() {
		end()
		pc.Close()
		<-done
	}
}

// listenAnnouncements joins 224.0.0.1 beside whoever else listens there.
func listenAnnouncements(ifname string) (net.PacketConn, error) {
	i, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, err
	}
	return net.ListenMulticastUDP("udp4", i, &net.UDPAddr{IP: net.IPv4allsys, Port: nat.AnnouncePort})
}
