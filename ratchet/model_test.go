package ratchet

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

// A model is one device's session as spec §4.3 describes it, written for reading
// only: every decryption works on a copy of everything, keys lie in maps, nothing
// is erased early, and HKDF is spelled out. It shares no code with the ratchet
// but the source of randomness, so that both make the same messages.
type model struct {
	rnd   entropy
	id    []byte
	lower bool // we are the lower (PeerID, device)
	ready bool // something was received

	root     []byte
	own      []byte // our ratchet private key, nil after a step of theirs
	remote   []byte // their ratchet key
	sending  *modelChain
	receive  *modelChain
	nextSend []byte
	nextRecv []byte
	sentLast uint32 // messages in our chain before
	// skipped holds the keys of messages that have not come, by header key and number.
	skipped map[string]map[uint32][]byte

	epoch               uint32
	phase               string // "", "offered", "agreed", "answered"
	secret, seed, rides []byte
	wait, steps, count  int
	since               uint64
}

type modelChain struct {
	key, header []byte
	n           uint32
	epoch       uint32 // named in our headers
}

var errModel = errors.New("model: refused")

func modelHMAC(key, msg []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(msg)
	return h.Sum(nil)
}

// modelHKDF is RFC 5869 for 64 bytes.
func modelHKDF(salt, secret []byte, info string) (first, second []byte) {
	prk := modelHMAC(salt, secret)
	first = modelHMAC(prk, append([]byte(info), 1))
	return first, modelHMAC(prk, append(append(slices.Clone(first), info...), 2))
}

func modelHeaderKey(root []byte) []byte {
	return modelHMAC(root, append([]byte("SREMP v1 ratchet header"), 1))
}

func modelHash(parts ...[]byte) []byte {
	h := sha256.Sum256(slices.Concat(parts...))
	return h[:]
}

func modelDH(private, public []byte) []byte {
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		panic(err)
	}
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	s, err := k.ECDH(p)
	if err != nil {
		return nil
	}
	return s
}

func modelPublic(private []byte) []byte {
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		panic(err)
	}
	return k.PublicKey().Bytes()
}

func modelSeal(key, nonce, ad, plain []byte) []byte {
	a, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err)
	}
	return a.Seal(nil, nonce, plain, ad)
}

func modelOpen(key, nonce, ad, sealed []byte) ([]byte, error) {
	a, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err)
	}
	return a.Open(nil, nonce, sealed, ad)
}

func (c *modelChain) next() (message []byte) {
	message = modelHash(c.key, []byte("SREMP v1 message key"))
	c.key = modelHash(c.key, []byte("SREMP v1 chain key"))
	c.n++
	return message
}

// copy is deep enough: byte slices are never written to.
func (m *model) copy() *model {
	c := *m
	if m.sending != nil {
		x := *m.sending
		c.sending = &x
	}
	if m.receive != nil {
		x := *m.receive
		c.receive = &x
	}
	c.skipped = map[string]map[uint32][]byte{}
	for h, keys := range m.skipped {
		c.skipped[h] = maps.Clone(keys)
	}
	return &c
}

// newModels are both sides of an agreement, §4.2.3 and §4.3.3. transcript and
// secret are computed by the caller; ratchet is the initiator's first ratchet
// private key, spk the responder's signed prekey.
func newModels(transcript, secret, ratchet, spk []byte, initiatorLower bool) (i, r *model) {
	root, header := modelHKDF(transcript, secret, "SREMP v1 agreement keys")
	id := transcript[:16]
	i = &model{id: id, lower: initiatorLower, own: ratchet, skipped: map[string]map[uint32][]byte{}}
	i.nextRecv = modelHeaderKey(root)
	next, chain := modelHKDF(root, modelDH(ratchet, modelPublic(spk)), "SREMP v1 ratchet root")
	i.root, i.sending = next, &modelChain{key: chain, header: header}
	r = &model{id: id, lower: !initiatorLower, own: spk, root: root, nextRecv: header, skipped: map[string]map[uint32][]byte{}}
	return i, r
}

func (m *model) offersNext() bool { return ((m.epoch+1)%2 == 0) == m.lower }

