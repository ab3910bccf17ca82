package main

import (
	"fmt"
	"net/netip"
	"time"
)

// A finding is one sentence of the doctor's.
type finding struct {
	State string `json:"state"` // "ok", "note" or "problem"
	What  string `json:"what"`  // "udp", "nat", "firewall", "lifetime", "port", "ipv6", "mtu", "server" or "clock"
	Text  string `json:"text"`
}

type doctorJSON struct {
	Event    string       `json:"event"` // "doctor"
	NAT      string       `json:"nat"`   // "none", "easy", "symmetric", "some" or "" if nobody could tell
	Lifetime lifetimeJSON `json:"lifetime"`
	Port     portJSON     `json:"port"`
	Servers  []doctorHost `json:"servers"`
	Findings []finding    `json:"findings"`
}

// A lifetimeJSON is in seconds; 0 is not known.
type lifetimeJSON struct {
	AtLeast float64 `json:"at_least_s"`
	Below   float64 `json:"below_s"`
}

type portJSON struct {
	Method   string `json:"method,omitempty"` // "PCP", "NAT-PMP", "UPnP"; empty: the router forwards none
	External string `json:"external,omitempty"`
}

type doctorHost struct {
	Server string  `json:"server"`
	RTT    float64 `json:"rtt_ms"`
	RTT6   float64 `json:"rtt6_ms"`
	TCP    float64 `json:"tcp_ms"` // until it proved its key over TCP; 0: it did not
	MTU    int     `json:"mtu"`    // of IP packets; 0: not known
	Mapped string  `json:"mapped,omitempty"`
	Clock  float64 `json:"clock_ms"` // its clock minus ours
}

// wrongClock is what still works, and is worth saying.
const wrongClock = 2 * time.Minute

// sound is the size of packets that no usual tunnel makes smaller.
const soundMTU = 1400

// adder adds a finding.
type adder func(state, what, format string, args ...any)

// report judges. Addresses and servers are replaced unless they are wanted.
func (e *examination) report(addresses bool) doctorJSON {
	r := doctorJSON{Event: "doctor", Servers: []doctorHost{}}
	add := func(state, what, format string, args ...any) {
		r.Findings = append(r.Findings, finding{state, what, fmt.Sprintf(format, args...)})
	}
	e.judgeUDP(add)
	r.NAT = e.judgeNAT(add)
	r.Lifetime = e.judgeLifetime(add)
	r.Port = e.judgeRouter(add, addresses)
	e.judgeIPv6(add)
	for i, x := range e.servers {
		r.Servers = append(r.Servers, x.judge(add, i+1, addresses))
	}
	return r
}

func (x serverExam) judge(add adder, number int, addresses bool) doctorHost {
	name := fmt.Sprintf("server %d", number)
	h := doctorHost{
		RTT: millis(x.rtt), RTT6: millis(x.rtt6), TCP: millis(x.tcp), MTU: x.mtu, Clock: float64(x.clock.Milliseconds()),
	}
	if addresses {
		name = x.addr.HostPort()
		if x.mapped.IsValid() {
			h.Mapped = x.mapped.String()
		}
	}
	h.Server = name
	switch {
	case x.rtt == 0 && x.dialErr != nil && x.tcp > 0:
		add("note", "server", "%s answers over TCP only, after %.0f ms: chats work, slower than over UDP.", capital(name), millis(x.tcp))
	case x.rtt == 0 && x.dialErr != nil:
		add("problem", "server", "%s %s.", capital(name), silence(x.dialErr))
	case x.dialErr != nil:
		add("problem", "server", "%s answers after %.0f ms, but %s.", capital(name), millis(x.rtt), silence(x.dialErr))
	default:
		add("ok", "server", "%s answers after %.0f ms and proved its key.", capital(name), millis(x.rtt))
	}
	switch {
	case x.rtt == 0:
	case x.mtu == 0:
		add("note", "mtu", "Which packets reach %s whole could not be found out.", name)
	case x.mtu < soundMTU:
		add("note", "mtu", "Packets of up to %d bytes reach %s: a tunnel is on the way. It works, large files are a little slower.", x.mtu, name)
	default:
		add("ok", "mtu", "Packets of %d bytes, and so all that are sent, reach %s whole.", x.mtu, name)
	}
	switch {
	case x.dialErr != nil:
	case x.clock.Abs() > wrongClock:
		add("problem", "clock", "This machine's clock and that of %s differ by %v: set this one, else contacts may not be found.", name, x.clock.Abs().Round(time.Second))
	default:
		add("ok", "clock", "This machine's clock agrees with that of %s.", name)
	}
	return h
}

func (e *examination) judgeUDP(add adder) {
	tcp := false
	for _, x := range e.servers {
		tcp = tcp || x.tcp > 0
	}
	switch {
	case len(e.servers) == 0:
		add("problem", "server", "The profile has no server, so there is nobody to ask; add one with: sremp servers add ADDRESS.")
	case e.received:
		add("ok", "udp", "UDP gets through.")
	case tcp:
		add("problem", "udp", "This network blocks UDP; a server is reached over TCP, which is used by itself. For direct paths use another network, or ask who runs this one to allow UDP.")
	default:
		add("problem", "udp", "Nothing comes back, neither over UDP nor over TCP: this network blocks both, or no server is up. Try another network.")
	}
}

