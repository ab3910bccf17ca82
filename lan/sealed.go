package lan

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	mathrand "math/rand/v2"
	"net/netip"
	"time"
)

// contextTag makes the key of tags from one that two contacts share.
const contextTag = "SREMP v1 lan tag"

// A sealed body is uint32 period, nonce(16), and tags of 8 bytes (spec §5.25.2).
const (
	periodLen = time.Hour
	// maxClockOff is how many periods two clocks may differ; a copy is worth
	// nothing after it.
	maxClockOff = 4

	nonceLen     = 16
	tagLen       = 8
	sealedHeader = 4 + nonceLen
	maxTags      = 64
	tagBucket    = 16
	// MaxSealed bounds the bodies of one Seal.
	MaxSealed = 16
)

// A TagKey is known to two contacts, or to who made an invite and who has it.
type TagKey [32]byte

// NewTagKey derives the key by which the holders of secret recognise each other.
func NewTagKey(secret [32]byte) TagKey {
	k, err := hkdf.Key(sha256.New, secret[:], nil, contextTag, 32)
	if err != nil {
		panic(err) // only for keys too long
	}
	return TagKey(k)
}

// tag binds a key to the head of a body and to the addresses announced with it.
func (k TagKey) tag(head []byte, addrs []netip.AddrPort) (t [tagLen]byte) {
	mac := hmac.New(sha256.New, k[:])
	mac.Write(head)
	for _, a := range sorted(addrs) {
		b := a.Addr().As16()
		mac.Write(binary.BigEndian.AppendUint16(b[:], a.Port()))
	}
	copy(t[:], mac.Sum(nil))
	return t
}

// Seal returns bodies that are noise to everybody but the holders of one of the
// keys, who recognise that they are meant, if the body came with addrs. Each
// call returns others. The tags are in random order, and filled up to a multiple
// of 16 with noise; more than 64 go into several bodies, at most MaxSealed.
func Seal(now time.Time, keys []TagKey, addrs []netip.AddrPort) (bodies [][]byte) {
	for len(keys) > 0 && len(bodies) < MaxSealed {
		n := min(len(keys), maxTags)
		bodies = append(bodies, seal(now, keys[:n], addrs))
		keys = keys[n:]
	}
	return bodies
}

func seal(now time.Time, keys []TagKey, addrs []netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint32(nil, period(now))
	b = append(b, make([]byte, nonceLen)...)
	rand.Read(b[4:])
	tags := make([][tagLen]byte, (len(keys)+tagBucket-1)/tagBucket*tagBucket)
	for i := range tags {
		if i < len(keys) {
			tags[i] = keys[i].tag(b, addrs)
		} else {
			rand.Read(tags[i][:])
		}
	}
	mathrand.Shuffle(len(tags), func(i, j int) { tags[i], tags[j] = tags[j], tags[i] }) // the place tells nothing
	for _, t := range tags {
		b = append(b, t[:]...)
	}
	return b
}

func period(now time.Time) uint32 { return uint32(now.Unix() / int64(periodLen/time.Second)) }

// A Body is a sealed body that was received.
type Body struct {
	head  []byte
	addrs []netip.AddrPort
	tags  map[[tagLen]byte]struct{}
}

// ParseSealed parses the body of an announcement that came with addrs. It
// reports false if it is none, or of another time: a copy.
func ParseSealed(now time.Time, b []byte, addrs []netip.AddrPort) (Body, bool) {
	tags := len(b) - sealedHeader
	if tags <= 0 || tags%(tagBucket*tagLen) != 0 || tags > maxTags*tagLen {
		return Body{}, false
	}
	if d := int64(binary.BigEndian.Uint32(b)) - int64(period(now)); d < -maxClockOff || d > maxClockOff {
		return Body{}, false
	}
	x := Body{head: b[:sealedHeader], addrs: addrs, tags: make(map[[tagLen]byte]struct{}, tags/tagLen)}
	for t := b[sealedHeader:]; len(t) > 0; t = t[tagLen:] {
		x.tags[[tagLen]byte(t)] = struct{}{}
	}
	return x, true
}

// Means reports whether the body is meant for the holders of key.
func (b Body) Means(key TagKey) bool {
	_, ok := b.tags[key.tag(b.head, b.addrs)]
	return ok
}
