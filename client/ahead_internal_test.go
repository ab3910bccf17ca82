package client

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// The addresses in an offer's extension come back, no others do, and whatever is cut
// or longer than it says is none.
func TestAheadExtension(t *testing.T) {
	in := []netip.AddrPort{netip.MustParseAddrPort("192.168.1.5:1"), netip.MustParseAddrPort("11.0.0.1:2"), netip.MustParseAddrPort("127.0.0.1:3"), netip.MustParseAddrPort("[2a0e::1]:4"), netip.MustParseAddrPort("11.0.0.1:2"), netip.MustParseAddrPort("11.0.0.2:5"), netip.MustParseAddrPort("11.0.0.3:6"), netip.MustParseAddrPort("11.0.0.4:7")}
	want := []netip.AddrPort{in[1], in[3], in[5], in[6]}
	known := outside(in)
	if !reflect.DeepEqual(known, want) {
		t.Fatalf("got %v, want %v", known, want)
	}
	b := appendAhead(nil, known)
	if got := parseAhead([]wire.Extension{{Type: extensionAttestation}, {Type: extensionAhead, Data: b}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for n := range len(b) {
		if got := parseAhead([]wire.Extension{{Type: extensionAhead, Data: b[:n]}}); got != nil {
			t.Errorf("cut to %d bytes it names %v", n, got)
		}
	}
	if got := parseAhead([]wire.Extension{{Type: extensionAhead, Data: append(b, 0)}}); got != nil {
		t.Errorf("with a byte more it names %v", got)
	}
}

// Who has used up its first predictions, one for each IPv4 address, goes on with those
// of the other side that belong to the next.
func TestUnspoiltPredictions(t *testing.T) {
	list := func(kind nat.CandidateKind, ports ...uint16) (cs []nat.Candidate) {
		for _, p := range ports {
			cs = append(cs, nat.Candidate{Addr: netip.AddrPortFrom(netip.MustParseAddr("11.0.0.7"), p), Kind: kind})
		}
		return cs
	}
	remote := append(list(nat.Host, 1), list(nat.Predicted, 2, 3, 4)...)
	known := []netip.AddrPort{netip.MustParseAddrPort("11.0.0.1:1"), netip.MustParseAddrPort("[2a0e::1]:4"), netip.MustParseAddrPort("11.0.0.1:2")}
	want := append(list(nat.Host, 1), list(nat.Predicted, 4)...)
	if got := unspoilt(remote, list(nat.Predicted, 9), known); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := unspoilt(remote, list(nat.ServerReflexive, 9), known); !reflect.DeepEqual(got, remote) {
		t.Errorf("with a port for all destinations: got %v, want %v", got, remote)
	}
	if got := unspoilt(remote, list(nat.Predicted, 9), nil); !reflect.DeepEqual(got, remote) {
		t.Errorf("with nothing used up: got %v, want %v", got, remote)
	}
}
