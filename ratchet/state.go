package ratchet

import (
	"encoding/binary"
	"fmt"

	"github.com/sremp/sremp/wire"
)

// stateVersion is the first byte of a stored Peer (spec §4.5).
const stateVersion = 1

// MarshalBinary implements [encoding.BinaryMarshaler]. The bytes are secret:
// the caller seals them.
func (p *Peer) MarshalBinary() ([]byte, error) { return p.AppendBinary(nil) }

// AppendBinary implements [encoding.BinaryAppender].
func (p *Peer) AppendBinary(b []byte) ([]byte, error) {
	st := p.s
	b = grow(b, st.size())
	b = append(append(b, stateVersion), st.pair[:]...)
	b = binary.AppendUvarint(b, uint64(st.epoch))
	b = append(b, byte(st.recents))
	for _, t := range st.recent[:st.recents] {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(st.accepted)))
	for _, a := range st.accepted {
		b = binary.AppendUvarint(append(b, a.hash[:]...), uint64(a.lastResort))
	}
	b = append(b, byte(len(st.sessions)))
	for _, s := range st.sessions {
		b = s.append(b)
	}
	return b, nil
}

// maxSession is the most bytes of a session without what varies in length.
const maxSession = 2 + 6*5 + 3*10 + 2*5 + 2 + 16 + 9*32 + 3 + 3 + 1

// size is at least what the state needs.
func (st *peerState) size() int {
	n := 1 + 16 + 5 + 1 + 4*st.recents + 2 + 21*len(st.accepted) + 1
	for _, s := range st.sessions {
		n += maxSession + len(s.pending) + 36*s.recv.live
		for _, c := range s.old {
			n += 40 + 36*c.live
		}
		if f := s.pq.flight; f != nil {
			n += len(f.seed) + len(f.secret) + len(f.vector)
		}
	}
	return n
}

func (s *session) append(b []byte) []byte {
	b = append(b, s.flags, s.strays)
	for _, n := range [...]uint64{
		uint64(s.generation), s.created, s.received, uint64(s.sendN), uint64(s.recvN), uint64(s.prevN),
		uint64(s.recv.lost), uint64(s.pq.epoch), s.pq.since, uint64(s.pq.steps), uint64(s.pq.count),
	} {
		b = binary.AppendUvarint(b, n)
	}
	b = append(b, s.pq.phase, s.pq.wait)
	b = append(b, s.id[:]...)
	keys, n := s.keys()
	for _, k := range keys[:n] {
		b = append(b, k[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(s.pending)))
	b = append(b, s.pending...)
	if f := s.pq.flight; f != nil {
		if s.pq.phase == pqOffered {
			b = append(b, f.seed[:]...)
		} else {
			b = append(b, f.secret[:]...)
		}
		b = append(b, f.vector...)
	}
	b = s.recv.append(b)
	b = append(b, byte(len(s.old)))
	for _, c := range s.old {
		b = append(b, c.header.key[:]...)
		b = binary.AppendUvarint(b, uint64(c.lost))
		b = c.append(b)
	}
	return b
}

// keys lists the keys of fixed size that the session holds, in the order of
// their encoding.
func (s *session) keys() (k [9]*[32]byte, n int) {
	k[0], n = &s.root, 1
	if s.has(flagReceive) {
		k[1], k[2], n = &s.recvChain, &s.recv.header.key, 3
	}
	if !s.has(flagSend) {
		k[n], k[n+1] = &s.remote, &s.nextSend.key
		return k, n + 2
	}
	for _, x := range [...]*[32]byte{&s.dh.private, &s.dh.public, &s.sendChain, &s.send.key, &s.nextRecv.key} {
		k[n] = x
		n++
	}
	return k, n
}

// append encodes the keys that are not used.
func (r *keyring) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.live))
	for i := range r.keys {
		if r.keys[i] != [32]byte{} {
			b = binary.BigEndian.AppendUint32(b, r.nums[i])
			b = append(b, r.keys[i][:]...)
		}
	}
	return b
}

