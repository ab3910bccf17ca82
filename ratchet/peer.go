package ratchet

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Limits of a Peer (spec §4.4).
const (
	MaxPlaintext = 1 << 20
	MaxSessions  = 4
	// QuietAfter is how long a session that is not sent on may be silent before
	// it is dropped: longer than a mailbox keeps a message.
	QuietAfter = 45 * 24 * time.Hour

	maxAccepted = 256 // hashes of accepted agreements
	maxRecent   = 8   // tags of accepted messages
)

// A Peer is all state with one remote device: up to MaxSessions sessions, of
// which one is sent on (spec §4.4.2). It never prints its secrets. A Peer must
// not be used by two goroutines at once.
type Peer struct{ s *peerState }

type peerState struct {
	pair     [16]byte   // whose state with whom it is
	epoch    uint32     // of the newest record that the remote device used
	sessions []*session // the one to send on comes first
	accepted []accepted // oldest first
	recents  int
	recent   [maxRecent]uint32 // starts of the tags of accepted messages, oldest first
}

// An agreementHash tells agreements apart: a replay is a second preimage.
type agreementHash [16]byte

func hashAgreement(agreement []byte) agreementHash {
	h := tagged(contextAgreement, agreement)
	return agreementHash(h[:16])
}

// accepted is an initial message's agreement that made a session.
type accepted struct {
	hash       agreementHash
	lastResort uint32 // id of the last-resort key it used, 0 for a one-time key
}

// Initiate starts a session with the owner of a bundle (spec §4.2). oneTime is
// a one-time pair handed out with the bundle, or empty: then the last-resort key
// serves in its place, and whoever steals that before it is replaced reads the
// messages until the first answer. psk is an invite's secret, or zero. Until the first answer every message of [Peer.Encrypt] is an initial
// message; [Peer.Overhead] says how much larger it is.
func Initiate(now time.Time, l *identity.Local, b *Bundle, oneTime []byte, psk [32]byte) (*Peer, error) {
	return initiatePeer(now, l, b, oneTime, psk, system())
}

func initiatePeer(now time.Time, l *identity.Local, b *Bundle, oneTime []byte, psk [32]byte, rnd entropy) (*Peer, error) {
	s, err := initiate(now, l, b, oneTime, psk, rnd)
	if err != nil {
		return nil, err
	}
	return &Peer{&peerState{
		pair: pair(partyOf(l), party{b.record.Identity, b.x.Device}), epoch: b.record.Epoch, sessions: []*session{s},
	}}, nil
}

// Renew starts another session with the same device, which takes the place of
// those before: for a remote device that seems to have lost its state. The
// sessions before still receive, unless the bundle's record has a higher epoch.
// It also heals two devices of which one, or both, went back to an old copy of
// their state (spec §4.4.3).
func (p *Peer) Renew(now time.Time, l *identity.Local, b *Bundle, oneTime []byte, psk [32]byte) error {
	return p.renew(now, l, b, oneTime, psk, system())
}

func (p *Peer) renew(now time.Time, l *identity.Local, b *Bundle, oneTime []byte, psk [32]byte, rnd entropy) error {
	if p.s.pair != pair(partyOf(l), party{b.record.Identity, b.x.Device}) {
		return ErrWrongPeer
	}
	if b.record.Epoch < p.s.epoch {
		return fmt.Errorf("%w: its record is of an older epoch", ErrBundle)
	}
	s, err := initiate(now, l, b, oneTime, psk, rnd)
	if err != nil {
		return err
	}
	p.s.raise(b.record.Epoch)
	s.generation = p.s.generation() + 1
	s.flags |= flagSupersedes
	p.s.add(s)
	return nil
}

// Accept takes the first initial message of a stranger (spec §4.2.4) and uses up
// the one-time pair it names. With a psk, only an initiator that mixed it in is
// accepted. The caller persists the Peer and s together. A message of a device
// whose Peer exists goes to [Peer.Decrypt] instead.
func Accept(now time.Time, l *identity.Local, s *PrekeyStore, psk [32]byte, msg []byte) (p *Peer, from *identity.Record, plaintext []byte, err error) {
	m, x, err := wire.ParseRatchetInitialMessage(msg)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	if x.PSK != (psk != [32]byte{}) {
		return nil, nil, nil, ErrDecrypt
	}
	if from, err = identity.ParseRecord(x.Record); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	st := &peerState{pair: pair(partyOf(l), party{from.Identity, x.Device}), epoch: from.Epoch}
	plaintext, err = st.accept(nil, now, l, s.s, psk, m, x, from, system())
	if err != nil {
		return nil, nil, nil, err
	}
	return &Peer{st}, from, plaintext, nil
}

