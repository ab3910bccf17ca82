package rendezvous

import (
	"context"
	"errors"
	"time"

	"github.com/sremp/sremp/identity"
)

// ErrFull is returned by [Store.Put] and [Store.List] when there is room for no
// other name.
var ErrFull = errors.New("rendezvous: the store is full")

// A StoredRecord is all that a server keeps of somebody unlisted: no owner, no
// address, no reader.
type StoredRecord struct {
	Blinded [32]byte
	Sealed  []byte
	Expires time.Time // to the second
}

// A ListedRecord is an entry of the public list.
type ListedRecord struct {
	Identity identity.PeerID
	Fold     string // the name as it is searched for ([Fold])
	Entry    []byte // signed by Identity
	Expires  time.Time
	Seen     time.Time // when its owner was last connected, to the second
}

// A Position is a place in the list: the entry that the last page ended with, or
// the last one that was compared. The zero value is the beginning.
type Position struct {
	Fold     string
	Identity identity.PeerID
}

// A ListQuery selects a page of the list, which is sorted by (Fold, Identity).
type ListQuery struct {
	Fold      string // what names begin with, or contain; "" selects all
	Substring bool
	After     Position
	Limit     int // entries of the page at most
	Bytes     int // of all Entry fields of the page at most
	Scan      int // entries that are compared at most
}

// A ListPage is the result. If More, the list goes on after Next.
type ListPage struct {
	Records []ListedRecord
	Next    Position
	More    bool
}

// A Renewal is a name, blinded or listed, with its new expiry.
type Renewal struct {
	Name    [32]byte
	Expires time.Time
}

// A Store keeps records until they expire. Its methods may be used
// concurrently. Package storetest says what each must do.
type Store interface {
	// Put stores r durably, in place of an older record of the same name. It
	// returns [ErrFull] if the name is new and there are limit records already.
	Put(ctx context.Context, r StoredRecord, limit int) error
	// Get returns the record under a name; ok is false if there is none or it
	// has expired.
	Get(ctx context.Context, blinded [32]byte, now time.Time) (r StoredRecord, ok bool, err error)
	// Delete removes a record; it is no error if there is none.
	Delete(ctx context.Context, blinded [32]byte) error
	// Renew moves the expiry of records and of entries of the list. Names that
	// are not there are passed over.
	Renew(ctx context.Context, records, listed []Renewal) error
	// Expire removes the records and entries that have expired, and returns how
	// many.
	Expire(ctx context.Context, now time.Time) (n int, err error)

	// List stores r durably, in place of the identity's older entry. It returns
	// [ErrFull] as Put does.
	List(ctx context.Context, r ListedRecord, limit int) error
	// Unlist removes an entry durably; it is no error if there is none.
	Unlist(ctx context.Context, id identity.PeerID) error
	// Browse returns a page of entries that have not expired.
	Browse(ctx context.Context, q ListQuery, now time.Time) (ListPage, error)
	// Count returns how many records and entries of the list there are, with
	// those that have expired and were not removed yet.
	Count(ctx context.Context) (records, listed int, err error)
	// Seen notes when the owners of entries were last connected.
	Seen(ctx context.Context, ids []identity.PeerID, at time.Time) error
}