// judgeNAT looks at the first server that tells enough.
func (e *examination) judgeNAT(add adder) (kind string) {
	var seen []serverExam
	for _, x := range e.servers {
		if x.mapped.IsValid() {
			seen = append(seen, x)
		}
	}
	if len(seen) == 0 {
		return ""
	}
	x := seen[0]
	if x.mapped.Addr().IsLoopback() {
		add("note", "nat", "The server runs on this very machine: it cannot tell what a router does. Ask one elsewhere.")
		return ""
	}
	switch {
	case e.owns(x.mapped.Addr()):
		kind = "none"
		add("ok", "nat", "This machine has a public address: whoever has no such one can still reach you directly.")
	case x.other.IsValid() && x.other != x.mapped:
		kind = "symmetric"
		add("note", "nat", "The router takes another port for each destination (symmetric NAT): direct paths need the other side to be easier, or a longer search. A port forwarding to this machine helps.")
	case x.other.IsValid():
		kind = "easy"
		add("ok", "nat", "The router keeps one port for all destinations: direct paths are possible with most others.")
	default:
		kind = "some"
		add("note", "nat", "There is a router that translates addresses; the server has no second port to find out more. Ask one that has.")
	}
	if x.paired && kind != "none" {
		if x.unasked {
			add("ok", "firewall", "The router lets in others than those that were asked: that makes direct paths easy.")
		} else {
			add("ok", "firewall", "The router lets in only those that were asked, as most do.")
		}
	}
	if carrierNAT.Contains(x.mapped.Addr()) {
		add("note", "nat", "The server sees an address of a carrier's inner network: it is inside it as well.")
	}
	return kind
}

// carrierNAT is what carriers give to customers whom they translate (RFC 6598).
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// shortLifetime is below what keep-alives of other programs rely on.
const shortLifetime = 25 * time.Second

func (e *examination) judgeLifetime(add adder) lifetimeJSON {
	l := e.lifetime
	more := ""
	if e.waited < longWaits[len(longWaits)-1] {
		more = " To measure longer: sremp doctor --long."
	}
	switch {
	case e.waited == 0:
	case l.NotTold:
		add("note", "lifetime", "The server is too old to measure how long the router keeps a mapping; its operator can install a newer one.")
	case l.Below > 0 && l.Below <= shortLifetime:
		after := fmt.Sprintf("after %v to %v", l.AtLeast, l.Below)
		if l.AtLeast == 0 {
			after = fmt.Sprintf("within %v", l.Below)
		}
		add("note", "lifetime", "The router forgets a silent connection %s: keep-alives are needed often, which costs battery. If its settings have a UDP timeout, raise it.", after)
	case l.Below > 0:
		add("ok", "lifetime", "The router keeps a silent connection for %v to %v.", l.AtLeast, l.Below)
	case l.AtLeast > 0:
		add("ok", "lifetime", "The router keeps a silent connection for %v at least.%s", l.AtLeast, more)
	default:
		add("note", "lifetime", "How long the router keeps a mapping could not be measured.")
	}
	return lifetimeJSON{AtLeast: l.AtLeast.Seconds(), Below: l.Below.Seconds()}
}

func (e *examination) judgeRouter(add adder, addresses bool) portJSON {
	m := e.router.mapping
	switch {
	case e.router.absent:
		add("note", "port", "There is no router to ask for a port here.")
		return portJSON{}
	case !m.External.IsValid():
		add("note", "port", "The router forwards no port when it is asked. Switching UPnP or PCP on in its settings makes direct paths easier.")
		return portJSON{}
	}
	out := portJSON{Method: string(m.Method)}
	if addresses {
		out.External = m.External.String()
	}
	a := m.External.Addr()
	for _, x := range e.servers {
		if x.mapped.IsValid() && x.mapped.Addr().Is4() && x.mapped.Addr() != a && !x.mapped.Addr().IsLoopback() {
			add("note", "port", "The router forwards a port (%s), but another one before it does not: the provider translates addresses too, or there are two routers. One in bridge mode, or a public address from the provider, helps.", m.Method)
			return out
		}
	}
	if a.IsPrivate() || carrierNAT.Contains(a) {
		add("note", "port", "The router forwards a port (%s), but has no public address itself.", m.Method)
		return out
	}
	add("ok", "port", "The router forwards a port to this machine (%s): others can reach it directly.", m.Method)
	return out
}

func (e *examination) judgeIPv6(add adder) {
	reached := false
	for _, x := range e.servers {
		reached = reached || x.rtt6 > 0
	}
	for _, a := range e.local {
		if a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate() {
			if reached {
				add("ok", "ipv6", "IPv6 works, and direct paths use it first.")
			} else {
				add("ok", "ipv6", "This machine has a public IPv6 address, which direct paths use first; no server has one to try it with.")
			}
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
