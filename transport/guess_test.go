package transport

import (
	"net"
	"net/netip"
	"testing"

	"github.com/sremp/sremp/nat"
)

// Spec §5.4.2: the address that is dialled before anything has proven it.
func TestGuess(t *testing.T) {
	of := func(kind nat.CandidateKind, addr string) nat.Candidate {
		return nat.Candidate{Addr: netip.MustParseAddrPort(addr), Kind: kind}
	}
	home := of(nat.Host, "192.168.1.2:1")
	reflexive, other := of(nat.ServerReflexive, "11.0.0.1:1"), of(nat.ServerReflexive, "11.0.0.2:1")
	predicted, random, mapped := of(nat.Predicted, "11.0.0.2:3"), of(nat.Random, "11.0.0.2:4"), of(nat.Mapped, "11.0.0.2:5")
	ourRandom, ourMapped, ourPredicted := of(nat.Random, "11.0.0.1:4"), of(nat.Mapped, "11.0.0.1:5"), of(nat.Predicted, "11.0.0.1:6")
	our6, their6 := of(nat.Host, "[2a0e::1]:1"), of(nat.Host, "[2a0e::2]:1")
	type list []nat.Candidate
	for _, test := range []struct {
		name          string
		dual          bool // the socket is of both families
		answering     bool
		local, remote list
		want          netip.AddrPort
	}{
		{name: "usual", local: list{home, reflexive}, remote: list{home, other}, want: other.Addr},
		{name: "mapped first", local: list{reflexive}, remote: list{other, mapped}, want: mapped.Addr},
		{name: "at home only", local: list{reflexive}, remote: list{home}},
		{name: "behind our own NAT", local: list{reflexive}, remote: list{reflexive}},
		{name: "predicted", local: list{reflexive}, remote: list{home, predicted, of(nat.Predicted, "11.0.0.2:7")}, want: predicted.Addr},
		{name: "both predicted", local: list{ourPredicted}, remote: list{predicted}, want: predicted.Addr},
		{name: "random", local: list{reflexive}, remote: list{random, other}},
		{name: "random and mapped", local: list{reflexive}, remote: list{random, mapped}, want: mapped.Addr},
		{name: "our random port, asking", local: list{ourRandom}, remote: list{other}, want: other.Addr},
		{name: "our random port, answering", answering: true, local: list{ourRandom}, remote: list{other}},
		{name: "our random and mapped port", local: list{ourRandom, ourMapped}, remote: list{other}},
		{name: "the family of the socket", local: list{reflexive}, remote: list{their6, other}, want: other.Addr},
		{name: "both families", dual: true, local: list{reflexive, our6}, remote: list{other, their6}, want: their6.Addr},
		{name: "both families, one in common", dual: true, local: list{reflexive, our6}, remote: list{other}, want: other.Addr},
		{name: "both families, the other in common", dual: true, local: list{reflexive}, remote: list{other, their6}, want: other.Addr},
	} {
		t.Run(test.name, func(t *testing.T) {
			var pc net.PacketConn
			if test.dual {
				var err error
				if pc, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6unspecified}); err != nil {
					t.Fatal(err)
				}
			}
			e := endpoint(t, Config{Identity: local(t, "Ann"), PacketConn: pc})
			e.local = test.local
			at := newAttempt(Attempt{ProbeKey: [32]byte{1}, Remote: test.remote, Answering: test.answering}, func(error) {})
			if got, ok := e.guess(at); got != test.want || ok != test.want.IsValid() {
				t.Errorf("got %v, %v, want %v", got, ok, test.want)
			}
		})
	}
}