// mix is the end of an exchange.
func (m *model) mix() (secret []byte) {
	secret = m.secret
	m.epoch++
	m.phase, m.secret, m.seed, m.rides = "", nil, nil, nil
	m.wait, m.steps, m.count, m.since = 0, 0, 0, 0
	return secret
}

func (m *model) encrypt(plain []byte) []byte {
	first := m.sending == nil
	if first {
		var key [32]byte
		m.rnd.read(key[:])
		m.own = key[:]
		var pq []byte
		c := &modelChain{header: m.nextSend}
		dh := modelDH(m.own, m.remote)
		if m.phase == "agreed" {
			pq = m.mix()
			c.epoch = m.epoch
		}
		m.nextRecv = modelHeaderKey(m.root)
		m.root, c.key = modelHKDF(m.root, append(dh, pq...), "SREMP v1 ratchet root")
		m.sending = c
	}
	m.count++
	if first {
		m.steps++
	}
	n := m.sending.n
	key := m.sending.next()

	// A vector, where zeros have room for it.
	kind, pqEpoch, vector := byte(0), uint32(0), []byte(nil)
	zeros := 0
	for zeros < len(plain) && plain[len(plain)-1-zeros] == 0 {
		zeros++
	}
	if m.wait > 0 {
		m.wait--
	} else {
		due := m.steps >= 64 || m.count >= 8192
		if m.phase == "" && m.ready && m.offersNext() && due && zeros >= 1184 {
			var seed [64]byte
			m.rnd.seed(seed[:])
			dk, err := mlkem.NewDecapsulationKey768(seed[:])
			if err != nil {
				panic(err)
			}
			m.phase, m.seed, m.rides = "offered", seed[:], dk.EncapsulationKey().Bytes()
		}
		if m.rides != nil && zeros >= len(m.rides) {
			vector, pqEpoch, m.wait = m.rides, m.epoch+1, 15
			kind = map[string]byte{"offered": 1, "answered": 2}[m.phase]
		}
	}
	header := slices.Clone(modelPublic(m.own))
	header = binary.BigEndian.AppendUint32(header, m.sentLast)
	header = binary.BigEndian.AppendUint32(header, n)
	header = append(header, 0)
	header = binary.BigEndian.AppendUint32(header, m.sending.epoch)
	header = append(header, kind)
	header = binary.BigEndian.AppendUint32(header, pqEpoch)
	header = binary.BigEndian.AppendUint16(header, uint16(len(vector)))
	prefix := []byte{1, 1}
	text := append(slices.Clone(vector), plain[:len(plain)-len(vector)]...)
	body := modelSeal(key, make([]byte, 12), slices.Concat(m.id, prefix, header), text)
	sealed := modelSeal(m.sending.header, body[len(body)-16:][:12], prefix, header)
	return slices.Concat(prefix, sealed, body)
}