// accept makes a session of an initial message and commits it, and the use of
// the one-time pair, if its message is authentic.
func (st *peerState) accept(dst []byte, now time.Time, l *identity.Local, store *storeState, psk [32]byte, m wire.RatchetInitialMessage, x wire.Agreement, from *identity.Record, rnd entropy) ([]byte, error) {
	st.forget(store)
	if len(st.accepted) >= maxAccepted {
		return nil, ErrDecrypt
	}
	s, err := respond(l, store, psk, m.Agreement, x, from)
	if err != nil {
		return nil, err
	}
	o, ok := s.open(m.Message)
	if !ok {
		return nil, ErrDecrypt
	}
	plaintext, err := s.decrypt(dst, m.Message, o, rnd)
	if err != nil {
		return nil, err
	}
	st.raise(from.Epoch)
	s.generation = st.generation()
	if stale, ok := st.newerBySameInitiator(s); ok {
		s.generation = stale
	} else if o.header.Flags&wire.FlagSupersedes != 0 || st.mutual() {
		if len(st.sessions) > 0 && !st.renewing() {
			s.generation++
		}
		s.flags |= flagSupersedes
	}
	s.flags |= flagConfirmed
	s.received = unix(now)
	s.pq.arrived(s.received)
	a := accepted{hash: hashAgreement(m.Agreement)}
	if x.OneTime != 0 {
		store.consume(x.OneTime)
	} else {
		a.lastResort = store.bySerial(x.Serial).lastID
	}
	st.accepted = append(st.accepted, a)
	st.remember(m.Message)
	st.add(s)
	return plaintext, nil
}

// Generation counts how often a session took the place of one that worked, by
// this device's count (spec §4.4.2). When it rises, the remote device may be
// unable to read what was encrypted before.
func (p *Peer) Generation() uint32 { return p.s.generation() }

// Epoch returns that of the newest record that the remote device used.
func (p *Peer) Epoch() uint32 { return p.s.epoch }

// Answered reports whether the session that is sent on was ever answered; until
// then messages are initial messages if we began it.
func (p *Peer) Answered() bool { return p.s.sessions[0].pending == nil }

// Overhead returns how much longer than its plaintext the next message is.
func (p *Peer) Overhead() int {
	if a := p.s.sessions[0].pending; a != nil {
		return wire.RatchetPrefixLen + 2 + len(a) + wire.RatchetOverhead
	}
	return wire.RatchetOverhead
}

// Encrypt appends to dst the message that carries plaintext, and returns it.
// The two must not overlap. It changes p in memory only: the caller persists
// [Peer.MarshalBinary] before the message leaves, or the same key may encrypt
// something else after a crash.
func (p *Peer) Encrypt(dst, plaintext []byte) ([]byte, error) {
	return p.s.encrypt(dst, plaintext, system())
}

func (st *peerState) encrypt(dst, plaintext []byte, rnd entropy) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, ErrTooLarge
	}
	s := st.sessions[0]
	if s.pending == nil {
		return s.encrypt(grow(dst, wire.RatchetOverhead+len(plaintext)), plaintext, rnd)
	}
	dst = grow(dst, wire.RatchetPrefixLen+2+len(s.pending)+wire.RatchetOverhead+len(plaintext))
	dst = wire.AppendVec16(append(dst, wire.RatchetVersion, wire.RatchetInitial), s.pending)
	return s.encrypt(dst, plaintext, rnd)
}

// Decrypt returns the plaintext of a message of the remote device, initial ones
// included (spec §4.3.5, §4.4). psk is an invite's secret that this device may
// still use, or zero. The caller knows records from elsewhere, too: it compares
// them with [PeekInitial]'s before it hands in an initial message. After an error p and s are unchanged: [ErrDuplicate] if
// the message was decrypted before, else [ErrDecrypt]. The caller persists p,
// and s if [IsInitial], before it acts on the plaintext.
func (p *Peer) Decrypt(now time.Time, l *identity.Local, s *PrekeyStore, psk [32]byte, msg []byte) (plaintext []byte, err error) {
	return p.AppendDecrypt(nil, now, l, s, psk, msg)
}

// AppendDecrypt is [Peer.Decrypt] and appends the plaintext to dst, which must
// not overlap msg.
func (p *Peer) AppendDecrypt(dst []byte, now time.Time, l *identity.Local, s *PrekeyStore, psk [32]byte, msg []byte) ([]byte, error) {
	return p.appendDecrypt(dst, now, l, s, psk, msg, system())
}

