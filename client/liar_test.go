package client_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/relay"
)

// A swappingStore is a relay's that gives out the prekeys of another owner, while
// it lies.
type swappingStore struct {
	relay.Store

	mu      sync.Mutex
	owners  map[[32]byte][32]byte // of inboxes with a bundle
	bundles map[[32]byte][]byte
	lies    bool
	before  map[[32]byte]bool // inboxes that were there before it lied
	lied    int               // how often it gave another's
	stored  int               // what was left meanwhile in inboxes that were there before
}

func (s *swappingStore) CreateInbox(ctx context.Context, owner [32]byte, p relay.InboxParams, limit int) error {
	s.mu.Lock()
	if !s.lies {
		s.before[p.ID] = true
	}
	s.mu.Unlock()
	return s.Store.CreateInbox(ctx, owner, p, limit)
}

func (s *swappingStore) PutPrekeys(ctx context.Context, owner, inbox [32]byte, replace bool, bundle []byte, oneTime []relay.SealedOneTime, limit int) error {
	s.mu.Lock()
	s.bundles[inbox], s.owners[inbox] = bundle, owner
	s.mu.Unlock()
	return s.Store.PutPrekeys(ctx, owner, inbox, replace, bundle, oneTime, limit)
}

func (s *swappingStore) TakePrekeys(ctx context.Context, inbox, token [32]byte, now time.Time) (bundle, oneTime []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lies {
		return s.Store.TakePrekeys(ctx, inbox, token, now)
	}
	s.lied++
	for other, b := range s.bundles {
		if s.owners[other] != s.owners[inbox] {
			return b, nil, nil
		}
	}
	return nil, nil, relay.ErrNoPrekeys
}

func (s *swappingStore) Put(ctx context.Context, d relay.Delivery) (relay.Stored, error) {
	s.mu.Lock()
	if s.lies && s.before[d.Inbox] {
		s.stored++
	}
	s.mu.Unlock()
	return s.Store.Put(ctx, d)
}

func (s *swappingStore) lie(lies bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies = lies
}

// J4: a relay that gives the prekeys of somebody else gets no message. That is
// said, and once it gives the right ones, what waited is sent.
func TestSwappedPrekeys(t *testing.T) {
	var liar *swappingStore
	s := startServerWith(t, func(store relay.Store) relay.Store {
		liar = &swappingStore{Store: store, owners: map[[32]byte][32]byte{}, bundles: map[[32]byte][]byte{}, before: map[[32]byte]bool{}}
		return liar
	})
	mallory, _ := newClient(t, "Mallory")
	useServer(t, mallory, s)
	invite(t, mallory)
	b, _ := newClient(t, "Bob")
	useServer(t, b, s)
	uri, bob := invite(t, b), me(t, b)
	b.Close() // he is away

	liar.lie(true)
	a, _ := newClient(t, "Alice")
	useServer(t, a, s)
	add(t, a, uri)
	send(t, a, bob, "for Bob only")
	path := func() client.Path {
		t.Helper()
		all, err := a.Contacts(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%d contacts, %v; want Bob", len(all), err)
		}
		return all[0].Path
	}
	refused := func() {
		t.Helper()
		eventually(t, "the refusal", func() (bool, string) {
			p := path()
			return p.Kind == client.PathNone && p.Why == client.WhyUnverified, p.Reason
		})
	}
	refused()
	waitTexts(t, a, bob, ">queued for Bob only")
	// It stays so while other reasons come up: another attempt was made.
	liar.mu.Lock()
	lied := liar.lied
	liar.mu.Unlock()
	eventually(t, "another attempt", func() (bool, string) {
		liar.mu.Lock()
		defer liar.mu.Unlock()
		return liar.lied > lied, "it asks no more"
	})
	refused()
	liar.mu.Lock()
	if liar.stored != 0 {
		t.Errorf("%d messages were left with the liar, want none", liar.stored)
	}
	liar.mu.Unlock()

	liar.lie(false)
	waitTexts(t, a, bob, ">held for Bob only")
	if p := path(); p.Why == client.WhyUnverified {
		t.Errorf("the path says %q still", p.Reason)
	}
}
