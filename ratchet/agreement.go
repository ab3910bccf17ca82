package ratchet

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// agreed is the outcome of a prekey agreement (spec §4.2.3).
type agreed struct {
	id     sessionID
	root   [32]byte
	header [32]byte // of the initiator's first chain
}

// party names a device.
type party struct {
	id     identity.PeerID
	device identity.DeviceID
}

// pair names two devices, as the first one stores it: 128 bits are enough
// because only a second preimage would help anybody.
func pair(own, remote party) [16]byte {
	h := tagged(contextPair, own.id[:], own.device[:], remote.id[:], remote.device[:])
	return [16]byte(h[:16])
}

func partyOf(l *identity.Local) party { return party{l.PeerID(), l.Device()} }

func (p party) compare(o party) int {
	if c := p.id.Compare(o.id); c != 0 {
		return c
	}
	return bytes.Compare(p.device[:], o.device[:])
}

// transcript hashes all that both sides must agree about (spec §4.2.2).
// oneTime is zero if there was none.
func transcript(initiator, responder party, record, bundle, oneTime [32]byte, agreement []byte) [32]byte {
	a := tagged(contextAgreement, agreement)
	return tagged(contextTranscript, initiator.id[:], initiator.device[:], responder.id[:], responder.device[:],
		record[:], bundle[:], oneTime[:], a[:])
}

// agree derives the session's keys: dh holds the Diffie-Hellman results in
// their order, kem the ML-KEM secret.
func agree(transcript [32]byte, dh [][]byte, kem []byte, psk [32]byte) agreed {
	// 32 bytes of 0xff as in X3DH: the input cannot be mistaken for one of
	// another protocol over the same keys.
	secret := bytes.Repeat([]byte{0xff}, 32)
	for _, s := range dh {
		secret = append(secret, s...)
	}
	secret = append(append(secret, kem...), psk[:]...)
	out := expand(secret, transcript[:], contextKeys)
	return agreed{sessionID(transcript[:16]), out[0], out[1]}
}

// initiate makes the initiator's session.
func initiate(now time.Time, l *identity.Local, b *Bundle, oneTime []byte, psk [32]byte, rnd entropy) (*session, error) {
	remote := party{b.record.Identity, b.x.Device}
	if remote == partyOf(l) {
		return nil, fmt.Errorf("%w: it is our own", ErrBundle)
	}
	if unix(now) > b.x.Expiry {
		return nil, ErrExpired
	}
	kem, one := b.kem, oneTimeKey{}
	if len(oneTime) > 0 {
		var err error
		if one, err = b.parseOneTime(oneTime, now); err != nil {
			return nil, err
		}
		kem = one.kem
	}
	ephemeral := newRatchetKey(rnd)
	secret, ciphertext := rnd.encapsulate(kem)
	defer clear(secret)
	x := wire.Agreement{
		Version: b.version, Capabilities: capabilities & b.x.Capabilities,
		Record: l.Record().Bytes(), Device: l.Device(), Created: uint64(max(now.UnixMilli(), 0)),
		Serial: b.x.Serial, OneTime: one.id, PSK: psk != [32]byte{},
		Ephemeral: ephemeral.public, Ciphertext: [wire.MLKEMCiphertextLen]byte(ciphertext),
	}
	agreement := x.Append(nil)

	dh1, err := l.AgreementKey().ECDH(b.x.SignedPrekey)
	if err != nil {
		return nil, fmt.Errorf("%w: bad prekey", ErrBundle)
	}
	dh := [][]byte{dh1}
	publics := [][32]byte{b.x.Agreement, b.x.SignedPrekey}
	if len(oneTime) > 0 {
		publics = append(publics, one.x25519)
	}
	for _, pub := range publics {
		d, err := ephemeral.ecdh(&pub)
		if err != nil {
			return nil, fmt.Errorf("%w: bad key", ErrBundle)
		}
		dh = append(dh, d)
	}
	id := transcript(partyOf(l), remote, l.Record().Hash(), b.hash, one.hash, agreement)
	keys := agree(id, dh, secret, psk)

	s := &session{pending: agreement}
	s.flags = flagInitiator | flagSend
	if partyOf(l).compare(remote) < 0 {
		s.flags |= flagLower
	}
	s.id, s.created, s.received = keys.id, x.Created, unix(now)
	s.dh = newRatchetKey(rnd)
	step, err := s.dh.ecdh(&b.x.SignedPrekey)
	if err != nil {
		return nil, fmt.Errorf("%w: bad prekey", ErrBundle)
	}
	s.send.key, s.nextRecv = keys.header, kdfHeader(&keys.root)
	s.root, s.sendChain = kdfRoot(&keys.root, step, nil)
	return s, nil
}

// respond makes the responder's session. It changes nothing in st.
func respond(l *identity.Local, st *storeState, psk [32]byte, agreement []byte, x wire.Agreement, from *identity.Record) (*session, error) {
	remote := party{from.Identity, x.Device}
	if remote == partyOf(l) {
		return nil, ErrWrongPeer
	}
	// The bundle offered these; a lower version or another capability than the
	// best common one is a downgrade.
	if x.Version != newestCommon(versions) || x.Capabilities&^uint32(capabilities) != 0 {
		return nil, ErrDecrypt
	}
	g := st.bySerial(x.Serial)
	if g == nil {
		return nil, ErrNoPrekey
	}
	own, ok := l.FindAgreementKey(g.agreement)
	if !ok {
		return nil, ErrNoPrekey
	}
	signed := ratchetKey{private: g.signed}
	signed.public = [32]byte(signed.parsed().PublicKey().Bytes())
	seed := &g.lastResort
	dh1, err := signed.ecdh(&from.Agreement)
	if err != nil {
		return nil, ErrDecrypt
	}
	dh2, err := own.ECDH(x.Ephemeral)
	if err != nil {
		return nil, ErrDecrypt
	}
	dh3, err := signed.ecdh(&x.Ephemeral)
	if err != nil {
		return nil, ErrDecrypt
	}
	dh := [][]byte{dh1, dh2, dh3}
	var oneHash [32]byte
	if x.OneTime != 0 {
		i, ok := st.findOneTime(x.OneTime)
		if !ok {
			return nil, ErrNoPrekey
		}
		o := st.oneTime[i]
		k := ratchetKey{private: o.x25519}
		dh4, err := k.ecdh(&x.Ephemeral)
		if err != nil {
			return nil, ErrDecrypt
		}
		dh = append(dh, dh4)
		seed = &o.mlkem
		oneHash = tagged(contextOneHash, st.public(o).Append(nil))
	}
	secret, err := decapsulator(seed).Decapsulate(x.Ciphertext[:])
	if err != nil {
		return nil, ErrDecrypt
	}
	defer clear(secret)
	id := transcript(remote, partyOf(l), from.Hash(), g.hash, oneHash, agreement)
	keys := agree(id, dh, secret, psk)

	s := &session{}
	if remote.compare(partyOf(l)) < 0 {
		s.flags |= flagLower
	}
	s.id, s.created = keys.id, x.Created
	s.dh = signed
	s.root = keys.root
	s.nextRecv.key = keys.header
	return s, nil
}
