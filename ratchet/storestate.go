package ratchet

import (
	"encoding/binary"
	"fmt"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// storeVersion is the first byte of a stored PrekeyStore (spec §4.5.3).
const storeVersion = 1

// MarshalBinary implements [encoding.BinaryMarshaler]. The bytes are secret:
// the caller seals them.
func (s *PrekeyStore) MarshalBinary() ([]byte, error) {
	st := s.s
	b := append([]byte{storeVersion}, st.device[:]...)
	b = binary.BigEndian.AppendUint32(b, st.nextID)
	b = wire.AppendVec16(b, st.bundle)
	b = append(b, byte(len(st.generations)))
	for _, g := range st.generations {
		for _, n := range [...]uint64{g.serial, g.created, g.expiry} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		for _, k := range [...]*[32]byte{&g.agreement, &g.record, &g.hash} {
			b = append(b, k[:]...)
		}
		b = append(binary.BigEndian.AppendUint32(b, g.signedID), g.signed[:]...)
		b = append(binary.BigEndian.AppendUint32(b, g.lastID), g.lastResort[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(st.oneTime)))
	for _, o := range st.oneTime {
		b = binary.BigEndian.AppendUint32(b, o.id)
		b = binary.BigEndian.AppendUint64(b, o.expiry)
		published := byte(0)
		if o.published {
			published = 1
		}
		b = append(append(b, published), o.x25519[:]...)
		b = append(append(b, o.mlkem[:]...), o.signature[:]...)
	}
	return b, nil
}

// ParsePrekeyStore is the inverse of [PrekeyStore.MarshalBinary].
func ParsePrekeyStore(b []byte) (*PrekeyStore, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != storeVersion {
		return nil, fmt.Errorf("%w: version %d", ErrState, v)
	}
	st := &storeState{device: identity.DeviceID(r.Array16()), nextID: r.Uint32()}
	st.bundle = append([]byte(nil), r.Vec16(1, wire.MaxPrekeyBundle)...)
	for range limit(r, int(r.Uint8()), 0, maxGenerations) {
		g := &generation{serial: r.Uint64(), created: r.Uint64(), expiry: r.Uint64()}
		g.agreement, g.record, g.hash = r.Array32(), r.Array32(), r.Array32()
		g.signedID, g.signed = r.Uint32(), r.Array32()
		g.lastID = r.Uint32()
		r.Copy(g.lastResort[:])
		if last := st.newest(); last != nil && last.serial >= g.serial {
			r.Fail(wire.ErrNotCanonical)
		}
		st.generations = append(st.generations, g)
	}
	for range limit(r, int(r.Uint16()), 0, MaxOneTime) {
		o := &oneTime{id: r.Uint32(), expiry: r.Uint64(), published: r.Bool(), x25519: r.Array32()}
		r.Copy(o.mlkem[:])
		o.signature = r.Array64()
		if n := len(st.oneTime); n > 0 && st.oneTime[n-1].id >= o.id {
			r.Fail(wire.ErrNotCanonical)
		}
		st.oneTime = append(st.oneTime, o)
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return &PrekeyStore{st}, nil
}