func (p *Peer) appendDecrypt(dst []byte, now time.Time, l *identity.Local, s *PrekeyStore, psk [32]byte, msg []byte, rnd entropy) ([]byte, error) {
	if !IsInitial(msg) {
		return p.s.decrypt(dst, now, msg, rnd)
	}
	m, x, err := wire.ParseRatchetInitialMessage(msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	hash := hashAgreement(m.Agreement)
	if slices.ContainsFunc(p.s.accepted, func(a accepted) bool { return a.hash == hash }) {
		// The session is there, or was: only the ratchet message counts.
		return p.s.decrypt(dst, now, m.Message, rnd)
	}
	if x.PSK && psk == [32]byte{} {
		return nil, ErrDecrypt
	}
	if !x.PSK {
		psk = [32]byte{}
	}
	from, err := identity.ParseRecord(x.Record)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	if p.s.pair != pair(partyOf(l), party{from.Identity, x.Device}) {
		return nil, ErrWrongPeer
	}
	if from.Epoch < p.s.epoch {
		// Who recovered an identity shuts out whoever holds its old keys.
		return nil, ErrDecrypt
	}
	next := *p.s // slices are replaced or appended to below, never written to
	next.accepted = slices.Clone(p.s.accepted)
	next.sessions = slices.Clone(p.s.sessions)
	dst, err = next.accept(dst, now, l, s.s, psk, m, x, from, rnd)
	if err != nil {
		return nil, err
	}
	*p.s = next
	return dst, nil
}

// decrypt tries all sessions.
func (st *peerState) decrypt(dst []byte, now time.Time, msg []byte, rnd entropy) ([]byte, error) {
	if !wire.IsRatchetMessage(msg) || len(msg) > MaxPlaintext+wire.RatchetOverhead {
		return nil, ErrDecrypt
	}
	for _, s := range st.sessions {
		o, ok := s.open(msg)
		if !ok {
			continue
		}
		again := s.has(flagReceive)
		plaintext, err := s.decrypt(dst, msg, o, rnd)
		if err != nil {
			return nil, st.refused(msg, err)
		}
		if o.chain == nil && (again || s.has(flagInitiator)) {
			s.flags |= flagMutual
		}
		st.arrived(s, o.header.Flags, now)
		st.remember(msg)
		return plaintext, nil
	}
	return nil, st.refused(msg, ErrDecrypt)
}

// refused tells a message that was decrypted before from one that never was.
func (st *peerState) refused(msg []byte, err error) error {
	if len(msg) >= wire.RatchetOverhead && slices.Contains(st.recent[:st.recents], tagStart(msg)) {
		return ErrDuplicate
	}
	if err == ErrDuplicate { // known by its number alone
		return ErrReused
	}
	return err
}

// tagStart identifies a message by its tag. A relay could give this tag to
// another message, which only makes it refused under another name.
func tagStart(msg []byte) uint32 {
	return binary.BigEndian.Uint32(msg[len(msg)-wire.RatchetTagLen:])
}

func (st *peerState) remember(msg []byte) {
	if st.recents == maxRecent {
		copy(st.recent[:], st.recent[1:])
		st.recents--
	}
	st.recent[st.recents] = tagStart(msg)
	st.recents++
}

// IsInitial reports whether msg has the form of an initial message.
func IsInitial(msg []byte) bool {
	return len(msg) > wire.RatchetPrefixLen && msg[0] == wire.RatchetVersion && msg[1] == wire.RatchetInitial
}

// PeekInitial returns the verified record of who claims to have sent an initial
// message. Anybody can send another's record: only [Accept] authenticates.
func PeekInitial(msg []byte) (*identity.Record, error) {
	_, x, err := wire.ParseRatchetInitialMessage(msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	r, err := identity.ParseRecord(x.Record)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	return r, nil
}

// PeekLastResort reports whether an initial message was made without a one-time
// pair: there was none left, or its sender got none.
func PeekLastResort(msg []byte) bool {
	_, x, err := wire.ParseRatchetInitialMessage(msg)
	return err == nil && x.OneTime == 0
}

// PeekDevice returns the device that claims to have sent an initial message.
func PeekDevice(msg []byte) (identity.DeviceID, error) {
	_, x, err := wire.ParseRatchetInitialMessage(msg)
	if err != nil {
		return identity.DeviceID{}, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	return x.Device, nil
}
