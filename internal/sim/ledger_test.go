package sim

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/internal/faults"
	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
)

// A ledger is what a relay has signed for, through all its lives: mail that its
// store has answered and nobody may have deleted since. A sender's tick says so.
type ledger struct {
	mu     sync.Mutex
	owners map[[32]byte][32]byte             // of inboxes
	held   map[[32]byte]map[[32]byte]bool    // hashes, by inbox
	seen   map[[32]byte]map[uint64]relayMail // what owners were shown, by its number
	then   func()                            // called with the next that it signs for
}

type relayMail struct{ inbox, hash [32]byte }

func newLedger() *ledger {
	return &ledger{
		owners: map[[32]byte][32]byte{}, held: map[[32]byte]map[[32]byte]bool{}, seen: map[[32]byte]map[uint64]relayMail{},
	}
}

// next has f called when the relay signs the next time.
func (l *ledger) next(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.then = f
}

// A bookedRelay is a relay's store whose answers are written down.
type bookedRelay struct {
	relay.Store
	l *ledger
}

// CreateInbox implements relay.Store.
func (r bookedRelay) CreateInbox(ctx context.Context, owner [32]byte, p relay.InboxParams, limit int) error {
	err := r.Store.CreateInbox(ctx, owner, p, limit)
	if err == nil {
		r.l.mu.Lock()
		defer r.l.mu.Unlock()
		r.l.owners[p.ID] = owner
	}
	return err
}

// DeleteInbox implements relay.Store. What may be gone is gone.
func (r bookedRelay) DeleteInbox(ctx context.Context, owner, inbox [32]byte) error {
	r.l.mu.Lock()
	delete(r.l.owners, inbox)
	delete(r.l.held, inbox)
	r.l.mu.Unlock()
	return r.Store.DeleteInbox(ctx, owner, inbox)
}

// Put implements relay.Store.
func (r bookedRelay) Put(ctx context.Context, d relay.Delivery) (relay.Stored, error) {
	s, err := r.Store.Put(ctx, d)
	if err == nil {
		r.l.mu.Lock()
		defer r.l.mu.Unlock()
		if r.l.held[d.Inbox] == nil {
			r.l.held[d.Inbox] = map[[32]byte]bool{}
		}
		r.l.held[d.Inbox][d.Hash] = true
		if f := r.l.then; f != nil {
			r.l.then = nil
			f()
		}
	}
	return s, err
}

// Fetch implements relay.Store.
func (r bookedRelay) Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) ([]relay.Mail, error) {
	mail, err := r.Store.Fetch(ctx, owner, after, now, limit, maxBytes)
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if r.l.seen[owner] == nil {
		r.l.seen[owner] = map[uint64]relayMail{}
	}
	for _, m := range mail {
		r.l.seen[owner][m.Seq] = relayMail{m.Inbox, m.Hash}
	}
	return mail, err
}

// Ack implements relay.Store. What may be gone is gone.
func (r bookedRelay) Ack(ctx context.Context, owner [32]byte, seqs []uint64) error {
	r.l.mu.Lock()
	for _, n := range seqs {
		m := r.l.seen[owner][n]
		delete(r.l.held[m.inbox], m.hash)
	}
	r.l.mu.Unlock()
	return r.Store.Ack(ctx, owner, seqs)
}

// missing returns how much of what was signed for a store does not have.
func (l *ledger) missing(ctx context.Context, s relay.Store) (lost, held int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for inbox, hashes := range l.held {
		mail, err := s.Fetch(ctx, l.owners[inbox], 0, time.Now(), 1<<20, 1<<30)
		if err != nil {
			return 0, 0, fmt.Errorf("reading an inbox: %w", err)
		}
		there := map[relayMail]bool{}
		for _, m := range mail {
			there[relayMail{m.Inbox, m.Hash}] = true
		}
		for hash := range hashes {
			held++
			if !there[relayMail{inbox, hash}] {
				lost++
			}
		}
	}
	return lost, held, nil
}

// A relay that signs before its log is synced loses mail with its power, and the
// ledger says so.
func TestLedgerMissesLostMail(t *testing.T) {
	for _, synced := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { testLedger(t, synced) })
	}
}

func testLedger(t *testing.T, synced bool) {
	d, ctx, ready := faults.New(), t.Context(), false
	t.Cleanup(d.Remove)
	syncLog := func() error {
		if ready && !synced {
			return nil
		}
		return d.Sync("relay.db-wal")
	}
	sqlite, err := relaysqlite.OpenOn(ctx, faults.VFS, d.Path("relay.db"), syncLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sqlite.Close() })
	l, owner, inbox, token := newLedger(), [32]byte{1}, [32]byte{2}, [32]byte{3}
	s := bookedRelay{sqlite, l}
	if _, err := s.Owner(ctx, owner, time.Now(), relay.Admission{Open: true, Limit: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateInbox(ctx, owner, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}, 1); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // a checkpoint, which syncs the log as well: the next is a second away
	ready = true
	var image *faults.Disk
	l.next(func() { image = d.Image(faults.LoseAll, 1) })
	blob := []byte("mail")
	if _, err := s.Put(ctx, relay.Delivery{
		Inbox: inbox, TokenHash: relay.TokenHash(token), Hash: sha(string(blob)), Blob: blob, Now: time.Now(), Limits: relay.DefaultLimits(),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Remove)
	after, err := relaysqlite.OpenOn(ctx, faults.VFS, image.Path("relay.db"), func() error { return image.Sync("relay.db-wal") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { after.Close() })
	lost, held, err := l.missing(ctx, after)
	if err != nil || held != 1 || lost == 1 == synced {
		t.Errorf("synced %v: %d of %d lost, %v", synced, lost, held, err)
	}
}
