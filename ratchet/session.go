package ratchet

import (
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/wire"
)

// Flags of a session's state (spec §4.5.2).
const (
	flagInitiator  = 1 << iota // we began the session
	flagLower                  // the lower key began it
	flagSend                   // the sending chain is in use
	flagReceive                // the receiving chain is in use
	flagConfirmed              // something was received in it
	flagMutual                 // the other side is known to have received something
	flagSupersedes             // it took the place of one that worked
	flagMixed                  // the sending chain began with the post-quantum epoch
)

// A sessionID is the start of the transcript hash: it names a session, and is
// associated data of every body.
type sessionID [16]byte

// fixed is the part of a session that has a fixed size. It is copied to be
// changed, and copied back once a message is authentic.
//
// A side either sends, then it holds dh, sendChain, send and nextRecv; or was
// the last to receive, then it holds remote and nextSend; a responder before its
// first message holds dh and nextRecv.
type fixed struct {
	flags      uint8
	strays     uint8 // see peerState.follow
	generation uint32
	created    uint64 // Unix milliseconds, by the initiator's clock
	received   uint64 // Unix seconds of the last message, ours of creation before
	sendN      uint32 // messages sent in the sending chain
	recvN      uint32 // number of the receiving chain's next message
	prevN      uint32 // messages sent in the sending chain before

	id                   sessionID
	root                 [32]byte
	dh                   ratchetKey
	remote               [32]byte // the other side's ratchet key, until our step
	sendChain, recvChain [32]byte
	send, nextSend       headerKey
	nextRecv             headerKey
	pq                   postQuantum
}

// adPrefix is what the associated data of a body has before the header.
const adPrefix = len(sessionID{}) + wire.RatchetPrefixLen

// A session is one Double Ratchet with encrypted headers (spec §4.3).
type session struct {
	fixed
	recv    chain    // current receiving chain
	old     []*chain // older ones with keys of messages that have not come, oldest first
	pending []byte   // agreement that precedes our messages until the first answer

	scratch struct {
		ad    [adPrefix + wire.RatchetHeaderLen]byte // id prefix header
		nonce [12]byte
		zero  [12]byte
	}
}

func (f *fixed) has(flag uint8) bool { return f.flags&flag != 0 }

// prefix is the associated data of headers.
func (s *session) prefix() []byte { return s.scratch.ad[len(s.id):adPrefix] }

// setAD starts the associated data; the header goes behind it.
func (s *session) setAD() {
	copy(s.scratch.ad[:], s.id[:])
	s.scratch.ad[len(s.id)], s.scratch.ad[len(s.id)+1] = wire.RatchetVersion, wire.RatchetMessage
}

