//go:build !linux

package lan

import (
	"net"
	"net/netip"
)

// listenGroup opens a socket beside others on the port.
func listenGroup(network string, group netip.Addr) (net.PacketConn, error) {
	return net.ListenMulticastUDP(network, nil, &net.UDPAddr{IP: group.AsSlice(), Port: mdnsPort})
}
