package ratchet

import (
	"crypto/mlkem"

	"github.com/sremp/sremp/wire"
)

// Defaults of the sparse post-quantum ratchet (spec §4.3.4). An exchange begins
// at whichever comes first after the one before.
const (
	PQSteps    = 64    // Diffie-Hellman steps of both sides
	PQMessages = 8192  // messages of both sides
	PQAge      = 86400 // seconds
	PQRepeat   = 16    // messages from one ride of a vector to the next
)

// Phases of an exchange.
const (
	pqIdle     = iota
	pqOffered  // we sent a key, or are about to
	pqAgreed   // we offered, have the secret, and mix it at our next sending step
	pqAnswered // we have the secret and send the ciphertext until it is mixed
	pqPhases
)

// postQuantum is the state of a session's sparse post-quantum ratchet. The
// agreement's own ML-KEM secret is epoch 0.
type postQuantum struct {
	epoch uint32 // the latest that was mixed
	since uint64 // Unix seconds of the first message received after that, 0 before it
	steps uint32 // Diffie-Hellman steps since
	count uint32 // messages since
	phase uint8
	wait  uint8 // messages until the vector may ride again
	// flight is shared by copies of this structure and never written to.
	flight *flight
}

// A flight holds the keys of an exchange.
type flight struct {
	seed   [mlkem.SeedSize]byte // of our decapsulation key, if offered
	secret [32]byte             // if agreed or answered
	vector []byte               // what rides: our encapsulation key, or our ciphertext
}

// vectorLen is the size of what rides in a phase.
func vectorLen(phase uint8) int {
	switch phase {
	case pqOffered:
		return wire.MLKEMKeyLen
	case pqAnswered:
		return wire.MLKEMCiphertextLen
	}
	return 0
}

// lower reports whether we are the lower key.
func (f *fixed) lower() bool { return f.has(flagInitiator) == f.has(flagLower) }

// offers reports whether we offer the epoch: the lower key the even ones, the
// higher the odd ones.
func (f *fixed) offers(epoch uint32) bool { return (epoch%2 == 0) == f.lower() }

// ride returns what goes with the next message, if there is something and the
// zeros at the plaintext's end have room for it. It may begin an exchange. It is
// called once all else has succeeded.
func (s *session) ride(h *wire.RatchetHeader, plaintext []byte, rnd entropy) (vector []byte) {
	q := &s.pq
	if q.wait > 0 {
		q.wait--
		return nil
	}
	if q.phase == pqIdle && s.has(flagConfirmed) && s.offers(q.epoch+1) && hasRoom(plaintext, wire.MLKEMKeyLen) &&
		(q.steps >= PQSteps || q.count >= PQMessages) {
		f := &flight{}
		rnd.seed(f.seed[:])
		f.vector = decapsulator(&f.seed).EncapsulationKey().Bytes()
		q.phase, q.flight = pqOffered, f
	}
	switch n := vectorLen(q.phase); {
	case n == 0 || !hasRoom(plaintext, n):
		return nil
	case q.phase == pqOffered:
		h.PQKind = wire.PQKey
	default:
		h.PQKind = wire.PQCiphertext
	}
	h.PQEpoch, h.PQLength = q.epoch+1, uint16(len(q.flight.vector))
	q.wait = PQRepeat - 1
	return q.flight.vector
}

// hasRoom reports whether b ends in n zeros.
func hasRoom(b []byte, n int) bool {
	if len(b) < n {
		return false
	}
	for _, c := range b[len(b)-n:] {
		if c != 0 {
			return false
		}
	}
	return true
}

// take returns the state after the vector of an authentic message. What comes
// late or again changes nothing; what a device that keeps the rules cannot send
// is an error.
func (f *fixed) take(h *wire.RatchetHeader, vector []byte, rnd entropy) (postQuantum, error) {
	q := f.pq
	next := q.epoch + 1
	if h.PQEpoch > next || f.offers(h.PQEpoch) != (h.PQKind == wire.PQCiphertext) {
		return q, ErrDecrypt
	}
	switch {
	case h.PQEpoch != next:
	case h.PQKind == wire.PQKey && q.phase == pqIdle:
		key, err := mlkem.NewEncapsulationKey768(vector)
		if err != nil {
			return q, ErrDecrypt
		}
		secret, ciphertext := rnd.encapsulate(key)
		q.phase, q.wait = pqAnswered, 0
		q.flight = &flight{secret: [32]byte(secret), vector: ciphertext}
		clear(secret)
	case h.PQKind == wire.PQCiphertext && q.phase == pqOffered:
		secret, err := decapsulator(&q.flight.seed).Decapsulate(vector)
		if err != nil {
			return q, ErrDecrypt
		}
		// The decapsulation key goes with the flight before.
		q.phase, q.wait = pqAgreed, 0
		q.flight = &flight{secret: [32]byte(secret)}
		clear(secret)
	}
	return q, nil
}

// mixed returns the state after the secret in flight was mixed.
func (q postQuantum) mixed() postQuantum { return postQuantum{epoch: q.epoch + 1} }

// wipe erases the keys of a flight that is over.
func (f *flight) wipe() {
	if f != nil {
		clear(f.seed[:])
		clear(f.secret[:])
	}
}

// tally counts a message and, at the first of a chain, a step.
func (q *postQuantum) tally(step bool) {
	if q.count < PQMessages {
		q.count++
	}
	if step && q.steps < PQSteps {
		q.steps++
	}
}

// arrived takes note of the time of a message received.
func (q *postQuantum) arrived(now uint64) {
	switch {
	case q.since == 0:
		q.since = now
	case now >= q.since+PQAge:
		q.steps = PQSteps
	}
}