// encrypt appends a ratchet message to dst (spec §4.3.1). A failed call changes
// nothing.
func (s *session) encrypt(dst, plaintext []byte, rnd entropy) ([]byte, error) {
	first := !s.has(flagSend)
	if first {
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
	if s.has(flagMixed) {
		h.Epoch = s.pq.epoch
	}
	s.pq.tally(first)
	vector := s.ride(&h, plaintext, rnd)
	next, mk := kdfChain(&s.sendChain)
	s.setAD()
	header := h.Append(s.scratch.ad[:adPrefix])[adPrefix:]

	dst = append(dst, wire.RatchetVersion, wire.RatchetMessage)
	sealed := len(dst)
	body := sealed + wire.RatchetSealedHeader
	dst = grow(dst, wire.RatchetSealedHeader+len(plaintext)+wire.RatchetTagLen)
	if vector != nil {
		// The vector takes the place of zeros at the end (spec §4.3.4).
		b := dst[body : body+len(plaintext)]
		copy(b[copy(b, vector):], plaintext)
		plaintext = b
	}
	// Here and in openBody New stands by itself: a profile then lets the compiler
	// keep the cipher off the heap (bench/default.pgo).
	aead, err := chacha20poly1305.New(mk[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	// A message key is used for one message only, so its nonce is constant.
	dst = aead.Seal(dst[:body], s.scratch.zero[:], plaintext, s.scratch.ad[:])
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
	next.flags = next.flags&^flagMixed | flagSend
	var pq []byte
	if s.pq.phase == pqAgreed {
		pq = s.pq.flight.secret[:]
		next.pq = s.pq.mixed()
		next.flags |= flagMixed
	}
	next.send, next.nextSend = s.nextSend, headerKey{}
	next.nextRecv = kdfHeader(&s.root)
	next.root, next.sendChain = kdfRoot(&s.root, secret, pq)
	next.remote = [32]byte{}
	next.prevN, next.sendN = s.sendN, 0
	if pq != nil {
		s.pq.flight.wipe()
	}
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
	if s.holdsKey() && s.openWith(&s.nextRecv, msg, &o.header) {
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

// holdsKey reports whether the other side can step: we have not yet answered
// its last step otherwise.
func (f *fixed) holdsKey() bool { return f.has(flagSend) || !f.has(flagReceive) }

func (s *session) openWith(k *headerKey, msg []byte, h *wire.RatchetHeader) bool {
	sealed := msg[wire.RatchetPrefixLen : wire.RatchetPrefixLen+wire.RatchetSealedHeader]
	b, err := k.cipher().Open(s.scratch.ad[adPrefix:adPrefix], s.scratch.nonce[:], sealed, s.prefix())
	return err == nil && h.Parse(b) == nil
}

// openBody appends the plaintext to dst and returns the post-quantum state
// after it. It needs scratch.ad as open left it.
func (s *session) openBody(dst, msg []byte, mk *[32]byte, f *fixed, h *wire.RatchetHeader, rnd entropy) ([]byte, postQuantum, error) {
	body := msg[wire.RatchetPrefixLen+wire.RatchetSealedHeader:]
	start := len(dst)
	aead, err := chacha20poly1305.New(mk[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	dst, err = aead.Open(dst, s.scratch.zero[:], body, s.scratch.ad[:])
	if err != nil {
		return nil, f.pq, ErrDecrypt
	}
	if h.PQKind == wire.PQNone {
		return dst, f.pq, nil
	}
	n := int(h.PQLength)
	if n > len(dst)-start {
		return nil, f.pq, ErrDecrypt
	}
	pq, err := f.take(h, dst[start:start+n], rnd)
	if err != nil {
		return nil, f.pq, err
	}
	// The vector took the place of as many zeros at the end (spec §4.3.4).
	copy(dst[start:], dst[start+n:])
	clear(dst[len(dst)-n:])
	return dst, pq, nil
}

// setPQ takes over a post-quantum state and erases what is over.
func (s *session) setPQ(pq postQuantum) {
	if s.pq.flight != pq.flight {
		s.pq.flight.wipe()
	}
	s.pq = pq
}

// decrypt appends to dst the plaintext of a message whose header opened. A
// failed call changes nothing but scratch space.
func (s *session) decrypt(dst, msg []byte, o opened, rnd entropy) ([]byte, error) {
	if o.chain == nil {
		return s.decryptStep(dst, msg, &o.header, rnd)
	}
	if o.header.Epoch > s.pq.epoch {
		return nil, ErrDecrypt
	}
	if o.old >= 0 || o.header.N < s.recvN {
		return s.decryptLate(dst, msg, o, rnd)
	}
	return s.decryptNext(dst, msg, &o.header, rnd)
}

// decryptLate uses a stored key.
func (s *session) decryptLate(dst, msg []byte, o opened, rnd entropy) ([]byte, error) {
	i, ok := o.chain.find(o.header.N)
	if !ok {
		return nil, o.chain.missing(o.header.N)
	}
	dst, pq, err := s.openBody(dst, msg, &o.chain.keys[i], &s.fixed, &o.header, rnd)
	if err != nil {
		return nil, err
	}
	o.chain.remove(i)
	if o.old >= 0 && o.chain.live == 0 {
		s.dropOld(o.old)
	}
	s.setPQ(pq)
	s.pq.tally(false)
	return dst, nil
}

// decryptNext goes forward in the current chain.
func (s *session) decryptNext(dst, msg []byte, h *wire.RatchetHeader, rnd entropy) ([]byte, error) {
	if h.N == maxChainCount {
		return nil, ErrDecrypt
	}
	ck := s.recvChain
	fresh, lost, err := advance(&ck, s.recvN, h.N)
	if err != nil {
		return nil, err
	}
	next, mk := kdfChain(&ck)
	dst, pq, err := s.openBody(dst, msg, &mk, &s.fixed, h, rnd)
	clear(mk[:])
	if err != nil {
		fresh.wipe()
		return nil, err
	}
	s.recvChain, s.recvN = next, h.N+1
	if fresh.live > 0 {
		s.recv.keep(fresh, lost)
		s.trim()
	}
	s.setPQ(pq)
	s.pq.tally(false)
	return dst, nil
}

// decryptStep makes the receiving half of a Diffie-Hellman step.
func (s *session) decryptStep(dst, msg []byte, h *wire.RatchetHeader, rnd entropy) ([]byte, error) {
	if h.N == maxChainCount || !s.has(flagReceive) && h.PN != 0 {
		return nil, ErrDecrypt
	}
	next := s.fixed
	var mixed []byte
	if h.Epoch != 0 {
		if s.pq.phase != pqAnswered || h.Epoch != s.pq.epoch+1 {
			return nil, ErrDecrypt
		}
		mixed = s.pq.flight.secret[:]
		next.pq = s.pq.mixed()
	}
	secret, err := s.dh.ecdh(&h.DH)
	if err != nil {
		return nil, ErrDecrypt
	}
	var rest, fresh keyring
	var lostBefore uint32
	if s.has(flagReceive) {
		ck := s.recvChain
		if rest, lostBefore, err = advance(&ck, s.recvN, h.PN); err != nil {
			return nil, err
		}
	}
	next.nextSend = kdfHeader(&s.root)
	next.root, next.recvChain = kdfRoot(&s.root, secret, mixed)
	fresh, lost, err := advance(&next.recvChain, 0, h.N)
	var mk [32]byte
	if err == nil {
		next.recvChain, mk = kdfChain(&next.recvChain)
		dst, next.pq, err = s.openBody(dst, msg, &mk, &next, h, rnd)
		clear(mk[:])
	}
	if err != nil {
		rest.wipe()
		fresh.wipe()
		return nil, err
	}
	next.pq.tally(true)
	next.remote, next.recvN = h.DH, h.N+1
	// Our private key and sending chain have done their work: erased now, made
	// anew when the next message is sent.
	next.dh, next.sendChain, next.send, next.nextRecv = ratchetKey{}, [32]byte{}, headerKey{}, headerKey{}
	next.flags = next.flags&^(flagSend|flagMixed) | flagReceive
	current := chain{header: s.nextRecv}
	current.keep(fresh, lost)
	s.recv.keep(rest, lostBefore)
	if s.recv.live > 0 {
		retired := s.recv
		s.old = append(s.old, &retired)
	}
	if s.pq.flight != next.pq.flight {
		s.pq.flight.wipe()
	}
	s.fixed, s.recv = next, current
	s.trim()
	return dst, nil
}
