package lan

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// listenGroup opens a socket that is bound to a group alone: bound to all
// addresses, as package net does it, it would take what is meant for the
// system's own responder.
func listenGroup(network string, group netip.Addr) (net.PacketConn, error) {
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: mdnsPort, Addr: group.As16()})
	if group.Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: mdnsPort, Addr: group.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("lan: opening a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), network)
	defer f.Close() // FilePacketConn keeps a copy
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, fmt.Errorf("lan: sharing port %d: %w", mdnsPort, err)
	}
	if !group.Is4() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return nil, fmt.Errorf("lan: opening a socket: %w", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return nil, fmt.Errorf("lan: listening on %s: %w", group, err)
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("lan: listening on %s: %w", group, err)
	}
	return c, nil
}
