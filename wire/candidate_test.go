package wire

import (
	"errors"
	"net/netip"
	"testing"
)

func candidateVectors() []vector {
	again := func(b []byte) ([]byte, error) {
		cs, err := ParseCandidates(b)
		if err != nil {
			return nil, err
		}
		return AppendCandidates(nil, cs), nil
	}
	return []vector{
		{"none", AppendCandidates(nil, nil), again},
		{"several", AppendCandidates(nil, []Candidate{
			{netip.MustParseAddrPort("192.0.2.1:4000"), HostCandidate},
			{netip.MustParseAddrPort("[2001:db8::1]:65535"), ServerReflexiveCandidate},
			{netip.MustParseAddrPort("127.0.0.1:1"), ManualCandidate},
		}), again},
	}
}

func TestCandidates(t *testing.T) { checkVectors(t, "candidate", candidateVectors()) }

func FuzzCandidates(f *testing.F) { fuzzVectors(f, candidateVectors()) }

func TestAppendCandidatesNormalises(t *testing.T) {
	in := []Candidate{{}, {netip.MustParseAddrPort("[::ffff:192.0.2.1]:5"), HostCandidate}, {netip.MustParseAddrPort("192.0.2.1:0"), HostCandidate}}
	for range 100 {
		in = append(in, Candidate{netip.MustParseAddrPort("[fe80::1%eth0]:7"), HostCandidate})
	}
	got, err := ParseCandidates(AppendCandidates(nil, in))
	if err != nil || len(got) != MaxCandidates {
		t.Fatalf("got %d candidates, %v, want %d", len(got), err, MaxCandidates)
	}
	if got[0].Addr.String() != "192.0.2.1:5" || got[1].Addr.String() != "[fe80::1]:7" {
		t.Errorf("got %v and %v", got[0], got[1])
	}
}

func TestParseCandidatesRefuses(t *testing.T) {
	one := AppendAddrPort([]byte{1}, netip.MustParseAddrPort("192.0.2.1:5"))
	many := []byte{MaxCandidates + 1}
	for range MaxCandidates + 1 {
		many = append(many, one...)
	}
	if _, err := ParseCandidates(many); !errors.Is(err, ErrTooLarge) {
		t.Errorf("33 candidates: %v, want ErrTooLarge", err)
	}
	for _, kind := range []byte{0, 8} {
		bad := append([]byte{1, kind}, one[1:]...)
		if _, err := ParseCandidates(bad); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("kind %d: %v, want ErrNotCanonical", kind, err)
		}
	}
}
