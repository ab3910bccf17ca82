package relay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"
)

// TokenHash is what a relay keeps of a delivery token or a knock: whoever reads
// its database can deliver nothing.
func TokenHash(token [32]byte) [32]byte {
	return sha256.Sum256(append([]byte("SREMP v1 delivery token"), token[:]...))
}

// InboxParams describe an inbox to be made.
type InboxParams struct {
	ID        [32]byte // random, chosen by the owner
	Knock     bool     // for first contact: takes what AllowKnock opens
	TokenHash [32]byte // TokenHash of the delivery token; zero for a knock inbox
}

// A SealedOneTime is a one-time prekey sealed by its owner.
type SealedOneTime struct {
	ID   uint32
	Blob []byte
}

// A Mail is a stored blob.
type Mail struct {
	Inbox    [32]byte
	Seq      uint64 // names it towards Ack; counts the owner's blobs
	Hash     [32]byte
	Blob     []byte
	StoredAt time.Time // by the relay's clock, ms
}

// A Delivery asks a [Store] to keep a blob.
type Delivery struct {
	Inbox     [32]byte
	TokenHash [32]byte
	Hash      [32]byte // SHA-256 of Blob
	Blob      []byte
	Work      uint8 // bits of work proved instead of a token; 0: a token
	Now       time.Time
	Limits    Limits
}

// Stored is the answer to a [Delivery].
type Stored struct {
	Owner    [32]byte
	StoredAt time.Time // ms
	Expires  time.Time // ms
	Fresh    bool      // false: it was there already; StoredAt and Expires are those of the first time
}

// A Store keeps a relay's state. Every method is atomic, and what it changed is
// durable when it returns. Those that an owner calls touch nothing of another
// owner's. Package relay/storetest says the rest.
type Store interface {
	Operator
	// Owner reports whether the owner is registered, and if so marks it as seen
	// on the day of now. An unknown one is registered if a admits it, which may
	// use up a token; ErrFull if there are a.Limit already. ErrAdmission if it is
	// blocked.
	Owner(ctx context.Context, owner [32]byte, now time.Time, a Admission) (known bool, err error)
	// CreateInbox makes an inbox; once more with the same parameters is no
	// error. ErrExists (also for a blocked name), ErrQuota.
	CreateInbox(ctx context.Context, owner [32]byte, p InboxParams, limit int) error
	// DeleteInbox deletes an inbox and all that is in it. ErrNoInbox.
	DeleteInbox(ctx context.Context, owner, inbox [32]byte) error
	// AllowKnock opens a knock inbox to a token, or sets another expiry.
	// Expired knocks do not count towards limit. ErrNoInbox, ErrQuota.
	AllowKnock(ctx context.Context, owner, inbox, tokenHash [32]byte, now, expires time.Time, limit int) error
	// AllowWork opens a knock inbox to proofs of work of so many bits; 0 closes
	// it to them. ErrNoInbox.
	AllowWork(ctx context.Context, owner, inbox [32]byte, bits uint8) error
	// WorkBits returns what AllowWork has set, 0 also if there is no such inbox.
	WorkBits(ctx context.Context, inbox [32]byte) (uint8, error)
	// TakeBundle returns the bundle of an inbox that is open to so much work.
	// ErrNoInbox, ErrNoPrekeys.
	TakeBundle(ctx context.Context, inbox [32]byte, work uint8) (bundle []byte, err error)
	// PutPrekeys stores the bundle and adds one-time prekeys, whose ids ascend
	// over the life of an inbox: those there already are replaced, those not
	// above the last one taken are skipped. With replace, all are dropped first,
	// and ids begin anew. ErrNoInbox, ErrQuota.
	PutPrekeys(ctx context.Context, owner, inbox [32]byte, replace bool, bundle []byte, oneTime []SealedOneTime, limit int) error
	// PrekeyCount returns how many one-time prekeys are left. ErrNoInbox.
	PrekeyCount(ctx context.Context, owner, inbox [32]byte) (int, error)
	// TakePrekeys returns the bundle and removes the one-time prekey of the
	// lowest id, which is
	// nil if none is left or the knock has had [KnockBlobs]. ErrNoInbox,
	// ErrNoPrekeys.
	TakePrekeys(ctx context.Context, inbox, tokenHash [32]byte, now time.Time) (bundle, oneTime []byte, err error)
	// Put stores a blob if Admit agrees. It is idempotent by (Inbox, Hash) as
	// long as the blob is there.
	Put(ctx context.Context, d Delivery) (Stored, error)
	// Fetch returns the owner's blobs with Seq > after that have not expired, in
	// order, at most limit and, beyond the first, maxBytes.
	Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) ([]Mail, error)
	// Ack deletes the owner's blobs of these numbers; unknown ones are no error.
	Ack(ctx context.Context, owner [32]byte, seqs []uint64) error
	// Expire deletes blobs and knocks whose time has passed, and owners not
	// seen since ownersBefore.
	Expire(ctx context.Context, now, ownersBefore time.Time) error
	Close() error
}

