package relay_test

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"

	"github.com/sremp/sremp/wire"
)

// The bare forwarders learn where packets go from the one that says so: byte 0
// is 0xff and the address follows as text. They are for comparison only.
func bareSyscall(pc *net.UDPConn) {
	b := make([]byte, 65536)
	to := map[uint64]netip.AddrPort{}
	for {
		n, _, err := pc.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if a, isRoute := route(to, b[:n]); isRoute {
			pc.WriteToUDPAddrPort([]byte{1}, a)
		} else if a.IsValid() {
			pc.WriteToUDPAddrPort(b[:n], a)
		}
	}
}

func route(to map[uint64]netip.AddrPort, b []byte) (netip.AddrPort, bool) {
	id, _, isFrame := wire.ParseForward(b)
	if isFrame {
		return to[id], false
	}
	id, _, _ = wire.ParseForward(b[1:])
	a, err := netip.ParseAddrPort(string(b[1+wire.ForwardHeaderLen:]))
	if err == nil {
		to[id] = a
	}
	return a, true
}

func bareBatch(pc *net.UDPConn) {
	batch := ipv4.NewPacketConn(pc)
	in := make([]ipv4.Message, 64)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
	}
	to := map[uint64]netip.AddrPort{}
	addrs := map[netip.AddrPort]*net.UDPAddr{}
	out := make([]ipv4.Message, 64)
	for {
		n, err := batch.ReadBatch(in, 0)
		if err != nil {
			return
		}
		k := 0
		for _, m := range in[:n] {
			a, isRoute := route(to, m.Buffers[0][:m.N])
			if isRoute {
				addrs[a] = net.UDPAddrFromAddrPort(a)
				pc.WriteToUDPAddrPort([]byte{1}, a)
				continue
			}
			if addrs[a] == nil {
				continue
			}
			if out[k].Buffers == nil {
				out[k].Buffers = make([][]byte, 1)
			}
			out[k].Buffers[0], out[k].Addr = m.Buffers[0][:m.N], addrs[a]
			k++
		}
		for sent := 0; sent < k; {
			w, err := batch.WriteBatch(out[sent:k], 0)
			if err != nil {
				w = 1 // of one datagram
			}
			sent += w
		}
	}
}
