package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/sremp/sremp/relay"
)

// A Liar is the store of a relay that gives out the prekeys of another owner while
// it lies, and counts what comes of it. Every method is safe for concurrent use.
type Liar struct {
	relay.Store

	mu      sync.Mutex
	owners  map[[32]byte][32]byte // of inboxes with a bundle
	bundles map[[32]byte][]byte
	lies    bool
	before  map[[32]byte]bool // inboxes that were there before it lied
	lied    int
	stored  int
}

// NewLiar makes a liar of a store. It does not lie yet.
func NewLiar(s relay.Store) *Liar {
	return &Liar{Store: s, owners: map[[32]byte][32]byte{}, bundles: map[[32]byte][]byte{}, before: map[[32]byte]bool{}}
}

// Lie has it lie, or no longer.
func (l *Liar) Lie(lies bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lies = lies
}

// Lied returns how often it gave another's prekeys.
func (l *Liar) Lied() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lied
}

// Stored returns how many blobs were left while it lied, in inboxes that were
// there before: what goes there is for whom it lies about.
func (l *Liar) Stored() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stored
}

// Published returns how many owners have prekeys.
func (l *Liar) Published() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[[32]byte]bool{}
	for _, o := range l.owners {
		all[o] = true
	}
	return len(all)
}

// CreateInbox implements [relay.Store].
func (l *Liar) CreateInbox(ctx context.Context, owner [32]byte, p relay.InboxParams, limit int) error {
	l.mu.Lock()
	if !l.lies {
		l.before[p.ID] = true
	}
	l.mu.Unlock()
	return l.Store.CreateInbox(ctx, owner, p, limit)
}

// PutPrekeys implements [relay.Store].
func (l *Liar) PutPrekeys(ctx context.Context, owner, inbox [32]byte, replace bool, bundle []byte, oneTime []relay.SealedOneTime, limit int) error {
	l.mu.Lock()
	l.bundles[inbox], l.owners[inbox] = bundle, owner
	l.mu.Unlock()
	return l.Store.PutPrekeys(ctx, owner, inbox, replace, bundle, oneTime, limit)
}

// TakePrekeys implements [relay.Store].
func (l *Liar) TakePrekeys(ctx context.Context, inbox, token [32]byte, now time.Time) (bundle, oneTime []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lies {
		return l.Store.TakePrekeys(ctx, inbox, token, now)
	}
	l.lied++
	for other, b := range l.bundles {
		if l.owners[other] != l.owners[inbox] {
			return b, nil, nil
		}
	}
	return nil, nil, relay.ErrNoPrekeys
}

// Put implements [relay.Store].
func (l *Liar) Put(ctx context.Context, d relay.Delivery) (relay.Stored, error) {
	l.mu.Lock()
	if l.lies && l.before[d.Inbox] {
		l.stored++
	}
	l.mu.Unlock()
	return l.Store.Put(ctx, d)
}
