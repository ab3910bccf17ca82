package ratchet

import (
	"cmp"
	"crypto/mlkem"
	"fmt"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Lifetimes of prekeys (spec §4.1.3).
const (
	BundleLifetime = 30 * 24 * time.Hour // expiry of a bundle and of one-time keys
	RotateAfter    = 7 * 24 * time.Hour  // age at which Replenish makes new signed prekeys
	// mailLifetime is how long an initial message may lie in a mailbox: private
	// halves outlive the expiry of their public ones by it.
	mailLifetime = 30 * 24 * time.Hour

	MaxOneTime     = 1000 // one-time keys of a store
	maxGenerations = 32
)

// capabilities of this implementation; bits are assigned in spec §4.1.1.
const capabilities = 0

// versions of the ratchet that this implementation speaks.
var versions = []byte{wire.RatchetVersion}

// A generation is one bundle with its private halves.
type generation struct {
	serial       uint64
	created      uint64 // Unix seconds
	expiry       uint64
	agreement    [32]byte // public key of the record
	record, hash [32]byte // hashes of the record and of the bundle

	signedID   uint32
	signed     [32]byte // X25519 private key
	lastID     uint32
	lastResort [mlkem.SeedSize]byte
}

// destroyed returns when the private halves go, in Unix seconds.
func (g *generation) destroyed() uint64 { return g.expiry + seconds(mailLifetime) }

// A oneTime is a one-time pair's private halves.
type oneTime struct {
	id        uint32
	expiry    uint64
	published bool
	x25519    [32]byte
	mlkem     [mlkem.SeedSize]byte
	signature [64]byte
}

// A PrekeyStore holds the private halves of a device's prekeys. It never prints
// them. The caller persists [PrekeyStore.MarshalBinary] before it publishes
// anything, and together with a [Peer] after [Accept] and [Peer.Decrypt].
type PrekeyStore struct{ s *storeState }

type storeState struct {
	device      identity.DeviceID
	nextID      uint32
	bundle      []byte        // newest
	generations []*generation // oldest first
	oneTime     []*oneTime    // by id
}

func seconds(d time.Duration) uint64 { return uint64(d / time.Second) }

// unix is t in seconds, 0 for times before 1970.
func unix(t time.Time) uint64 { return uint64(max(t.Unix(), 0)) }

// NewPrekeyStore makes signed prekeys and n one-time pairs.
func NewPrekeyStore(l *identity.Local, now time.Time, n int) (*PrekeyStore, error) {
	return newPrekeyStore(l, now, n, system())
}

func newPrekeyStore(l *identity.Local, now time.Time, n int, rnd entropy) (*PrekeyStore, error) {
	s := &PrekeyStore{&storeState{device: l.Device(), nextID: 1}}
	if _, err := s.replenish(l, now, n, rnd); err != nil {
		return nil, err
	}
	return s, nil
}

// Bundle returns the newest signed bundle (spec §4.1.1).
func (s *PrekeyStore) Bundle() []byte { return slices.Clone(s.s.bundle) }

// A OneTimePublic is a signed one-time pair, to be handed out to one asker.
type OneTimePublic struct {
	ID    uint32
	Bytes []byte // wire.OneTimePrekey
}

// OneTime returns the public halves of the pairs that were not marked as
// published. It computes them anew: about 0.2 ms each.
func (s *PrekeyStore) OneTime() []OneTimePublic {
	var out []OneTimePublic
	for _, o := range s.s.oneTime {
		if !o.published {
			x := s.s.public(o)
			out = append(out, OneTimePublic{o.id, x.Append(nil)})
		}
	}
	return out
}

// Published marks pairs as handed to a relay: OneTime leaves them out.
func (s *PrekeyStore) Published(ids []uint32) {
	for _, id := range ids {
		if i, ok := s.s.findOneTime(id); ok {
			s.s.oneTime[i].published = true
		}
	}
}

// Count returns how many one-time pairs are left, published or not.
func (s *PrekeyStore) Count() int { return len(s.s.oneTime) }

// Replenish destroys what is too old, makes a new bundle if the newest is older
// than RotateAfter or its record is not l's newest, and one-time pairs until
// there are n. It reports whether anything changed, so that the store is to be
// persisted and Bundle and OneTime are to be published.
func (s *PrekeyStore) Replenish(l *identity.Local, now time.Time, n int) (changed bool, err error) {
	return s.replenish(l, now, n, system())
}

func (s *PrekeyStore) replenish(l *identity.Local, now time.Time, n int, rnd entropy) (changed bool, err error) {
	st := s.s
	if n < 0 || n > MaxOneTime {
		return false, fmt.Errorf("ratchet: %d one-time prekeys; the most is %d", n, MaxOneTime)
	}
	if l.Device() != st.device {
		return false, ErrWrongPeer
	}
	t := unix(now)
	before := len(st.generations) + len(st.oneTime)
	st.generations = slices.DeleteFunc(st.generations, func(g *generation) bool { return t > g.destroyed() })
	st.oneTime = slices.DeleteFunc(st.oneTime, func(o *oneTime) bool { return t > o.expiry+seconds(mailLifetime) })
	changed = before != len(st.generations)+len(st.oneTime)

	if g := st.newest(); g == nil || t >= g.created+seconds(RotateAfter) || g.record != l.Record().Hash() {
		st.generate(l, t, rnd)
		changed = true
	}
	for len(st.oneTime) < n {
		st.oneTime = append(st.oneTime, st.newOneTime(l, t, rnd))
		changed = true
	}
	return changed, nil
}

func (st *storeState) newest() *generation {
	if n := len(st.generations); n > 0 {
		return st.generations[n-1]
	}
	return nil
}

func (st *storeState) id() uint32 {
	id := st.nextID
	st.nextID++
	return id
}

// generate adds a generation and signs its bundle.
func (st *storeState) generate(l *identity.Local, t uint64, rnd entropy) {
	g := &generation{
		// The clock makes serials rise after the store was lost, too.
		serial:  t,
		created: t, expiry: t + seconds(BundleLifetime),
		agreement: l.Record().Agreement, record: l.Record().Hash(),
		signedID: st.id(), lastID: st.id(),
	}
	if last := st.newest(); last != nil && last.serial >= g.serial {
		g.serial = last.serial + 1
	}
	rnd.read(g.signed[:])
	rnd.read(g.lastResort[:])
	signed := ratchetKey{private: g.signed}
	x := wire.PrekeyBundle{
		Record: l.Record().Bytes(), Device: st.device, Versions: versions, Capabilities: capabilities,
		Serial: g.serial, Expiry: g.expiry, Agreement: g.agreement,
		SignedPrekeyID: g.signedID, SignedPrekey: [32]byte(signed.parsed().PublicKey().Bytes()),
		LastResortID: g.lastID, LastResort: [wire.MLKEMKeyLen]byte(decapsulator(&g.lastResort).EncapsulationKey().Bytes()),
	}
	x.Signature = l.Sign(contextBundle, x.AppendSigned(nil))
	st.bundle = x.Append(nil)
	g.hash = tagged(contextBundleHash, st.bundle)
	if len(st.generations) == maxGenerations {
		st.generations = slices.Delete(st.generations, 0, 1)
	}
	st.generations = append(st.generations, g)
}

func decapsulator(seed *[mlkem.SeedSize]byte) *mlkem.DecapsulationKey768 {
	k, err := mlkem.NewDecapsulationKey768(seed[:])
	if err != nil {
		panic(err) // the seed has its size
	}
	return k
}

func (st *storeState) newOneTime(l *identity.Local, t uint64, rnd entropy) *oneTime {
	o := &oneTime{id: st.id(), expiry: t + seconds(BundleLifetime)}
	rnd.read(o.x25519[:])
	rnd.read(o.mlkem[:])
	x := st.public(o)
	o.signature = l.Sign(contextOneTime, x.AppendSigned(nil))
	return o
}

// public computes the public halves.
func (st *storeState) public(o *oneTime) wire.OneTimePrekey {
	k := ratchetKey{private: o.x25519}
	return wire.OneTimePrekey{
		Device: st.device, ID: o.id, Expiry: o.expiry,
		X25519:    [32]byte(k.parsed().PublicKey().Bytes()),
		MLKEM:     [wire.MLKEMKeyLen]byte(decapsulator(&o.mlkem).EncapsulationKey().Bytes()),
		Signature: o.signature,
	}
}

func (st *storeState) findOneTime(id uint32) (int, bool) {
	return slices.BinarySearchFunc(st.oneTime, id, func(o *oneTime, id uint32) int { return cmp.Compare(o.id, id) })
}

// consume erases a one-time pair.
func (st *storeState) consume(id uint32) {
	if i, ok := st.findOneTime(id); ok {
		*st.oneTime[i] = oneTime{}
		st.oneTime = slices.Delete(st.oneTime, i, i+1)
	}
}

// bySerial returns a generation.
func (st *storeState) bySerial(serial uint64) *generation {
	for _, g := range st.generations {
		if g.serial == serial {
			return g
		}
	}
	return nil
}

// holdsLastResort reports whether a last-resort key still exists.
func (st *storeState) holdsLastResort(id uint32) bool {
	return slices.ContainsFunc(st.generations, func(g *generation) bool { return g.lastID == id })
}
