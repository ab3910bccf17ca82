package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// readMessages is how many messages one system call may bring.
const readMessages = 8

// A batchSocket reads many messages a call, each of which may be many datagrams
// that the kernel has joined, and writes many datagrams a call.
type batchSocket struct {
	udp   *net.UDPConn
	batch *ipv4.PacketConn // also reads IPv6 sockets: the types are one
	stats *counters

	// Owned by the read loop.
	ms   []ipv4.Message
	n    int    // messages read
	i    int    // the next message
	rest []byte // of message i-1, not returned yet
	size int    // of its datagrams
	cur  datagram
}

// newBatchSocket returns nil if c's platform or kind has no batches.
func newBatchSocket(c net.PacketConn, stats *counters) socket {
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return nil
	}
	s := &batchSocket{udp: udp, batch: ipv4.NewPacketConn(udp), stats: stats, ms: make([]ipv4.Message, readMessages)}
	for i := range s.ms {
		s.ms[i].Buffers = [][]byte{make([]byte, maxDatagram)}
		s.ms[i].OOB = make([]byte, 256)
	}
	if raw, err := udp.SyscallConn(); err == nil {
		// Kernels before 5.0 refuse; everything works without.
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	}
	return s
}

func (s *batchSocket) fill() error {
	s.n, s.i, s.rest = 0, 0, nil
	n, err := s.batch.ReadBatch(s.ms, 0)
	if err != nil {
		return err
	}
	s.n = n
	s.stats.batches.Add(1)
	return nil
}

func (s *batchSocket) next() (datagram, bool) {
	if len(s.rest) == 0 {
		if s.i >= s.n {
			return datagram{}, false
		}
		m := &s.ms[s.i]
		s.i++
		s.rest, s.size = m.Buffers[0][:m.N], m.N
		s.cur = datagram{addr: m.Addr, from: addrPort(m.Addr), oob: m.OOB[:m.NN]}
		if size := receivedSegmentSize(s.cur.oob); size > 0 && size < m.N {
			s.size = size
			s.stats.coalesced.Add(1)
		}
		if m.N == 0 {
			s.cur.data = nil
			return s.cur, true
		}
	}
	n := min(s.size, len(s.rest))
	s.cur.data, s.rest = s.rest[:n:n], s.rest[n:]
	return s.cur, true
}

func (s *batchSocket) write(b, oob []byte, to netip.AddrPort) error {
	_, _, err := s.udp.WriteMsgUDPAddrPort(b, oob, to)
	return err
}

// receivedSegmentSize returns the size of the datagrams in a joined message, 0
// if it is one.
func receivedSegmentSize(oob []byte) int {
	size := 0
	eachControlMessage(oob, func(h unix.Cmsghdr, body []byte) {
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4 {
			size = int(binary.NativeEndian.Uint32(body))
		}
	})
	return size
}

// segmentSize returns the size of the datagrams in a write, 0 if it is one.
func segmentSize(oob []byte) int {
	size := 0
	eachControlMessage(oob, func(h unix.Cmsghdr, body []byte) {
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_SEGMENT && len(body) >= 2 {
			size = int(binary.NativeEndian.Uint16(body))
		}
	})
	return size
}

// eachControlMessage stops at the first malformed one.
func eachControlMessage(oob []byte, f func(unix.Cmsghdr, []byte)) {
	for len(oob) >= unix.CmsgLen(0) {
		h, body, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		f(h, body)
		oob = rest
	}
}

// translateOOB appends to dst the control messages of a write to a virtual
// (IPv6) address, as they must be for the real one: the ECN bits in the option
// of its family, no packet info (the real path has its own source), and the
// segment size, if segment is not 0.
func translateOOB(dst, oob []byte, v4 bool, segment int) []byte {
	eachControlMessage(oob, func(h unix.Cmsghdr, body []byte) {
		var tos byte
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(body) >= 1:
			tos = body[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(body) >= 4:
			tos = byte(binary.NativeEndian.Uint32(body))
		default:
			return
		}
		if v4 {
			dst = appendControlMessage(dst, unix.IPPROTO_IP, unix.IP_TOS, []byte{tos})
		} else {
			dst = appendControlMessage(dst, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, uint32(tos)))
		}
	})
	if segment > 0 {
		dst = appendSegmentSize(dst, segment)
	}
	return dst
}

func appendSegmentSize(dst []byte, size int) []byte {
	return appendControlMessage(dst, unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(size)))
}

// appendTTL appends the hop limit of one write.
func appendTTL(dst []byte, v4 bool, ttl int) []byte {
	if v4 {
		return appendControlMessage(dst, unix.IPPROTO_IP, unix.IP_TTL, binary.NativeEndian.AppendUint32(nil, uint32(ttl)))
	}
	return appendControlMessage(dst, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, binary.NativeEndian.AppendUint32(nil, uint32(ttl)))
}

// writeOnly returns what sends through pc.
func writeOnly(pc net.PacketConn, stats *counters) socket {
	if udp, ok := pc.(*net.UDPConn); ok {
		return &batchSocket{udp: udp, stats: stats}
	}
	return &plainSocket{pc: pc}
}

func appendControlMessage(dst []byte, level, typ int, body []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, unix.CmsgSpace(len(body)))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&dst[start]))
	h.Level, h.Type = int32(level), int32(typ)
	h.SetLen(unix.CmsgLen(len(body)))
	copy(dst[start+unix.CmsgLen(0):], body)
	return dst
}

// socketBuffer is what quic-go asks for.
const socketBuffer = 7 << 20

// inheritOptions sets what quic-go sets on the socket that it is given: no
// fragments, ECN's bits, the address that a packet came to, buffers.
func inheritOptions(pc net.PacketConn) {
	udp, ok := pc.(*net.UDPConn)
	if !ok {
		return
	}
	// What the system does not grant the socket works without.
	_ = udp.SetReadBuffer(socketBuffer)
	_ = udp.SetWriteBuffer(socketBuffer)
	raw, err := udp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for _, o := range [][3]int{
			{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE}, {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
			{unix.IPPROTO_IP, unix.IP_RECVTOS, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			{unix.IPPROTO_IP, unix.IP_PKTINFO, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		} {
			_ = unix.SetsockoptInt(int(fd), o[0], o[1], o[2]) // one of the families does not apply
		}
	})
}

// syscallConn is what quic-go sets its socket options through.
func syscallConn(c net.PacketConn) (syscall.RawConn, error) { return c.(*net.UDPConn).SyscallConn() }
