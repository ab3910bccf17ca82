package wire

import "encoding/binary"

// MaxWorkBits bounds what an owner may ask of strangers: 2^32 hashes.
const MaxWorkBits = 32

// A WorkAllow opens a knock inbox to whoever proves work (spec §6.4.1); 0 bits
// close it again.
type WorkAllow struct {
	Inbox [32]byte
	Bits  uint8
}

// Append appends the payload.
func (x WorkAllow) Append(b []byte) []byte { return append(append(b, x.Inbox[:]...), x.Bits) }

// ParseWorkAllow parses it.
func ParseWorkAllow(b []byte) (WorkAllow, error) {
	r := NewReader(b)
	x := WorkAllow{r.Array32(), r.Uint8()}
	if x.Bits > MaxWorkBits {
		r.Fail(ErrTooLarge)
	}
	return done(r, x)
}

// WorkBits is the answer to who asks for an inbox's price: 0 if work opens
// nothing there.
type WorkBits struct{ Bits uint8 }

// Append appends the payload.
func (x WorkBits) Append(b []byte) []byte { return append(b, x.Bits) }

// ParseWorkBits parses it.
func ParseWorkBits(b []byte) (WorkBits, error) {
	r := NewReader(b)
	return done(r, WorkBits{r.Uint8()})
}

// A Work is the proof of work for one request.
type Work struct {
	Day   uint32 // of the relay's clock, since 1970
	Nonce uint64
}

func (x Work) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, x.Day), x.Nonce)
}

// A WorkDeliver is a Deliver that pays by work.
type WorkDeliver struct {
	Inbox [32]byte
	Work  Work
	Blob  []byte
}

// Append appends the payload.
func (x WorkDeliver) Append(b []byte) []byte {
	return AppendVec24(x.Work.append(append(b, x.Inbox[:]...)), x.Blob)
}

// ParseWorkDeliver parses it.
func ParseWorkDeliver(b []byte) (WorkDeliver, error) {
	r := NewReader(b)
	return done(r, WorkDeliver{r.Array32(), Work{r.Uint32(), r.Uint64()}, r.Vec24(1, MaxBlob)})
}

// A WorkBundle asks for a bundle, without a one-time prekey, and pays by work.
type WorkBundle struct {
	Inbox [32]byte
	Work  Work
}

// Append appends the payload.
func (x WorkBundle) Append(b []byte) []byte { return x.Work.append(append(b, x.Inbox[:]...)) }

// ParseWorkBundle parses it.
func ParseWorkBundle(b []byte) (WorkBundle, error) {
	r := NewReader(b)
	return done(r, WorkBundle{r.Array32(), Work{r.Uint32(), r.Uint64()}})
}
