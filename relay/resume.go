package relay

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/dchest/siphash"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Constants of the protocol (spec §6.6.5).
const (
	challengeEvery = 250 * time.Millisecond // to one side's new address
	cookieLife     = 8 * time.Second        // a cookie holds for one to two of these
	grantLife      = 7 * 24 * time.Hour     // a session is not taken up after
)

// contextForward separates the secret of this file from the key's other uses.
const contextForward = "SREMP v1 relay forward keys"

// A forwardSecret makes the keys of sessions, so that a relay that has restarted
// knows them without having kept anything: no database holds who talks with
// whom.
type forwardSecret struct {
	keys   func() []byte // not a field that prints
	grants cipher.AEAD
}

func newForwardSecret(key *identity.ServerKey) forwardSecret {
	derive := func(label string) []byte {
		b, err := hkdf.Key(sha256.New, key.Noise().Seed(), nil, contextForward+" "+label, 32)
		if err != nil {
			panic(err)
		}
		return b
	}
	aead, err := chacha20poly1305.NewX(derive("grant"))
	if err != nil {
		panic(err)
	}
	keys := derive("session")
	return forwardSecret{func() []byte { return keys }, aead}
}

func sideName(session uint64, side uint8) []byte {
	return append(binary.BigEndian.AppendUint64(nil, session), side)
}

// key returns a side's SipHash key.
func (f forwardSecret) key(session uint64, side uint8) [16]byte {
	h := hmac.New(sha256.New, f.keys())
	h.Write(sideName(session, side))
	return [16]byte(h.Sum(nil))
}

// grant seals whose a side is, for the owner to keep.
func (f forwardSecret) grant(now time.Time, session uint64, side uint8, owner [32]byte) (g [wire.ForwardGrantLen]byte) {
	nonce := g[:chacha20poly1305.NonceSizeX]
	rand.Read(nonce)
	f.grants.Seal(nonce, nonce, binary.BigEndian.AppendUint64(owner[:], uint64(now.Unix())), sideName(session, side))
	return g
}

// openGrant returns whose the side is, if the grant is ours and not too old.
func (f forwardSecret) openGrant(now time.Time, session uint64, side uint8, g [wire.ForwardGrantLen]byte) (owner [32]byte, ok bool) {
	const n = chacha20poly1305.NonceSizeX
	b, err := f.grants.Open(nil, g[:n], g[n:], sideName(session, side))
	if err != nil || len(b) != 40 {
		return owner, false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(b[32:])), 0)
	return [32]byte(b), now.Sub(made) < grantLife
}

// cookies prove addresses without keeping anything about them.
type cookies struct{ k [4]uint64 } // random, of this process

func newCookies() cookies {
	var c cookies
	var b [32]byte
	rand.Read(b[:])
	for i := range c.k {
		c.k[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return c
}

func (c *cookies) make(now time.Time, session uint64, side uint8, from netip.AddrPort) [wire.ForwardCookieLen]byte {
	return c.at(now.UnixNano()/int64(cookieLife), session, side, from)
}

func (c *cookies) holds(now time.Time, session uint64, side uint8, from netip.AddrPort, got [wire.ForwardCookieLen]byte) bool {
	n := now.UnixNano() / int64(cookieLife)
	a, b := c.at(n, session, side, from), c.at(n-1, session, side, from)
	return hmac.Equal(a[:], got[:]) || hmac.Equal(b[:], got[:])
}

func (c *cookies) at(n int64, session uint64, side uint8, from netip.AddrPort) (cookie [wire.ForwardCookieLen]byte) {
	var in [8 + 8 + 1 + 16 + 2]byte
	binary.BigEndian.PutUint64(in[0:], uint64(n))
	binary.BigEndian.PutUint64(in[8:], session)
	in[16] = side
	a := from.Addr().As16()
	copy(in[17:], a[:])
	binary.BigEndian.PutUint16(in[33:], from.Port())
	binary.BigEndian.PutUint64(cookie[:], siphash.Hash(c.k[0], c.k[1], in[:]))
	binary.BigEndian.PutUint64(cookie[8:], siphash.Hash(c.k[2], c.k[3], in[:]))
	return cookie
}

// A proof is an answer whose cookie holds: its sender is where it says.
type proof struct {
	from   netip.AddrPort
	answer wire.ForwardAnswer
	packet [wire.ForwardAnswerLen]byte
}

// What proven may report.
type outcome int

const (
	proofRefused outcome = iota
	proofMoved           // the side has a new address
	proofResumed         // the side is back after a restart
)

// proven takes what an answer proves: the address of a side, or a side of a
// session that this process has not seen. The answer is the side's, as its MAC
// holds, and the cookie says that it comes from where it was asked.
func (b *switchboard) proven(now time.Time, p proof) outcome {
	a := p.answer
	if !wire.ForwardAnswerHolds(p.packet[:], b.secret.key(a.Session, a.Side)) {
		return proofRefused
	}
	s := b.sessions[a.Session]
	if s != nil && s.sides[a.Side].present.Load() {
		s.sides[a.Side].move(b, p.from)
		return proofMoved
	}
	owner, ok := b.secret.openGrant(now, a.Session, a.Side, a.Grant)
	if !ok || s != nil && (!s.resumed || s.sides[1-a.Side].owner == owner) {
		return proofRefused
	}
	if s == nil {
		b.makeRoom(owner)
		if len(b.sessions) >= b.limits.Sessions {
			return proofRefused
		}
		s = &session{id: a.Session, resumed: true, expires: now.Add(b.limits.TicketTTL)}
		b.sessions[s.id] = s
		defer b.table.put(s)
	}
	sd := &s.sides[a.Side]
	sd.owner, sd.key, sd.charge = owner, b.secret.key(a.Session, a.Side), b.owners.ofOwner(owner)
	// Counters go on where the owner has seen them end.
	sd.received.floor, sd.received.used = a.Sent, true
	sd.received.largest.Store(a.Sent)
	sd.sent.Store(a.Received + resumeSkip)
	if l := b.links[owner]; l != nil {
		sd.link, sd.seen = l, l.RemoteAddr()
	} else {
		sd.lost = now // until its owner's connection is back
	}
	sd.move(b, p.from)
	sd.present.Store(true)
	b.perOwner[owner] = append(b.perOwner[owner], s)
	s.active.Store(nanos(now))
	if s.sides[1-a.Side].present.Load() {
		s.joined.Store(true)
	}
	return proofResumed
}

// resumeSkip keeps away from counters of packets that are still under way.
const resumeSkip = 4096
