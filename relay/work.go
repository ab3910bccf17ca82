package relay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/sremp/sremp/wire"
)

// contextWork is the prefix of the hash that proves work (spec §6.4.1).
const contextWork = "SREMP v1 knock work"

// workDays is how far a proof's day may be from the relay's.
const workDays = 1

// workHash is over what the work is for: nobody can use it for anything else.
// hash is the blob's, zero for a bundle.
func workHash(inbox, hash [32]byte, w wire.Work) [32]byte {
	b := append(make([]byte, 0, 128), contextWork...)
	b = append(append(b, inbox[:]...), hash[:]...)
	b = binary.BigEndian.AppendUint32(b, w.Day)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, w.Nonce))
}

// workOf returns how many bits of work a proof shows, 0 if it is of another day.
func workOf(now time.Time, inbox, hash [32]byte, w wire.Work) uint8 {
	if d := int64(w.Day) - dayOf(now); d < -workDays || d > workDays {
		return 0
	}
	h := workHash(inbox, hash, w)
	n := 0
	for _, v := range h {
		if n += bits.LeadingZeros8(v); v != 0 {
			break
		}
	}
	return uint8(min(n, wire.MaxWorkBits))
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// prove searches for a proof of so many bits: 2^bits hashes on average.
func prove(ctx context.Context, now time.Time, inbox, hash [32]byte, want uint8) (wire.Work, error) {
	w := wire.Work{Day: uint32(dayOf(now)), Nonce: rand.Uint64()}
	for n := 0; workOf(now, inbox, hash, w) < want; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return w, ctx.Err()
		}
		w.Nonce++
	}
	return w, nil
}

// AllowWork opens a knock inbox to everybody who spends 2^bits hashes for each
// blob, without an invite; 0 closes it to them.
func (cl *Client) AllowWork(ctx context.Context, inbox [32]byte, bits uint8) error {
	if bits > wire.MaxWorkBits {
		return ErrBadRequest
	}
	return callOK(ctx, cl.c, wire.FrameWorkAllow, wire.WorkAllow{Inbox: inbox, Bits: bits}.Append(nil))
}

// WorkBits returns what an inbox asks of those without a token: 2^n hashes for
// each request; 0 if it takes nothing from them.
func (s *Sender) WorkBits(ctx context.Context, inbox [32]byte) (uint8, error) {
	answer, err := call(ctx, s.c, wire.FrameWorkAsk, wire.InboxName{ID: inbox}.Append(nil), wire.FrameWorkBits)
	w, err := parsed(wire.ParseWorkBits, answer, err)
	if err == nil && w.Bits > wire.MaxWorkBits {
		err = ErrProtocol
	}
	return w.Bits, err
}

// StoreWithWork is Store for one who has no token; it computes until ctx ends.
// now is the relay's time, to a day.
func (s *Sender) StoreWithWork(ctx context.Context, now time.Time, inbox [32]byte, bits uint8, blob []byte) (Receipt, error) {
	if len(blob) == 0 || len(blob) > wire.MaxBlob {
		return Receipt{}, ErrTooLarge
	}
	hash := sha256.Sum256(blob)
	w, err := prove(ctx, now, inbox, hash, bits)
	if err != nil {
		return Receipt{}, err
	}
	answer, err := call(ctx, s.c, wire.FrameWorkDeliver, wire.WorkDeliver{Inbox: inbox, Work: w, Blob: blob}.Append(nil), wire.FrameReceipt)
	if err != nil {
		return Receipt{}, err
	}
	return CheckReceipt(s.server, inbox, hash, answer)
}

// FetchBundleWithWork is FetchPrekeys for one who has no token: it brings no
// one-time prekey.
func (s *Sender) FetchBundleWithWork(ctx context.Context, now time.Time, inbox [32]byte, bits uint8) ([]byte, error) {
	w, err := prove(ctx, now, inbox, [32]byte{}, bits)
	if err != nil {
		return nil, err
	}
	answer, err := call(ctx, s.c, wire.FrameWorkBundle, wire.WorkBundle{Inbox: inbox, Work: w}.Append(nil), wire.FramePrekeys)
	p, err := parsed(wire.ParsePrekeys, answer, err)
	return p.Bundle, err
}
