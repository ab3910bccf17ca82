package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// maxDatagram is the longest UDP payload.
const maxDatagram = 65535

// readErrorPause keeps a socket that fails for good from keeping a core busy.
const readErrorPause = 5 * time.Millisecond

// A datagram is one received UDP payload. Its slices are valid until the next
// fill.
type datagram struct {
	data   []byte
	from   netip.AddrPort // never IPv4-mapped
	addr   net.Addr       // from, as the socket gave it
	oob    []byte         // control messages
	tunnel bool           // it came through a tunnel
}

// counters show that the fast paths are taken.
type counters struct {
	batches    atomic.Uint64 // reads of many messages at once
	coalesced  atomic.Uint64 // messages that the kernel had joined (UDP_GRO)
	segmented  atomic.Uint64 // writes that the kernel splits (UDP_SEGMENT)
	swallowed  atomic.Uint64 // write errors that QUIC never saw
	dropped    atomic.Uint64 // datagrams that were nobody's
	unroutable atomic.Uint64 // packets for a slot that leads nowhere
}

// A socket sends and receives datagrams. fill and next belong to the read loop;
// write is safe for concurrent use.
type socket interface {
	// fill blocks until next has something.
	fill() error
	next() (datagram, bool)
	// write sends b with control messages for exactly this destination. b is
	// more than one datagram if oob says so.
	write(b, oob []byte, to netip.AddrPort) error
}

// A plainSocket is any net.PacketConn, one datagram a call.
type plainSocket struct {
	pc   net.PacketConn
	buf  []byte
	have datagram
}

func newPlainSocket(pc net.PacketConn) *plainSocket {
	return &plainSocket{pc: pc, buf: make([]byte, maxDatagram)}
}

func (s *plainSocket) fill() error {
	n, addr, err := s.pc.ReadFrom(s.buf)
	if err != nil {
		return err
	}
	s.have = datagram{data: s.buf[:n], from: addrPort(addr), addr: addr}
	return nil
}

func (s *plainSocket) next() (datagram, bool) {
	d := s.have
	s.have = datagram{}
	return d, d.from.IsValid()
}

func (s *plainSocket) write(b, _ []byte, to netip.AddrPort) error {
	_, err := s.pc.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmap(u.AddrPort())
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return unmap(ap)
}

// keepWriteError reports whether quic-go must see a write error. Of all others
// (no route, a full queue, a firewall's refusal) one would kill the connection,
// although the next packet or another path may well get through.
func keepWriteError(err error) bool {
	return errors.Is(err, syscall.EIO) || // the interface cannot segment: quic-go goes on without GSO
		errors.Is(err, syscall.EMSGSIZE) // the packet exceeds the local MTU: path MTU discovery wants to know
}