// ParsePeer is the inverse of [Peer.MarshalBinary]. It computes nothing: keys
// are expanded when they are first used.
func ParsePeer(b []byte) (*Peer, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != stateVersion {
		return nil, fmt.Errorf("%w: version %d", ErrState, v)
	}
	// One allocation for what nearly every peer is: a peer with one session.
	one := &struct {
		peer     Peer
		state    peerState
		session  session
		sessions [1]*session
	}{}
	st := &one.state
	one.peer.s = st
	st.pair, st.epoch = r.Array16(), uint32(uvarint(r, 1<<32-1))
	st.recents = limit(r, int(r.Uint8()), 0, maxRecent)
	for i := range st.recents {
		st.recent[i] = r.Uint32()
	}
	if n := limit(r, int(uvarint(r, maxAccepted)), 0, maxAccepted); n > 0 {
		st.accepted = make([]accepted, n)
	}
	for i := range st.accepted {
		st.accepted[i] = accepted{r.Array16(), uint32(uvarint(r, 1<<32-1))}
	}
	n := limit(r, int(r.Uint8()), 1, MaxSessions)
	st.sessions = one.sessions[:0]
	for i := range n {
		s := &one.session
		if i > 0 {
			s = new(session)
		}
		s.parse(r)
		st.sessions = append(st.sessions, s)
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return &one.peer, nil
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

// uvarint takes a number of at most most, in its shortest form.
func uvarint(r *wire.Reader, most uint64) (n uint64) {
	if c := r.Uint8(); c < 0x80 { // most numbers are small
		n = uint64(c)
		if n > most {
			r.Fail(wire.ErrNotCanonical)
			return 0
		}
		return n
	} else {
		n = uint64(c & 0x7f)
	}
	for shift := 7; ; shift += 7 {
		c := r.Uint8()
		n |= uint64(c&0x7f) << shift
		switch {
		case r.Err() != nil:
			return 0
		case c >= 0x80 && shift < 63:
			continue
		case c == 0, c > 1 && shift == 63, n > most:
			r.Fail(wire.ErrNotCanonical)
			return 0
		}
		return n
	}
}

func (s *session) parse(r *wire.Reader) {
	const max32, max64 = 1<<32 - 1, 1<<64 - 1
	s.flags, s.strays = r.Uint8(), r.Uint8()
	s.generation = uint32(uvarint(r, max32))
	s.created, s.received = uvarint(r, max64), uvarint(r, max64)
	s.sendN, s.recvN = uint32(uvarint(r, max32)), uint32(uvarint(r, max32))
	s.prevN, s.recv.lost = uint32(uvarint(r, max32)), uint32(uvarint(r, max32))
	s.pq.epoch, s.pq.since = uint32(uvarint(r, max32)), uvarint(r, max64)
	s.pq.steps, s.pq.count = uint32(uvarint(r, PQSteps)), uint32(uvarint(r, PQMessages))
	s.pq.phase, s.pq.wait = r.Uint8(), r.Uint8()
	s.id = sessionID(r.Array16())
	keys, n := s.keys()
	for _, k := range keys[:n] {
		r.Copy(k[:])
	}
	if n := int(uvarint(r, wire.MaxAgreement)); n > 0 {
		s.pending = append([]byte(nil), r.Bytes(n)...)
	}
	if s.flags&(flagSend|flagReceive) == 0 || s.flags&flagMixed != 0 && (s.flags&flagSend == 0 || s.pq.epoch == 0) ||
		s.pq.phase >= pqPhases || s.pq.wait >= PQRepeat || s.strays >= strays {
		r.Fail(wire.ErrNotCanonical)
		return
	}
	if s.pq.phase != pqIdle {
		f := &flight{}
		if s.pq.phase == pqOffered {
			r.Copy(f.seed[:])
		} else {
			r.Copy(f.secret[:])
		}
		if v := r.Bytes(vectorLen(s.pq.phase)); len(v) > 0 {
			f.vector = append([]byte(nil), v...)
		}
		s.pq.flight = f
	}
	total := s.recv.parse(r, 0)
	for range limit(r, int(r.Uint8()), 0, MaxOldChains) {
		c := &chain{}
		r.Copy(c.header.key[:])
		c.lost = uint32(uvarint(r, max32))
		total += c.parse(r, 1)
		s.old = append(s.old, c)
	}
	if total > MaxSkipTotal {
		r.Fail(wire.ErrNotCanonical)
	}
}

// parse takes stored keys, whose numbers ascend.
func (k *keyring) parse(r *wire.Reader, least int) int {
	n := limit(r, int(uvarint(r, MaxSkip)), least, MaxSkip)
	b := r.Bytes(36 * n)
	if len(b) == 0 {
		return 0
	}
	*k = makeKeyring(n)
	for ; len(b) > 0; b = b[36:] {
		num := binary.BigEndian.Uint32(b)
		if len(k.nums) > 0 && k.nums[len(k.nums)-1] >= num || [32]byte(b[4:36]) == [32]byte{} {
			r.Fail(wire.ErrNotCanonical)
			return 0
		}
		k.add(num, (*[32]byte)(b[4:36]))
	}
	return n
}
