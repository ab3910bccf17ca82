package ratchet

import (
	"github.com/sremp/sremp/wire"
)

// Flags of a session's state (spec §4.5.2).
const (
	flagInitiator  = 1 << iota // we began the session
	flagLower                  // the lower key began it
	flagDH                     // dh holds a private key
	flagSend                   // sendChain is in use
	flagReceive                // recvChain is in use
	flagConfirmed              // something was received in it
	flagMutual                 // the other side is known to have received something
	flagSupersedes             // it took the place of one that worked
	flagsKnown     = 1<<iota - 1
)

// fixed is the part of a session that has a fixed size. It is copied to be
// changed, and copied back once a message is authentic.
type fixed struct {
	flags      uint8
	generation uint32
	created    uint64 // Unix milliseconds, by the initiator's clock
	received   uint64 // Unix seconds of the last message, ours of creation before
	sendN      uint32 // messages sent in the sending chain
	recvN      uint32 // number of the receiving chain's next message
	prevN      uint32 // messages sent in the sending chain before

	id                   [32]byte // transcript hash; associated data of every body
	root                 [32]byte
	dh                   ratchetKey
	remote               [32]byte // the other side's ratchet key
	sendChain, recvChain [32]byte
	send, nextSend       headerKey
	nextRecv             headerKey
}

// A session is one Double Ratchet with encrypted headers (spec §4.3).
type session struct {
	fixed
	recv    chain    // current receiving chain
	old     []*chain // older ones with keys of messages that have not come, oldest first
	pending []byte   // agreement that precedes our messages until the first answer

	scratch struct {
		ad    [32 + wire.RatchetPrefixLen + wire.RatchetHeaderLen]byte // id prefix header
		nonce [12]byte
		zero  [12]byte
		fresh []skippedKey
	}
}

func (f *fixed) has(flag uint8) bool { return f.flags&flag != 0 }

// prefix is the associated data of headers.
func (s *session) prefix() []byte { return s.scratch.ad[32 : 32+wire.RatchetPrefixLen] }

// setAD starts the associated data; the header goes behind it.
func (s *session) setAD() {
	copy(s.scratch.ad[:], s.id[:])
	s.scratch.ad[32], s.scratch.ad[33] = wire.RatchetVersion, wire.RatchetMessage
}

// encrypt appends a ratchet message to dst (spec §4.3.1). A failed call changes
// nothing.
func (s *session) encrypt(dst, plaintext []byte, rnd entropy) ([]byte, error) {
	if !s.has(flagSend) {
		if err := s.step(rnd); err != nil {
			return nil, err
		}
	}
	if s.sendN == maxChainCount {
		return nil, ErrExhausted
	}
	h := wire.RatchetHeader{DH: s.dh.public, PN: s.prevN, N: s.sendN}
	if s.has(flagSupersedes) {
		h.Flags = wire.FlagSupersedes
	}
	next, mk := kdfChain(&s.sendChain)
	s.setAD()
	header := h.Append(s.scratch.ad[:32+wire.RatchetPrefixLen])[32+wire.RatchetPrefixLen:]

	dst = append(dst, wire.RatchetVersion, wire.RatchetMessage)
	sealed := len(dst)
	body := sealed + wire.RatchetSealedHeader
	dst = grow(dst, wire.RatchetSealedHeader+len(plaintext)+wire.RatchetTagLen)
	// A message key is used for one message only, so its nonce is constant.
	dst = newAEAD(&mk).Seal(dst[:body], s.scratch.zero[:], plaintext, s.scratch.ad[:])
	// The body's tag is a pseudo-random function of a fresh key: as good a nonce
	// for the header as a random one, and it need not be sent.
	copy(s.scratch.nonce[:], dst[len(dst)-wire.RatchetTagLen:])
	s.send.cipher().Seal(dst[:sealed], s.scratch.nonce[:], header, s.prefix())

	clear(mk[:])
	s.sendChain = next
	s.sendN++
	return dst, nil
}

// grow returns b with room for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, len(b)+n), b...)
}

// step makes the sending half of a Diffie-Hellman step, when the first message
// after a received step is sent.
func (s *session) step(rnd entropy) error {
	if !s.has(flagReceive) {
		return ErrState
	}
	next := s.fixed
	next.dh = newRatchetKey(rnd)
	secret, err := next.dh.ecdh(&s.remote)
	if err != nil {
		return ErrState
	}
	next.send = s.nextSend
	var header [32]byte
	next.root, next.sendChain, header = kdfRoot(&s.root, secret, nil)
	next.nextSend = headerKey{key: header}
	next.prevN, next.sendN = s.sendN, 0
	next.flags |= flagDH | flagSend
	s.fixed = next
	return nil
}

// opened is a header and where its message key is to be found.
type opened struct {
	header wire.RatchetHeader
	chain  *chain // current or older chain, nil for a Diffie-Hellman step
	old    int    // index of an older chain, else -1
}

// open tries the header keys (spec §4.3.5). The header is left in scratch.ad.
func (s *session) open(msg []byte) (o opened, ok bool) {
	s.setAD()
	copy(s.scratch.nonce[:], msg[len(msg)-wire.RatchetTagLen:])
	o.old = -1
	if s.has(flagReceive) && s.openWith(&s.recv.header, msg, &o.header) {
		o.chain = &s.recv
		return o, true
	}
	if s.has(flagDH) && s.openWith(&s.nextRecv, msg, &o.header) {
		return o, true
	}
	for i := len(s.old) - 1; i >= 0; i-- {
		if s.openWith(&s.old[i].header, msg, &o.header) {
			o.chain, o.old = s.old[i], i
			return o, true
		}
	}
	return o, false
}

