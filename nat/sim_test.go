package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A natBox is a NAT with the mapping and filtering behaviours of RFC 4787.
type natBox struct {
	kind    string
	public  netip.Addr
	inside  netip.AddrPort
	port    uint16
	mapped  map[netip.AddrPort]netip.AddrPort // by destination; one entry unless symmetric
	sentTo  map[[2]netip.AddrPort]bool        // {public source, destination}
	sentToA map[netip.Addr]bool
}

func newNATBox(kind string, public netip.Addr, inside netip.AddrPort) *natBox {
	return &natBox{
		kind: kind, public: public, inside: inside, port: 5000,
		mapped: map[netip.AddrPort]netip.AddrPort{},
		sentTo: map[[2]netip.AddrPort]bool{}, sentToA: map[netip.Addr]bool{},
	}
}

func (n *natBox) outbound(dst netip.AddrPort) netip.AddrPort {
	if n.kind == "none" {
		return n.inside
	}
	var key netip.AddrPort
	if n.kind == "symmetric" {
		key = dst
	}
	src, ok := n.mapped[key]
	if !ok {
		src = netip.AddrPortFrom(n.public, n.port)
		n.port++
		n.mapped[key] = src
	}
	n.sentTo[[2]netip.AddrPort{src, dst}] = true
	n.sentToA[dst.Addr()] = true
	return src
}

// inbound reports whether a packet from the internet reaches the host.
func (n *natBox) inbound(src, dst netip.AddrPort) bool {
	if n.kind == "none" {
		return dst == n.inside
	}
	exists := false
	for _, m := range n.mapped {
		exists = exists || m == dst
	}
	switch n.kind {
	case "full-cone":
		return exists
	case "addr-restricted":
		return exists && n.sentToA[src.Addr()]
	}
	return n.sentTo[[2]netip.AddrPort{dst, src}]
}

// A scenario is one run of two agents in a simulated network.
type scenario struct {
	kinds   [2]string
	inside  [2]string        // addresses of the hosts, with port
	lan     bool             // both hosts are on one network behind one box
	late    time.Duration    // how much later than A B starts
	latency time.Duration    // one way
	lose    func(n int) bool // whether the n-th packet of all, from 0, is lost
	reflex  bool             // hosts know their reflexive addresses
	silent  bool             // B does not exist
}

type simPacket struct {
	at       time.Time
	to       int
	src, dst netip.AddrPort
	b        []byte
}

// run returns what happened, one line an event. It takes no real time.
func (s scenario) run() string {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	stun := netip.MustParseAddrPort("203.0.113.1:3478")
	var boxes [2]*natBox
	var hosts [2]netip.AddrPort
	var cands [2][]Candidate
	for i := range boxes {
		hosts[i] = netip.MustParseAddrPort(s.inside[i])
		boxes[i] = newNATBox(s.kinds[i], netip.MustParseAddr([]string{"192.0.2.1", "198.51.100.1"}[i]), hosts[i])
		cands[i] = HostCandidates([]netip.Addr{hosts[i].Addr()}, hosts[i].Port())
		if s.reflex {
			cands[i] = append(cands[i], Candidate{Addr: boxes[i].outbound(stun), Kind: ServerReflexive})
		}
	}
	var trace strings.Builder
	var agents [2]*Agent
	startAt := [2]time.Time{start, start.Add(s.late)}
	if s.silent {
		startAt[1] = start.Add(24 * time.Hour)
	}
	var wire []simPacket
	var sent [2]int
	var last [2]string
	total := 0
	for now := start; now.Sub(start) < time.Hour; {
		for i := range agents {
			if agents[i] == nil && !now.Before(startAt[i]) {
				agents[i] = NewAgent(now, AgentConfig{Key: [32]byte{7}, Controlling: i == 0, Local: cands[i], Remote: cands[1-i]})
			}
			a := agents[i]
			if a == nil {
				continue
			}
			a.HandleTimeout(now)
			for t, ok := a.PollTransmit(); ok; t, ok = a.PollTransmit() {
				sent[i]++
				total++
				if s.lose != nil && s.lose(total-1) {
					continue
				}
				if s.lan && t.To == hosts[1-i] {
					wire = append(wire, simPacket{now.Add(time.Millisecond), 1 - i, hosts[i], t.To, t.Payload})
				} else {
					wire = append(wire, simPacket{now.Add(s.latency), 1 - i, boxes[i].outbound(t.To), t.To, t.Payload})
				}
			}
			if addr, rtt, ok := a.Validated(); ok && addr.String() != last[i] {
				last[i] = addr.String()
				fmt.Fprintf(&trace, "%v %c validated %v rtt %v\n", now.Sub(start), 'A'+i, addr, rtt)
			}
		}
		next := time.Time{}
		for i, a := range agents {
			if a != nil {
				next = earliest(next, a.NextTimeout())
			} else if !s.silent {
				next = earliest(next, startAt[i])
			}
		}
		for _, p := range wire {
			next = earliest(next, p.at)
		}
		if next.IsZero() {
			break
		}
		now = next
		wire = slices.DeleteFunc(wire, func(p simPacket) bool {
			if p.at.After(now) {
				return false
			}
			direct := s.lan && p.dst == hosts[p.to] && p.src == hosts[1-p.to]
			if a := agents[p.to]; a != nil && (direct || boxes[p.to].inbound(p.src, p.dst)) {
				a.HandlePacket(now, p.src, p.b)
			}
			return true
		})
	}
	for i, addr := range last {
		if addr == "" {
			fmt.Fprintf(&trace, "%c found nothing\n", 'A'+i)
		}
	}
	fmt.Fprintf(&trace, "packets: A %d, B %d\n", sent[0], sent[1])
	return trace.String()
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