// decrypt returns the model after a message, or an error.
func (m *model) decrypt(msg []byte, now uint64) (after *model, plain []byte, err error) {
	if len(msg) < 86 || msg[0] != 1 || msg[1] != 1 {
		return nil, nil, errModel
	}
	c := m.copy()
	prefix, sealed, body := msg[:2], msg[2:70], msg[70:]
	open := func(key []byte) []byte {
		if key == nil {
			return nil
		}
		h, err := modelOpen(key, body[len(body)-16:][:12], prefix, sealed)
		if err != nil {
			return nil
		}
		return h
	}
	var header, key []byte
	step, mixes := false, false
	if c.receive != nil {
		header = open(c.receive.header)
	}
	switch {
	case header != nil:
		n := binary.BigEndian.Uint32(header[36:])
		if n < c.receive.n {
			if key = c.take(c.receive.header, n); key == nil {
				return nil, nil, errModel
			}
			break
		}
		if err := c.skip(n); err != nil {
			return nil, nil, err
		}
		key = c.receive.next()
	case c.own != nil && open(c.nextRecv) != nil:
		header = open(c.nextRecv)
		step = true
		pn, n := binary.BigEndian.Uint32(header[32:]), binary.BigEndian.Uint32(header[36:])
		if c.receive != nil {
			if err := c.skip(pn); err != nil {
				return nil, nil, err
			}
		} else if pn != 0 {
			return nil, nil, errModel
		}
		var pq []byte
		if epoch := binary.BigEndian.Uint32(header[41:]); epoch != 0 {
			if c.phase != "answered" || epoch != c.epoch+1 {
				return nil, nil, errModel
			}
			pq, mixes = c.mix(), true
		}
		dh := modelDH(c.own, header[:32])
		if dh == nil {
			return nil, nil, errModel
		}
		c.nextSend = modelHeaderKey(c.root)
		r := &modelChain{header: c.nextRecv}
		c.root, r.key = modelHKDF(c.root, append(dh, pq...), "SREMP v1 ratchet root")
		if c.sending != nil {
			c.sentLast = c.sending.n
		}
		c.receive, c.remote, c.own, c.nextRecv, c.sending = r, header[:32], nil, nil, nil
		if err := c.skip(n); err != nil {
			return nil, nil, err
		}
		key = r.next()
	default:
		for h := range c.skipped {
			if c.receive != nil && h == string(c.receive.header) {
				continue
			}
			if header = open([]byte(h)); header != nil {
				if key = c.take([]byte(h), binary.BigEndian.Uint32(header[36:])); key == nil {
					return nil, nil, errModel
				}
				break
			}
		}
		if header == nil {
			return nil, nil, errModel
		}
	}
	plain, err = modelOpen(key, make([]byte, 12), slices.Concat(c.id, prefix, header), body)
	if err != nil {
		return nil, nil, errModel
	}
	if !mixes && binary.BigEndian.Uint32(header[41:]) > c.epoch {
		return nil, nil, errModel
	}
	if kind := header[45]; kind != 0 {
		n := int(binary.BigEndian.Uint16(header[50:]))
		if plain, err = c.vector(kind, binary.BigEndian.Uint32(header[46:]), plain, n); err != nil {
			return nil, nil, err
		}
	}
	c.count++
	if step {
		c.steps++
	}
	c.ready = true
	if c.since == 0 {
		c.since = now
	} else if now-c.since >= 86400 {
		c.steps = max(c.steps, 64)
	}
	return c, plain, nil
}

// vector takes n bytes off the front of the text and puts zeros at its end.
func (m *model) vector(kind byte, epoch uint32, text []byte, n int) ([]byte, error) {
	theirs := (epoch%2 == 0) != m.lower
	if n > len(text) || epoch > m.epoch+1 || theirs != (kind == 1) {
		return nil, errModel
	}
	v := text[:n]
	if epoch == m.epoch+1 && kind == 1 && m.phase == "" {
		k, err := mlkem.NewEncapsulationKey768(v)
		if err != nil {
			return nil, errModel
		}
		m.secret, m.rides = m.rnd.encapsulate(k)
		m.phase, m.wait = "answered", 0
	}
	if epoch == m.epoch+1 && kind == 2 && m.phase == "offered" {
		dk, err := mlkem.NewDecapsulationKey768(m.seed)
		if err != nil {
			panic(err)
		}
		if m.secret, err = dk.Decapsulate(v); err != nil {
			return nil, errModel
		}
		m.phase, m.seed, m.rides, m.wait = "agreed", nil, nil, 0
	}
	return append(slices.Clone(text[n:]), make([]byte, n)...), nil
}

// skip stores the keys of the receiving chain up to a number.
func (m *model) skip(to uint32) error {
	r := m.receive
	if to < r.n || to-r.n > 25000 {
		return errModel
	}
	for r.n < to {
		n := r.n
		if m.skipped[string(r.header)] == nil {
			m.skipped[string(r.header)] = map[uint32][]byte{}
		}
		m.skipped[string(r.header)][n] = r.next()
	}
	return nil
}

func (m *model) take(header []byte, n uint32) []byte {
	keys := m.skipped[string(header)]
	key := keys[n]
	delete(keys, n)
	if len(keys) == 0 {
		delete(m.skipped, string(header))
	}
	return key
}

// keys counts the stored keys.
func (m *model) keys() (n int) {
	for _, k := range m.skipped {
		n += len(k)
	}
	return n
}
