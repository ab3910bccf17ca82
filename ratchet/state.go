package ratchet

import (
	"encoding/binary"
	"fmt"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// stateVersion is the first byte of a stored Peer (spec §4.5).
const stateVersion = 1

// sessionLen is the size of a session without pending agreement and stored keys.
const sessionLen = 1 + 4 + 8 + 8 + 4*4 + 11*32 + 2 + 2 + 1

// MarshalBinary implements [encoding.BinaryMarshaler]. The bytes are secret:
// the caller seals them.
func (p *Peer) MarshalBinary() ([]byte, error) { return p.AppendBinary(nil) }

// AppendBinary implements [encoding.BinaryAppender].
func (p *Peer) AppendBinary(b []byte) ([]byte, error) {
	st := p.s
	b = grow(b, st.size())
	b = append(b, stateVersion)
	for _, q := range []*party{&st.local, &st.remote} {
		b = append(append(b, q.id[:]...), q.device[:]...)
	}
	b = binary.BigEndian.AppendUint32(b, st.epoch)
	b = append(b, byte(len(st.recent)))
	for _, t := range st.recent {
		b = binary.BigEndian.AppendUint64(b, t)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(st.accepted)))
	for _, a := range st.accepted {
		b = binary.BigEndian.AppendUint32(append(b, a.hash[:]...), a.lastResort)
	}
	b = append(b, byte(len(st.sessions)))
	for _, s := range st.sessions {
		b = s.append(b)
	}
	return b, nil
}

func (st *peerState) size() int {
	n := 1 + 2*48 + 4 + 1 + 8*len(st.recent) + 2 + 36*len(st.accepted) + 1
	for _, s := range st.sessions {
		n += sessionLen + len(s.pending) + 36*len(s.recv.keys)
		for _, c := range s.old {
			n += 38 + 36*len(c.keys)
		}
	}
	return n
}

func (s *session) append(b []byte) []byte {
	b = append(b, s.flags)
	b = binary.BigEndian.AppendUint32(b, s.generation)
	b = binary.BigEndian.AppendUint64(b, s.created)
	b = binary.BigEndian.AppendUint64(b, s.received)
	for _, n := range [...]uint32{s.sendN, s.recvN, s.prevN, s.recv.lost} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, k := range s.keys() {
		b = append(b, k[:]...)
	}
	b = wire.AppendVec16(b, s.pending)
	b = s.recv.appendKeys(b)
	b = append(b, byte(len(s.old)))
	for _, c := range s.old {
		b = append(b, c.header.key[:]...)
		b = binary.BigEndian.AppendUint32(b, c.lost)
		b = c.appendKeys(b)
	}
	return b
}

// keys lists all keys of fixed size in the order of their encoding.
func (s *session) keys() [11]*[32]byte {
	return [...]*[32]byte{
		&s.id, &s.root, &s.dh.private, &s.dh.public, &s.remote, &s.sendChain, &s.recvChain,
		&s.send.key, &s.nextSend.key, &s.recv.header.key, &s.nextRecv.key,
	}
}

func (c *chain) appendKeys(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.keys)))
	for i := range c.keys {
		b = binary.BigEndian.AppendUint32(b, c.keys[i].n)
		b = append(b, c.keys[i].key[:]...)
	}
	return b
}

// ParsePeer is the inverse of [Peer.MarshalBinary]. It computes nothing.
func ParsePeer(b []byte) (*Peer, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != stateVersion {
		return nil, fmt.Errorf("%w: version %d", ErrState, v)
	}
	st := &peerState{}
	for _, q := range []*party{&st.local, &st.remote} {
		q.id, q.device = identity.PeerID(r.Array32()), identity.DeviceID(r.Array16())
	}
	st.epoch = r.Uint32()
	n := limit(r, int(r.Uint8()), 0, maxRecent)
	if n > 0 {
		st.recent = make([]uint64, n, maxRecent)
	}
	for i := range st.recent {
		st.recent[i] = r.Uint64()
	}
	for range limit(r, int(r.Uint16()), 0, maxAccepted) {
		st.accepted = append(st.accepted, accepted{r.Array32(), r.Uint32()})
	}
	for range limit(r, int(r.Uint8()), 1, MaxSessions) {
		st.sessions = append(st.sessions, parseSession(r))
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return &Peer{st}, nil
}

// limit returns n if it is within its limits, else 0 and the reader fails.
func limit(r *wire.Reader, n, least, most int) int {
	if r.Err() == nil && (n < least || n > most) {
		r.Fail(wire.ErrNotCanonical)
	}
	if r.Err() != nil {
		return 0
	}
	return n
}

func parseSession(r *wire.Reader) *session {
	s := &session{}
	s.flags = r.Uint8()
	s.generation = r.Uint32()
	s.created, s.received = r.Uint64(), r.Uint64()
	for _, n := range []*uint32{&s.sendN, &s.recvN, &s.prevN, &s.recv.lost} {
		*n = r.Uint32()
	}
	for _, k := range s.keys() {
		r.Copy(k[:])
	}
	if p := r.Vec16(0, wire.MaxAgreement); len(p) > 0 {
		s.pending = append([]byte(nil), p...)
	}
	total := s.recv.parseKeys(r, 0)
	for range limit(r, int(r.Uint8()), 0, MaxOldChains) {
		c := &chain{}
		r.Copy(c.header.key[:])
		c.lost = r.Uint32()
		n := c.parseKeys(r, 1)
		total += n
		s.old = append(s.old, c)
	}
	if total > MaxSkipTotal || s.flags&^uint8(flagsKnown) != 0 {
		r.Fail(wire.ErrNotCanonical)
	}
	return s
}

// parseKeys takes a chain's stored keys, whose numbers ascend.
func (c *chain) parseKeys(r *wire.Reader, least int) int {
	n := limit(r, int(r.Uint16()), least, MaxSkip)
	if r.Len() < 36*n {
		r.Fail(wire.ErrTruncated)
		return 0
	}
	if n > 0 {
		c.keys = make([]skippedKey, n)
	}
	for i := range c.keys {
		c.keys[i].n = r.Uint32()
		r.Copy(c.keys[i].key[:])
		if i > 0 && c.keys[i-1].n >= c.keys[i].n {
			r.Fail(wire.ErrNotCanonical)
		}
	}
	return n
}
