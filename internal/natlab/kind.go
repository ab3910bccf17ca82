//go:build linux

package natlab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A Kind is what a router does to UDP (RFC 4787).
type Kind string

// The kinds of routers. The comments give mapping and filtering: endpoint
// independent (EIM, EIF), address dependent (ADM, ADF), address and port
// dependent (APDM, APDF).
const (
	Port     Kind = "port"       // EIM, APDF, keeps the port: most Linux homes
	PortRnd  Kind = "portrnd"    // EIM, APDF, changes the port
	FullCone Kind = "fullcone"   // EIM, EIF, hairpin
	AddrCone Kind = "addr"       // EIM, ADF, hairpin
	PortCone Kind = "portcone"   // EIM, APDF, hairpin
	Sym      Kind = "sym"        // APDM, APDF, random ports
	SymSeq   Kind = "symseq"     // APDM, APDF, sequential ports
	SymAddr  Kind = "symaddr"    // ADM, APDF
	Blocked  Kind = "blocked"    // no UDP at all
	TCPOnly  Kind = "tcponly443" // TCP to ports 80 and 443 alone
)

// Hairpins reports whether hosts behind one router of this kind reach each
// other by its outside address.
func (k Kind) Hairpins() bool { return k == FullCone || k == AddrCone || k == PortCone }

// WANInput is what a router does with packets to itself from outside.
type WANInput string

// The ways to treat them. Accepting ones make a conntrack entry, which then
// takes the port that a host inside wants for the same flow.
const (
	Drop   WANInput = "drop"
	Reject WANInput = "reject"
	Accept WANInput = "accept"
)

// RouterOptions describe a router. Only Kind is required.
type RouterOptions struct {
	Kind     Kind
	Input    WANInput      // Drop by default
	Mapping  time.Duration // of a replied UDP flow, 120 s by default
	Opening  time.Duration // of an unreplied one, 30 s by default
	IPv6     bool          // it routes IPv6 as well, with a stateful firewall
	IPv6Open bool          // without that firewall
	NoIPv4   bool          // IPv6 alone
	Isolated bool          // its hosts do not reach each other directly
	Seed     uint32        // of the hashes and counters that choose ports
}

func (o RouterOptions) withDefaults() RouterOptions {
	if o.Input == "" {
		o.Input = Drop
	}
	if o.Mapping == 0 {
		o.Mapping = 120 * time.Second
	}
	if o.Opening == 0 {
		o.Opening = 30 * time.Second
	}
	return o
}

// rules returns the nft rules of a router whose outside address is wan.
func (o RouterOptions) rules(wan netip.Addr) string {
	var b strings.Builder
	if !o.NoIPv4 {
		fmt.Fprintf(&b, "table ip nat {\n%s\tchain out { type nat hook postrouting priority 100;\n%s\t}\n}\n", o.inbound(wan), o.outbound(wan))
	}
	if o.Isolated {
		b.WriteString("table bridge isolation {\n\tchain through { type filter hook forward priority 0; policy drop; }\n}\n")
	}
	input := "iifname \"wan\" " + string(o.Input)
	if o.Input == Reject {
		input = "iifname \"wan\" meta nfproto ipv4 reject with icmp type port-unreachable\n\t\tiifname \"wan\" drop"
	}
	through := ""
	switch o.Kind {
	case Blocked:
		through = "meta l4proto udp drop"
	case TCPOnly:
		through = "meta l4proto udp drop\n\t\tmeta l4proto tcp tcp dport != { 80, 443 } iifname \"lan*\" drop"
	}
	if o.IPv6Open {
		through += "\n\t\tmeta nfproto ipv6 accept"
	}
	fmt.Fprintf(&b, `table inet filter {
	chain in { type filter hook input priority 0; policy accept;
		iifname "wan" ct state established,related accept
		iifname "wan" meta l4proto { icmp, icmpv6 } accept
		%s
	}
	chain through { type filter hook forward priority 0; policy accept;
		%s
		iifname "wan" ct state established,related accept
		iifname "wan" ct status dnat accept
		iifname "wan" meta l4proto icmpv6 accept
		iifname "wan" drop
	}
}
`, input, through)
	return b.String()
}

// outbound is how the router translates sources.
func (o RouterOptions) outbound(wan netip.Addr) string {
	const udp = "\t\toifname \"wan\" meta l4proto udp masquerade to :"
	switch o.Kind {
	case PortRnd:
		return fmt.Sprintf(udp+"jhash ip saddr . udp sport mod 60000 seed %#x offset 1024\n\t\toifname \"wan\" masquerade\n", o.Seed)
	case SymAddr:
		return fmt.Sprintf(udp+"jhash ip saddr . udp sport . ip daddr mod 60000 seed %#x offset 1024\n\t\toifname \"wan\" masquerade\n", o.Seed)
	case SymSeq:
		return fmt.Sprintf(udp+"numgen inc mod 60000 offset %d\n\t\toifname \"wan\" masquerade\n", 2000+o.Seed%3000)
	case Sym:
		return "\t\toifname \"wan\" masquerade fully-random\n"
	case FullCone, AddrCone, PortCone:
		return fmt.Sprintf("\t\toifname \"wan\" snat to %s\n\t\tiifname \"lan*\" oifname \"lan*\" ct status dnat snat to %[1]s\n", wan)
	}
	return "\t\toifname \"wan\" masquerade\n"
}

// inbound is the explicit state of the cone kinds: which inside address has a
// port, and whom it has sent to.
func (o RouterOptions) inbound(wan netip.Addr) string {
	if !o.Kind.Hairpins() {
		return ""
	}
	filter := map[Kind]string{
		FullCone: "",
		AddrCone: "ip saddr . udp dport @f1 ",
		PortCone: "ip saddr . udp sport . udp dport @f2 ",
	}[o.Kind]
	return fmt.Sprintf(`	map eim { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout %[1]ds; }
	set f1 { type ipv4_addr . inet_service; flags dynamic,timeout; timeout %[1]ds; }
	set f2 { type ipv4_addr . inet_service . inet_service; flags dynamic,timeout; timeout %[1]ds; }
	chain track { type filter hook forward priority -10; policy accept;
		iifname "lan*" oifname "wan" meta l4proto udp update @eim { udp sport : ip saddr . udp sport } update @f1 { ip daddr . udp sport } update @f2 { ip daddr . udp dport . udp sport }
	}
	chain before { type nat hook prerouting priority -100;
		iifname "wan" ip daddr %[2]s meta l4proto udp %[3]sdnat ip to udp dport map @eim
		iifname "lan*" ip daddr %[2]s meta l4proto udp update @eim { udp sport : ip saddr . udp sport } update @f1 { ip daddr . udp sport } update @f2 { ip daddr . udp dport . udp sport } dnat ip to udp dport map @eim
	}
`, int(o.Mapping.Seconds()), wan, filter)
}
