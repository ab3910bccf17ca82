package transport

import (
	"errors"
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// shareUDPPort binds n more sockets to the port of c and steers relay framing
// to them. The option is set on a socket that is bound already, so that nobody
// who has not been given the port by us shares it by chance: others' sockets
// were bound, or refused, without.
func shareUDPPort(c *net.UDPConn, n int) (fds []int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(main uintptr) { fds, err = shareFD(int(main), n) })
	return fds, errors.Join(err, ctlErr)
}

func shareFD(main, n int) (fds []int, err error) {
	addr, err := unix.Getsockname(main)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(main, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			fds = nil
			// Without the group the option says nothing.
			_ = unix.SetsockoptInt(main, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0)
		}
	}()
	for range n {
		fd, err := openShared(main, addr)
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
	}
	return fds, steer(main, 1)
}

func openShared(main int, addr unix.Sockaddr) (fd int, err error) {
	family := unix.AF_INET
	if _, ok := addr.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if family == unix.AF_INET6 {
		only, err := unix.GetsockoptInt(main, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return -1, err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return -1, err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return -1, err
	}
	tv := unix.NsecToTimeval(forwardWait.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return -1, err
	}
	// What follows makes it faster, and is missing on some kernels.
	for _, buf := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, buf[0], forwardBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, buf[1], forwardBuffer)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	// Peers search the path's MTU through us: nothing may be fragmented.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	if family == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	return fd, unix.Bind(fd, addr)
}

// steer makes the kernel choose between main and n readers' sockets of its group,
// in the order of their joining: framing (first byte 4 to 15) goes to 1+session%n,
// all else, and what is too short, to 0, which is main.
func steer(main, n int) error {
	prog, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: firstForward, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: firstProbe, SkipTrue: 4},
		bpf.LoadAbsolute{Off: 5, Size: 4}, // the session's low half
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
		bpf.RetA{},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	return unix.SetsockoptSockFprog(main, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}
