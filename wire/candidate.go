package wire

import "net/netip"

// A CandidateKind says how a candidate address was found (RFC 8445, section 4).
type CandidateKind uint8

// The kinds of candidates.
const (
	HostCandidate            CandidateKind = 1 // of an own interface
	ServerReflexiveCandidate CandidateKind = 2 // as a STUN server saw us
	PeerReflexiveCandidate   CandidateKind = 3 // the source of an authentic probe; never sent
	ManualCandidate          CandidateKind = 4 // typed in, or from an invite
	PredictedCandidate       CandidateKind = 5 // where our NAT will probably put us for a new destination
	RandomCandidate          CandidateKind = 6 // as 2, but our NAT takes another, random port for each destination
	MappedCandidate          CandidateKind = 7 // a port that our router forwards to us
)

// A Candidate is an address at which a peer may be reached (spec §5.20.1).
type Candidate struct {
	Addr netip.AddrPort // never IPv4-mapped, no zone
	Kind CandidateKind
}

// MaxCandidates is how many candidates one list may have.
const MaxCandidates = 32

// AppendCandidates appends the list, best first: uint8 count, and for each
// uint8 kind and the address. IPv4-mapped addresses become IPv4, zones are
// dropped, invalid addresses left out. Only the first [MaxCandidates] are encoded.
func AppendCandidates(b []byte, cs []Candidate) []byte {
	at := len(b)
	b = append(b, 0)
	for _, c := range cs {
		a := netip.AddrPortFrom(c.Addr.Addr().Unmap().WithZone(""), c.Addr.Port())
		if goodAddrPort(a) && b[at] < MaxCandidates {
			b[at]++
			b = AppendAddrPort(append(b, byte(c.Kind)), a)
		}
	}
	return b
}

// Candidates takes what [AppendCandidates] appends.
func (r *Reader) Candidates() []Candidate {
	n := int(r.Uint8())
	if n > MaxCandidates {
		r.Fail(ErrTooLarge)
		return nil
	}
	var cs []Candidate
	for range n {
		c := Candidate{Kind: CandidateKind(r.Uint8()), Addr: r.AddrPort()}
		if c.Kind < HostCandidate || c.Kind > MappedCandidate {
			r.Fail(ErrNotCanonical)
		}
		if r.Err() != nil {
			return nil
		}
		cs = append(cs, c)
	}
	return cs
}

// ParseCandidates is the inverse of [AppendCandidates].
func ParseCandidates(b []byte) ([]Candidate, error) {
	r := NewReader(b)
	cs := r.Candidates()
	if err := r.Done(); err != nil {
		return nil, err
	}
	return cs, nil
}
