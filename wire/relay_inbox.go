package wire

import "encoding/binary"

// An InboxCreate makes an inbox (spec §6.4).
type InboxCreate struct {
	ID         [32]byte // random
	Knock      bool     // takes knocks instead of one delivery token
	TokenHash  [32]byte // of the delivery token; zero for a knock inbox
	Extensions []Extension
}

// Append appends the payload.
func (x InboxCreate) Append(b []byte) []byte {
	b = append(appendBool(append(b, x.ID[:]...), x.Knock), x.TokenHash[:]...)
	return AppendExtensions(b, x.Extensions)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// ParseInboxCreate parses it.
func ParseInboxCreate(b []byte) (InboxCreate, error) {
	r := NewReader(b)
	x := InboxCreate{ID: r.Array32(), Knock: r.Bool(), TokenHash: r.Array32(), Extensions: r.Extensions()}
	return done(r, x)
}

// An InboxName is the request that needs no more than an inbox's id.
type InboxName struct{ ID [32]byte }

// Append appends the payload.
func (x InboxName) Append(b []byte) []byte { return append(b, x.ID[:]...) }

// ParseInboxName parses it.
func ParseInboxName(b []byte) (InboxName, error) {
	r := NewReader(b)
	return done(r, InboxName{r.Array32()})
}

// A KnockAllow opens a knock inbox to the holder of one token.
type KnockAllow struct {
	Inbox     [32]byte
	TokenHash [32]byte
	Expires   uint64 // Unix seconds
}

// Append appends the payload.
func (x KnockAllow) Append(b []byte) []byte {
	b = append(append(b, x.Inbox[:]...), x.TokenHash[:]...)
	return binary.BigEndian.AppendUint64(b, x.Expires)
}

// ParseKnockAllow parses it.
func ParseKnockAllow(b []byte) (KnockAllow, error) {
	r := NewReader(b)
	return done(r, KnockAllow{Inbox: r.Array32(), TokenHash: r.Array32(), Expires: r.Uint64()})
}

// A SealedOneTime is sealed by its owner; the relay knows its number only.
type SealedOneTime struct {
	ID   uint32
	Blob []byte
}

// PrekeysPut stores the sealed bundle and adds one-time prekeys (spec §6.5).
type PrekeysPut struct {
	Inbox   [32]byte
	Replace bool // drop the one-time prekeys stored before
	Bundle  []byte
	OneTime []SealedOneTime // ascending ids
}

// Append appends the payload.
func (x PrekeysPut) Append(b []byte) []byte {
	b = AppendVec16(appendBool(append(b, x.Inbox[:]...), x.Replace), x.Bundle)
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.OneTime)))
	for _, k := range x.OneTime {
		b = AppendVec16(binary.BigEndian.AppendUint32(b, k.ID), k.Blob)
	}
	return b
}

// ParsePrekeysPut parses it.
func ParsePrekeysPut(b []byte) (PrekeysPut, error) {
	r := NewReader(b)
	x := PrekeysPut{Inbox: r.Array32(), Replace: r.Bool(), Bundle: r.Vec16(1, MaxSealedBundle)}
	n := int(r.Uint16())
	if n > MaxSealedOneTimes {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		k := SealedOneTime{ID: r.Uint32(), Blob: r.Vec16(1, MaxSealedOneTime)}
		if i > 0 && x.OneTime[i-1].ID >= k.ID {
			r.Fail(ErrNotCanonical)
		}
		x.OneTime = append(x.OneTime, k)
	}
	return done(r, x)
}

// PrekeysLeft tells how many one-time prekeys an inbox has left.
type PrekeysLeft struct{ Count uint32 }

// Append appends the payload.
func (x PrekeysLeft) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, x.Count) }

// ParsePrekeysLeft parses it.
func ParsePrekeysLeft(b []byte) (PrekeysLeft, error) {
	r := NewReader(b)
	return done(r, PrekeysLeft{r.Uint32()})
}

// A PrekeysTake asks, anonymously, for prekeys against a token of the inbox.
type PrekeysTake struct{ Inbox, Token [32]byte }

// Append appends the payload.
func (x PrekeysTake) Append(b []byte) []byte { return append(append(b, x.Inbox[:]...), x.Token[:]...) }

// ParsePrekeysTake parses it.
func ParsePrekeysTake(b []byte) (PrekeysTake, error) {
	r := NewReader(b)
	return done(r, PrekeysTake{r.Array32(), r.Array32()})
}

// Prekeys are the answer: the bundle, and a one-time prekey while there are any.
type Prekeys struct {
	Bundle  []byte
	OneTime []byte // empty if none is left
}

// Append appends the payload.
func (x Prekeys) Append(b []byte) []byte { return AppendVec16(AppendVec16(b, x.Bundle), x.OneTime) }

// ParsePrekeys parses it.
func ParsePrekeys(b []byte) (Prekeys, error) {
	r := NewReader(b)
	return done(r, Prekeys{r.Vec16(1, MaxSealedBundle), r.Vec16(0, MaxSealedOneTime)})
}