func (s *session) openWith(k *headerKey, msg []byte, h *wire.RatchetHeader) bool {
	const start = 32 + wire.RatchetPrefixLen
	sealed := msg[wire.RatchetPrefixLen : wire.RatchetPrefixLen+wire.RatchetSealedHeader]
	b, err := k.cipher().Open(s.scratch.ad[start:start], s.scratch.nonce[:], sealed, s.prefix())
	return err == nil && h.Parse(b) == nil
}

// openBody appends the plaintext to dst. It needs scratch.ad as open left it.
func (s *session) openBody(dst, msg []byte, mk *[32]byte, h *wire.RatchetHeader) ([]byte, error) {
	body := msg[wire.RatchetPrefixLen+wire.RatchetSealedHeader:]
	start := len(dst)
	dst, err := newAEAD(mk).Open(dst, s.scratch.zero[:], body, s.scratch.ad[:])
	if err != nil {
		return nil, ErrDecrypt
	}
	n := int(h.PQLength)
	if n > len(dst)-start {
		return nil, ErrDecrypt
	}
	if n > 0 {
		// The vector took the place of as many zeros at the end (spec §4.3.4).
		copy(dst[start:], dst[start+n:])
		clear(dst[len(dst)-n:])
	}
	return dst, nil
}

// decrypt appends to dst the plaintext of a message whose header opened. A
// failed call changes nothing but scratch space.
func (s *session) decrypt(dst, msg []byte, o opened) ([]byte, error) {
	if o.header.Epoch != 0 {
		// No post-quantum step was agreed upon in this version.
		return nil, ErrDecrypt
	}
	switch {
	case o.chain == nil:
		return s.decryptStep(dst, msg, &o.header)
	case o.old >= 0 || o.header.N < s.recvN:
		return s.decryptLate(dst, msg, o)
	}
	return s.decryptNext(dst, msg, &o.header)
}

// decryptLate uses a stored key.
func (s *session) decryptLate(dst, msg []byte, o opened) ([]byte, error) {
	i, ok := o.chain.find(o.header.N)
	if !ok {
		return nil, o.chain.missing(o.header.N)
	}
	dst, err := s.openBody(dst, msg, &o.chain.keys[i].key, &o.header)
	if err != nil {
		return nil, err
	}
	o.chain.remove(i)
	if o.old >= 0 && len(o.chain.keys) == 0 {
		s.dropOld(o.old)
	}
	return dst, nil
}

// decryptNext goes forward in the current chain.
func (s *session) decryptNext(dst, msg []byte, h *wire.RatchetHeader) ([]byte, error) {
	if h.N == maxChainCount || h.DH != s.remote {
		return nil, ErrDecrypt
	}
	ck := s.recvChain
	fresh, lost, err := advance(&ck, s.recvN, h.N, s.scratch.fresh[:0])
	s.scratch.fresh = fresh
	defer s.wipeFresh()
	if err != nil {
		return nil, err
	}
	next, mk := kdfChain(&ck)
	dst, err = s.openBody(dst, msg, &mk, h)
	clear(mk[:])
	if err != nil {
		return nil, err
	}
	s.recvChain, s.recvN = next, h.N+1
	if len(fresh) > 0 {
		s.recv.keep(fresh, lost)
		s.trim()
	}
	return dst, nil
}

// keep adds newer keys.
func (c *chain) keep(fresh []skippedKey, lost uint32) {
	if lost > 0 {
		// What is left out is newer than all that is stored.
		c.evict(len(c.keys))
		c.lost = lost
	}
	c.keys = append(c.keys, fresh...)
}

func (s *session) wipeFresh() {
	clear(s.scratch.fresh)
	if cap(s.scratch.fresh) > 16 {
		s.scratch.fresh = nil
	}
}

// decryptStep makes the receiving half of a Diffie-Hellman step.
func (s *session) decryptStep(dst, msg []byte, h *wire.RatchetHeader) ([]byte, error) {
	if h.N == maxChainCount || !s.has(flagReceive) && h.PN != 0 {
		return nil, ErrDecrypt
	}
	secret, err := s.dh.ecdh(&h.DH)
	if err != nil {
		return nil, ErrDecrypt
	}
	fresh := s.scratch.fresh[:0]
	defer s.wipeFresh()
	var lostBefore uint32
	if s.has(flagReceive) {
		ck := s.recvChain
		if fresh, lostBefore, err = advance(&ck, s.recvN, h.PN, fresh); err != nil {
			s.scratch.fresh = fresh
			return nil, err
		}
	}
	before := len(fresh)

	next := s.fixed
	var header [32]byte
	next.root, next.recvChain, header = kdfRoot(&s.root, secret, nil)
	fresh, lost, err := advance(&next.recvChain, 0, h.N, fresh)
	s.scratch.fresh = fresh
	if err != nil {
		return nil, err
	}
	chainKey, mk := kdfChain(&next.recvChain)
	next.recvChain = chainKey
	dst, err = s.openBody(dst, msg, &mk, h)
	clear(mk[:])
	if err != nil {
		return nil, err
	}

	next.nextRecv = headerKey{key: header}
	next.remote, next.recvN = h.DH, h.N+1
	// Our private key and sending chain have done their work: erased now, made
	// anew when the next message is sent.
	next.dh, next.sendChain, next.send = ratchetKey{}, [32]byte{}, headerKey{}
	next.flags = next.flags&^(flagDH|flagSend) | flagReceive
	current := chain{header: s.nextRecv}
	current.keep(fresh[before:], lost)
	s.recv.keep(fresh[:before], lostBefore)
	if len(s.recv.keys) > 0 {
		retired := s.recv
		s.old = append(s.old, &retired)
	}
	s.fixed, s.recv = next, current
	s.trim()
	return dst, nil
}
