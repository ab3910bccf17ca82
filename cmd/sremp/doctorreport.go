package main

import (
	"fmt"
	"net/netip"
	"time"
)

// A finding is one sentence of the doctor's.
type finding struct {
	State string `json:"state"` // "ok", "note" or "problem"
	What  string `json:"what"`  // "udp", "nat", "firewall", "ipv6", "server" or "clock"
	Text  string `json:"text"`
}

type doctorJSON struct {
	Event    string       `json:"event"` // "doctor"
	Servers  []doctorHost `json:"servers"`
	Findings []finding    `json:"findings"`
}

type doctorHost struct {
	Server string  `json:"server"`
	RTT    float64 `json:"rtt_ms"`
	Mapped string  `json:"mapped,omitempty"` // our address as it sees us
	Clock  float64 `json:"clock_ms"`         // its clock minus ours
}

// wrongClock is what still works, and is worth saying.
const wrongClock = 2 * time.Minute

// report judges. Addresses are replaced unless they are wanted.
func (e *examination) report(addresses bool) doctorJSON {
	r := doctorJSON{Event: "doctor", Servers: []doctorHost{}}
	add := func(state, what, format string, args ...any) {
		r.Findings = append(r.Findings, finding{state, what, fmt.Sprintf(format, args...)})
	}
	if len(e.servers) == 0 {
		add("problem", "server", "The profile has no server, so there is nobody to ask; add one with init --server.")
	}
	for i, x := range e.servers {
		name := fmt.Sprintf("server %d", i+1)
		h := doctorHost{Server: name, RTT: millis(x.rtt), Clock: float64(x.clock.Milliseconds())}
		if addresses {
			name = x.addr.HostPort()
			h.Server = name
			if x.mapped.IsValid() {
				h.Mapped = x.mapped.String()
			}
		}
		r.Servers = append(r.Servers, h)
		switch {
		case x.rtt == 0 && x.dialErr != nil:
			add("problem", "server", "%s %s.", capital(name), silence(x.dialErr))
		case x.dialErr != nil:
			add("problem", "server", "%s answers after %.0f ms, but %s.", capital(name), millis(x.rtt), silence(x.dialErr))
		default:
			add("ok", "server", "%s answers after %.0f ms and proved its key.", capital(name), millis(x.rtt))
		}
		if x.dialErr == nil && x.clock.Abs() > wrongClock {
			add("problem", "clock", "This machine's clock and that of %s differ by %v: set this one, else contacts may not be found.", name, x.clock.Abs().Round(time.Second))
		}
	}
	if len(e.servers) > 0 && !e.received {
		add("problem", "udp", "Nothing comes back over UDP: this network blocks it, or no server is up. Try another network, or ask who runs this one to allow UDP.")
	}
	e.judgeNAT(add)
	e.judgeIPv6(add)
	return r
}

// judgeNAT looks at the first server that tells enough, and at the others for
// whether the address in between is one.
func (e *examination) judgeNAT(add func(state, what, format string, args ...any)) {
	var seen []serverExam
	for _, x := range e.servers {
		if x.mapped.IsValid() {
			seen = append(seen, x)
		}
	}
	if len(seen) == 0 {
		return
	}
	x := seen[0]
	if x.mapped.Addr().IsLoopback() {
		add("note", "nat", "The server runs on this very machine: it cannot tell what a router does.")
		return
	}
	switch {
	case e.owns(x.mapped.Addr()):
		add("ok", "nat", "This machine has a public address: whoever has no such one can still reach you directly.")
	case x.other.IsValid() && x.other != x.mapped:
		add("note", "nat", "The router takes another port for each destination (symmetric NAT): direct paths need the other side to be easier, or a longer search. A port forwarding to this machine helps.")
	case x.other.IsValid():
		add("ok", "nat", "The router keeps one port for all destinations: direct paths are possible with most others.")
	default:
		add("note", "nat", "There is a router that translates addresses; the server has no second port to find out more.")
	}
	if x.paired && !e.owns(x.mapped.Addr()) {
		if x.unasked {
			add("ok", "firewall", "The router lets in others than those that were asked: that makes direct paths easy.")
		} else {
			add("ok", "firewall", "The router lets in only those that were asked, as most do.")
		}
	}
	if netip.MustParsePrefix("100.64.0.0/10").Contains(x.mapped.Addr()) {
		add("note", "nat", "The server sees an address of a carrier's inner network: it is inside it as well.")
	}
}

func (e *examination) judgeIPv6(add func(state, what, format string, args ...any)) {
	for _, a := range e.local {
		if a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate() {
			add("ok", "ipv6", "This machine has a public IPv6 address, which direct paths use first.")
			return
		}
	}
	add("note", "ipv6", "There is no public IPv6 address here. Direct paths use IPv4; ask the provider for IPv6, it makes them easier.")
}

func (e *examination) owns(a netip.Addr) bool {
	for _, l := range e.local {
		if l == a {
			return true
		}
	}
	return false
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
