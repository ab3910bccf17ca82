package nat

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"golang.org/x/crypto/chacha20poly1305"
)

// Contexts of the probe keys (spec §5.22.1).
const (
	contextControlling = "SREMP v1 probe controlling"
	contextControlled  = "SREMP v1 probe controlled"
)

// A probe is type(1) nonce(24) and the sealed kind(1) transaction(12)
// observed address(16) port(2); pings and pongs have one size (spec §5.22).
const (
	probeType     = 0x10
	probeBodyLen  = 1 + 12 + 16 + 2
	probeSealedAt = 1 + chacha20poly1305.NonceSizeX
	probeLen      = probeSealedAt + probeBodyLen + chacha20poly1305.Overhead

	kindPing   = 1
	kindPong   = 2
	kindCheck  = 3 // of a path in use (spec §5.22.9)
	kindReport = 4
)

type transaction [12]byte

type probe struct {
	kind     byte
	tx       transaction
	observed netip.AddrPort // in a pong: where the ping came from
	long     uint32         // in a check or report: long packets received
	stuck    bool           // in a check or report: ours do not arrive
}

// IsProbe reports whether b may be a probe: by its first byte, 0x10 to 0x2f,
// which neither QUIC, STUN nor relay framing uses, and its length.
func IsProbe(b []byte) bool {
	return len(b) == probeLen && b[0] >= 0x10 && b[0] <= 0x2f
}

// probeSealer holds the keys of one attempt, one for each direction, so that a
// probe reflected to its sender does not open.
type probeSealer struct{ send, receive cipher.AEAD }

func newProbeSealer(key [32]byte, controlling bool) probeSealer {
	s := probeSealer{probeAEAD(key, contextControlling), probeAEAD(key, contextControlled)}
	if !controlling {
		s.send, s.receive = s.receive, s.send
	}
	return s
}

func probeAEAD(key [32]byte, context string) cipher.AEAD {
	k, err := hkdf.Key(sha256.New, key[:], nil, context, chacha20poly1305.KeySize)
	if err != nil {
		panic(err)
	}
	aead, err := chacha20poly1305.NewX(k)
	if err != nil {
		panic(err)
	}
	return aead
}

func (s probeSealer) seal(p probe) []byte {
	b := make([]byte, probeSealedAt, probeLen)
	b[0] = probeType
	rand.Read(b[1:])
	var body [probeBodyLen]byte
	body[0] = p.kind
	copy(body[1:], p.tx[:])
	switch {
	case p.kind == kindCheck || p.kind == kindReport:
		binary.BigEndian.PutUint32(body[13:], p.long)
		if p.stuck {
			body[17] = 1
		}
	case p.observed.IsValid():
		a := p.observed.Addr().As16()
		copy(body[13:], a[:])
		body[29], body[30] = byte(p.observed.Port()>>8), byte(p.observed.Port())
	}
	return s.send.Seal(b, b[1:], body[:], b[:1])
}

func (s probeSealer) open(b []byte) (p probe, ok bool) {
	if len(b) != probeLen || b[0] != probeType {
		return p, false
	}
	body, err := s.receive.Open(nil, b[1:probeSealedAt], b[probeSealedAt:], b[:1])
	if err != nil {
		return p, false
	}
	p.kind, p.tx = body[0], transaction(body[1:13])
	switch p.kind {
	case kindPing, kindPong:
		p.observed = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[13:29])).Unmap(), uint16(body[29])<<8|uint16(body[30]))
	case kindCheck, kindReport:
		p.long, p.stuck = binary.BigEndian.Uint32(body[13:]), body[17] == 1
	default:
		return p, false
	}
	return p, true
}

// Opening returns a datagram that looks like a probe and opens with no key: it
// is made to die on its way (spec §5.22.6).
func Opening() []byte {
	b := make([]byte, probeLen)
	rand.Read(b)
	b[0] = probeType
	return b
}