// A Notifier is a [Store] that others write to as well. Notify calls f with each
// owner for whom a blob was stored, by whomever, and with nil if blobs may have
// been stored for anybody; it returns when ctx ends.
type Notifier interface {
	Notify(ctx context.Context, f func(owner *[32]byte)) error
}

// An InboxState is what [Limits.Admit] needs to know, read in the transaction that
// stores the blob.
type InboxState struct {
	Found     bool
	Knock     bool
	TokenHash [32]byte // of a contact's inbox
	Work      uint8    // bits that open a knock inbox; 0: none do

	KnockFound   bool // the token is one of its knocks
	KnockExpires time.Time
	KnockBlobs   int // ever delivered with it
	KnockBytes   int64

	InboxBlobs, OwnerBlobs int
	InboxBytes, OwnerBytes int64
}

// Accepts reports whether the inbox exists and takes the token: one answer for
// both, so that inboxes cannot be searched for (spec §6.4).
func (s InboxState) Accepts(tokenHash [32]byte, now time.Time) bool {
	if !s.Found {
		return false
	}
	if s.Knock {
		return s.KnockFound && now.Before(s.KnockExpires)
	}
	return subtle.ConstantTimeCompare(s.TokenHash[:], tokenHash[:]) == 1
}

// AcceptsWork reports whether the inbox takes a proof of so many bits instead of a
// token.
func (s InboxState) AcceptsWork(bits uint8) bool {
	return s.Found && s.Knock && s.Work > 0 && bits >= s.Work
}

// Takes reports whether the inbox accepts what a delivery shows.
func (s InboxState) Takes(d Delivery) bool {
	if d.Work > 0 {
		return s.AcceptsWork(d.Work)
	}
	return s.Accepts(d.TokenHash, d.Now)
}

// Settle decides about a delivery to an inbox. earlier is what is stored of the
// blob already, nil if nothing is: then the blob is Fresh, and the store keeps it
// with these times. [ErrNoInbox], and the errors of Admit.
func (d Delivery) Settle(s InboxState, earlier *Stored, owner [32]byte) (Stored, error) {
	if !s.Takes(d) {
		return Stored{}, ErrNoInbox
	}
	if earlier != nil {
		return Stored{Owner: owner, StoredAt: earlier.StoredAt, Expires: earlier.Expires}, nil
	}
	if err := d.Limits.Admit(s, d); err != nil {
		return Stored{}, err
	}
	ms := func(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }
	return Stored{Owner: owner, StoredAt: ms(d.Now), Expires: ms(d.Now.Add(d.Limits.TTL)), Fresh: true}, nil
}

// Day is how exactly a [Store] keeps when an owner was seen: days since 1970.
func Day(t time.Time) int64 { return t.Unix() / 86400 }

// Admit decides whether an inbox takes a blob that it does not hold yet: nil,
// [ErrNoInbox], [ErrTooLarge] or [ErrQuota]. Work fills half of an inbox at most,
// so that those with an invite find room.
func (l Limits) Admit(s InboxState, d Delivery) error {
	size := len(d.Blob)
	n := int64(size)
	switch {
	case !s.Takes(d):
		return ErrNoInbox
	case size > l.MaxBlob:
		return ErrTooLarge
	case d.Work > 0 && (s.InboxBlobs >= l.InboxBlobs/2 || s.InboxBytes+n > l.InboxBytes/2):
		return ErrQuota
	case d.Work == 0 && s.Knock && (s.KnockBlobs >= KnockBlobs || s.KnockBytes+n > KnockBytes):
		return ErrQuota
	case s.InboxBlobs >= l.InboxBlobs || s.InboxBytes+n > l.InboxBytes:
		return ErrQuota
	case s.OwnerBlobs >= l.OwnerBlobs || s.OwnerBytes+n > l.OwnerBytes:
		return ErrQuota
	}
	return nil
}
