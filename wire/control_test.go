package wire

import (
	"errors"
	"net/netip"
	"testing"
)

func controlVectors() []vector {
	candidates := ControlCandidates{Round: 3, Candidates: []Candidate{
		{Addr: netip.MustParseAddrPort("11.0.0.1:4433"), Kind: HostCandidate},
		{Addr: netip.MustParseAddrPort("[2a0e::1]:1"), Kind: ServerReflexiveCandidate},
	}}
	path := ControlPath{Seq: 2, Path: ControlPathDirect, Reason: "direct path proven"}
	return []vector{
		{"control-candidates", candidates.Append(nil), again(ParseControlCandidates)},
		{"control-candidates-none", ControlCandidates{}.Append(nil), again(ParseControlCandidates)},
		{"control-path", path.Append(nil), again(ParseControlPath)},
		{"control-hindrance", ControlHindrance{HindranceRelayOnly}.Append(nil), again(ParseControlHindrance)},
		{"control-spare", ControlSpare{0x01020304, netip.MustParseAddrPort("192.0.2.7:50000")}.Append(nil), again(ParseControlSpare)},
		{"control-ping", ControlPing{0x0102030405060708}.Append(nil), again(ParseControlPing)},
	}
}

func TestControlVectors(t *testing.T) { checkVectors(t, "control", controlVectors()) }

func FuzzControl(f *testing.F) { fuzzVectors(f, controlVectors()) }

func TestControlPathUnknown(t *testing.T) {
	for _, path := range []uint8{0, 3, 255} {
		if _, err := ParseControlPath(ControlPath{Path: path}.Append(nil)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("path %d: got %v, want ErrNotCanonical", path, err)
		}
	}
}
