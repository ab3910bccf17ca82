// Package storetest says what a relay.Store must do (docs/spec/60-relay.md,
// section 6.8). Each implementation runs it in its own tests.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/relay"
)

// t0 is the time of all tests.
var t0 = time.UnixMilli(1_800_000_000_000)

// limits are small enough to be reached.
var limits = relay.Limits{
	OwnerBytes: 1000, OwnerBlobs: 8, InboxBytes: 600, InboxBlobs: 5, MaxBlob: 500, TTL: time.Hour,
}

func id(v byte) (a [32]byte) { a[0], a[31] = v, v; return a }

var (
	alice, bob = id(0xa1), id(0xb0)
	inbox      = id(1)
	token      = id(2)
)

func delivery(box [32]byte, tok [32]byte, blob []byte, now time.Time) relay.Delivery {
	return relay.Delivery{Inbox: box, TokenHash: relay.TokenHash(tok), Hash: sha256.Sum256(blob), Blob: blob, Now: now, Limits: limits}
}

// A fixture is a store with alice and bob registered and alice's inbox made.
type fixture struct {
	*testing.T
	relay.Store
}

func (f fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f fixture) want(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("err = %v, want %v", err, want)
	}
}

func (f fixture) inbox(owner, name [32]byte, knock bool, tok [32]byte) {
	f.Helper()
	p := relay.InboxParams{ID: name, Knock: knock}
	if !knock {
		p.TokenHash = relay.TokenHash(tok)
	}
	f.ok(f.CreateInbox(f.Context(), owner, p, 10))
}

func (f fixture) put(d relay.Delivery) relay.Stored {
	f.Helper()
	s, err := f.Put(f.Context(), d)
	f.ok(err)
	return s
}

// bodies returns what an owner can fetch, and its numbers.
func (f fixture) bodies(owner [32]byte, now time.Time) (all []string, seqs []uint64) {
	f.Helper()
	mail, err := f.Fetch(f.Context(), owner, 0, now, 100, 1<<20)
	f.ok(err)
	for _, m := range mail {
		if m.Hash != sha256.Sum256(m.Blob) {
			f.Errorf("mail %d: the hash is not its blob's", m.Seq)
		}
		all, seqs = append(all, string(m.Blob)), append(seqs, m.Seq)
	}
	return all, seqs
}

func (f fixture) wantBodies(owner [32]byte, now time.Time, want ...string) {
	f.Helper()
	if got, _ := f.bodies(owner, now); !reflect.DeepEqual(got, want) {
		f.Errorf("stored blobs = %q, want %q", got, want)
	}
}

// Test runs the suite. open returns a new, empty store; the suite closes it.
func Test(t *testing.T, open func(t *testing.T) relay.Store) {
	for _, test := range []func(fixture){
		testOwners, testInboxes, testPut, testQuota, testRoomComesBack, testKnock, testPrekeys,
		testForeign, testExpiry, testFetchBatches, testConcurrent, testEndedContext,
		testTokens, testTotals, testWork, testBlock, testOwnersUse, testKnows,
	} {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		t.Run(name[strings.LastIndex(name, ".test")+5:], func(t *testing.T) {
			f := fixture{t, open(t)}
			t.Cleanup(func() { f.Close() })
			for _, owner := range [][32]byte{alice, bob} {
				known, err := f.Owner(t.Context(), owner, t0, relay.Admission{Open: true, Limit: 10})
				if !known || err != nil {
					t.Fatalf("Owner = %v, %v", known, err)
				}
			}
			f.inbox(alice, inbox, false, token)
			test(f)
		})
	}
}

func testOwners(f fixture) {
	ctx := f.Context()
	if known, err := f.Owner(ctx, id(9), t0, relay.Admission{Open: false, Limit: 10}); known || err != nil {
		f.Errorf("a stranger: %v, %v; want false", known, err)
	}
	_, err := f.Owner(ctx, id(9), t0, relay.Admission{Open: true, Limit: 2})
	f.want(err, relay.ErrFull)
	if known, err := f.Owner(ctx, alice, t0, relay.Admission{Open: false, Limit: 2}); !known || err != nil {
		f.Errorf("a registered owner at the limit: %v, %v; want true", known, err)
	}
	f.want(f.CreateInbox(ctx, id(9), relay.InboxParams{ID: id(3)}, 10), relay.ErrNoInbox)
}

func testInboxes(f fixture) {
	ctx := f.Context()
	p := relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}
	f.ok(f.CreateInbox(ctx, alice, p, 1)) // again, at the limit
	f.want(f.CreateInbox(ctx, bob, p, 10), relay.ErrExists)
	p.TokenHash = id(7)
	f.want(f.CreateInbox(ctx, alice, p, 10), relay.ErrExists)
	f.want(f.CreateInbox(ctx, alice, relay.InboxParams{ID: id(3)}, 1), relay.ErrQuota)
	f.put(delivery(inbox, token, []byte("a"), t0))
	f.want(f.DeleteInbox(ctx, bob, inbox), relay.ErrNoInbox)
	f.wantBodies(alice, t0, "a")
	f.ok(f.DeleteInbox(ctx, alice, inbox))
	f.wantBodies(alice, t0)
	_, err := f.Put(ctx, delivery(inbox, token, []byte("b"), t0))
	f.want(err, relay.ErrNoInbox)
	f.want(f.DeleteInbox(ctx, alice, inbox), relay.ErrNoInbox)
}

func testPut(f fixture) {
	ctx := f.Context()
	first := f.put(delivery(inbox, token, []byte("one"), t0))
	if !first.Fresh || first.Owner != alice || !first.StoredAt.Equal(t0) || !first.Expires.Equal(t0.Add(time.Hour)) {
		f.Errorf("Put = %+v", first)
	}
	again := f.put(delivery(inbox, token, []byte("one"), t0.Add(time.Minute)))
	if again.Fresh || again.Owner != alice || !again.StoredAt.Equal(first.StoredAt) || !again.Expires.Equal(first.Expires) {
		f.Errorf("once more: Put = %+v, want the first time's answer", again)
	}
	f.put(delivery(inbox, token, []byte("two"), t0))
	f.wantBodies(alice, t0, "one", "two")
	f.wantBodies(bob, t0)
	for _, d := range []relay.Delivery{
		delivery(inbox, id(8), []byte("x"), t0),   // wrong token
		delivery(id(8), token, []byte("x"), t0),   // no such inbox
		delivery(inbox, id(8), []byte("one"), t0), // nor does it tell what is there
	} {
		_, err := f.Put(ctx, d)
		f.want(err, relay.ErrNoInbox)
	}
	_, err := f.Put(ctx, delivery(inbox, token, make([]byte, 501), t0))
	f.want(err, relay.ErrTooLarge)
	f.wantBodies(alice, t0, "one", "two")
}

func testQuota(f fixture) {
	ctx := f.Context()
	f.put(delivery(inbox, token, bytes.Repeat([]byte("a"), 400), t0))
	_, err := f.Put(ctx, delivery(inbox, token, bytes.Repeat([]byte("b"), 201), t0))
	f.want(err, relay.ErrQuota) // the inbox's bytes
	f.put(delivery(inbox, token, bytes.Repeat([]byte("c"), 200), t0))
	if s := f.put(delivery(inbox, token, bytes.Repeat([]byte("c"), 200), t0)); s.Fresh {
		f.Error("a repetition at the quota is fresh")
	}
	f.inbox(alice, id(3), false, token)
	f.put(delivery(id(3), token, bytes.Repeat([]byte("d"), 400), t0))
	_, err = f.Put(ctx, delivery(id(3), token, []byte("e"), t0))
	f.want(err, relay.ErrQuota) // the owner's bytes

	f.inbox(bob, id(4), false, token)
	for i := range 5 {
		f.put(delivery(id(4), token, fmt.Append(nil, i), t0))
	}
	_, err = f.Put(ctx, delivery(id(4), token, []byte("5"), t0))
	f.want(err, relay.ErrQuota) // the inbox's number
	f.inbox(bob, id(5), false, token)
	for i := range 3 {
		f.put(delivery(id(5), token, fmt.Append(nil, i), t0))
	}
	_, err = f.Put(ctx, delivery(id(5), token, []byte("3"), t0))
	f.want(err, relay.ErrQuota) // the owner's number
}

// Whatever deletes mail gives its room back, once.
func testRoomComesBack(f fixture) {
	ctx := f.Context()
	full := bytes.Repeat([]byte("f"), 500)
	fill := func(now time.Time) {
		f.Helper()
		f.put(delivery(inbox, token, full, now))
		_, err := f.Put(ctx, delivery(inbox, token, full[:200], now))
		f.want(err, relay.ErrQuota)
	}
	for range 3 {
		fill(t0)
		_, seqs := f.bodies(alice, t0)
		f.ok(f.Ack(ctx, alice, append(seqs, seqs...)))
		f.ok(f.Ack(ctx, alice, seqs))
	}
	fill(t0)
	f.ok(f.Expire(ctx, t0.Add(2*time.Hour), t0.Add(-time.Hour)))
	fill(t0)
	f.ok(f.DeleteInbox(ctx, alice, inbox))
	f.inbox(alice, inbox, false, token)
	fill(t0)
	f.inbox(alice, id(3), false, token)
	f.put(delivery(id(3), token, full, t0))
	_, err := f.Put(ctx, delivery(id(3), token, []byte("x"), t0))
	f.want(err, relay.ErrQuota)
}

func testKnock(f fixture) {
	ctx := f.Context()
	box, knock, other := id(5), id(6), id(7)
	f.inbox(alice, box, true, knock)
	_, err := f.Put(ctx, delivery(box, knock, []byte("x"), t0))
	f.want(err, relay.ErrNoInbox) // not opened
	_, err = f.Put(ctx, delivery(box, [32]byte{}, []byte("x"), t0))
	f.want(err, relay.ErrNoInbox)

	hash := relay.TokenHash(knock)
	f.want(f.AllowKnock(ctx, bob, box, hash, t0, t0.Add(time.Hour), 2), relay.ErrNoInbox)
	f.want(f.AllowKnock(ctx, alice, inbox, hash, t0, t0.Add(time.Hour), 2), relay.ErrNoInbox) // a contact's
	f.ok(f.AllowKnock(ctx, alice, box, hash, t0, t0.Add(time.Hour), 2))
	f.ok(f.AllowKnock(ctx, alice, box, relay.TokenHash(other), t0, t0.Add(time.Minute), 2))
	f.want(f.AllowKnock(ctx, alice, box, id(9), t0, t0.Add(time.Hour), 2), relay.ErrQuota)
	f.ok(f.AllowKnock(ctx, alice, box, id(9), t0.Add(time.Minute), t0.Add(time.Hour), 2)) // other has expired

	big := limits
	big.MaxBlob, big.InboxBytes, big.OwnerBytes, big.InboxBlobs, big.OwnerBlobs = 1<<20, 1<<30, 1<<30, 100, 100
	knockWith := func(tok [32]byte, blob []byte, now time.Time) (relay.Stored, error) {
		d := delivery(box, tok, blob, now)
		d.Limits = big
		return f.Put(ctx, d)
	}
	_, err = knockWith(other, []byte("late"), t0.Add(time.Minute))
	f.want(err, relay.ErrNoInbox)
	for i := range relay.KnockBlobs {
		_, err := knockWith(knock, fmt.Append(nil, i), t0)
		f.ok(err)
	}
	_, err = knockWith(knock, []byte("one more"), t0)
	f.want(err, relay.ErrQuota)
	s, err := knockWith(knock, []byte("0"), t0)
	if err != nil || s.Fresh {
		f.Errorf("a repetition = %+v, %v", s, err)
	}
	_, seqs := f.bodies(alice, t0)
	f.ok(f.Ack(ctx, alice, seqs))
	_, err = knockWith(knock, []byte("one more"), t0)
	f.want(err, relay.ErrQuota) // for good, not at a time

	_, err = knockWith(other, make([]byte, 1<<20), t0)
	f.ok(err)
	for i := range 7 {
		_, err = knockWith(other, bytes.Repeat([]byte{byte(i + 1)}, 1<<20), t0)
		f.ok(err)
	}
	_, err = knockWith(other, []byte("a byte"), t0)
	f.want(err, relay.ErrQuota)
}

func testPrekeys(f fixture) {
	ctx := f.Context()
	box, knock := id(5), id(6)
	hash := relay.TokenHash(knock)
	f.inbox(alice, box, true, knock)
	f.ok(f.AllowKnock(ctx, alice, box, hash, t0, t0.Add(time.Hour), 2))
	_, _, err := f.TakePrekeys(ctx, box, hash, t0)
	f.want(err, relay.ErrNoPrekeys)

	keys := func(from, to uint32) (all []relay.SealedOneTime) {
		for i := from; i < to; i++ {
			all = append(all, relay.SealedOneTime{ID: i, Blob: fmt.Append(nil, "key ", i)})
		}
		return all
	}
	f.want(f.PutPrekeys(ctx, bob, box, false, []byte("bob's"), nil, 30), relay.ErrNoInbox)
	f.ok(f.PutPrekeys(ctx, alice, box, false, []byte("bundle"), keys(0, 20), 30))
	f.ok(f.PutPrekeys(ctx, alice, box, false, []byte("bundle 2"), keys(15, 25), 25))
	f.want(f.PutPrekeys(ctx, alice, box, false, []byte("bundle 3"), keys(24, 26), 25), relay.ErrQuota)
	if n, err := f.PrekeyCount(ctx, alice, box); n != 25 || err != nil {
		f.Errorf("PrekeyCount = %d, %v; want 25", n, err)
	}
	_, err = f.PrekeyCount(ctx, bob, box)
	f.want(err, relay.ErrNoInbox)

	_, _, err = f.TakePrekeys(ctx, box, relay.TokenHash(id(9)), t0)
	f.want(err, relay.ErrNoInbox)
	_, _, err = f.TakePrekeys(ctx, box, hash, t0.Add(time.Hour))
	f.want(err, relay.ErrNoInbox)
	seen := map[string]bool{}
	for i := range relay.KnockBlobs + 2 {
		bundle, one, err := f.TakePrekeys(ctx, box, hash, t0)
		if err != nil || string(bundle) != "bundle 2" {
			f.Fatalf("TakePrekeys = %q, %v", bundle, err)
		}
		if i >= relay.KnockBlobs && one != nil {
			f.Errorf("one knock got %d one-time prekeys", i+1)
		}
		if i < relay.KnockBlobs && (one == nil || seen[string(one)]) {
			f.Errorf("one-time prekey %q handed out twice", one)
		}
		seen[string(one)] = true
	}
	f.ok(f.PutPrekeys(ctx, alice, box, false, []byte("bundle 2"), keys(0, relay.KnockBlobs), 25)) // repeated
	if n, err := f.PrekeyCount(ctx, alice, box); n != 25-relay.KnockBlobs || err != nil {
		f.Errorf("what was handed out came back: PrekeyCount = %d, %v; want %d", n, err, 25-relay.KnockBlobs)
	}
	f.ok(f.PutPrekeys(ctx, alice, box, true, []byte("new"), keys(1, 2), 25))
	if n, err := f.PrekeyCount(ctx, alice, box); n != 1 || err != nil {
		f.Errorf("after a replacement: PrekeyCount = %d, %v; want 1", n, err)
	}

	// A contact's inbox serves the holder of its delivery token.
	f.ok(f.PutPrekeys(ctx, alice, inbox, false, []byte("contact's"), keys(0, 1), 25))
	for i, want := range []string{"key 0", ""} {
		bundle, one, err := f.TakePrekeys(ctx, inbox, relay.TokenHash(token), t0)
		if err != nil || string(bundle) != "contact's" || string(one) != want {
			f.Errorf("take %d = %q, %q, %v; want %q", i, bundle, one, err, want)
		}
	}
}

// An acknowledgement deletes its owner's mail only.
func testForeign(f fixture) {
	f.inbox(bob, id(4), false, token)
	f.put(delivery(inbox, token, []byte("alice's"), t0))
	f.put(delivery(id(4), token, []byte("bob's"), t0))
	var all []uint64
	for n := range uint64(100) {
		all = append(all, n)
	}
	f.ok(f.Ack(f.Context(), bob, append(all, 1<<63, 1<<64-1)))
	f.wantBodies(bob, t0)
	f.wantBodies(alice, t0, "alice's")
}

func testExpiry(f fixture) {
	ctx := f.Context()
	f.put(delivery(inbox, token, []byte("old"), t0))
	f.put(delivery(inbox, token, []byte("new"), t0.Add(time.Minute)))
	f.wantBodies(alice, t0.Add(time.Hour-1), "old", "new")
	f.wantBodies(alice, t0.Add(time.Hour), "new") // before anything deleted it
	f.ok(f.Expire(ctx, t0.Add(time.Hour), t0.Add(-24*time.Hour)))
	f.wantBodies(alice, t0, "new")

	later := t0.Add(400 * 24 * time.Hour)
	if known, err := f.Owner(ctx, bob, later, relay.Admission{Open: false, Limit: 10}); !known || err != nil {
		f.Errorf("Owner = %v, %v", known, err)
	}
	f.ok(f.Expire(ctx, t0, later.Add(-365*24*time.Hour)))
	if known, err := f.Owner(ctx, alice, later, relay.Admission{Open: false, Limit: 10}); known || err != nil {
		f.Errorf("an owner not seen for a year: %v, %v; want false", known, err)
	}
	if known, err := f.Owner(ctx, bob, later, relay.Admission{Open: false, Limit: 10}); !known || err != nil {
		f.Errorf("an owner seen today: %v, %v; want true", known, err)
	}
	_, err := f.Put(ctx, delivery(inbox, token, []byte("x"), t0))
	f.want(err, relay.ErrNoInbox)
}

func testFetchBatches(f fixture) {
	ctx := f.Context()
	for i := range 5 {
		f.put(delivery(inbox, token, bytes.Repeat([]byte{'a' + byte(i)}, 100), t0))
	}
	var got strings.Builder
	var after uint64
	for _, tt := range []struct{ limit, maxBytes, want int }{{2, 1000, 2}, {9, 99, 1}, {9, 200, 2}, {9, 1000, 0}} {
		mail, err := f.Fetch(ctx, alice, after, t0, tt.limit, tt.maxBytes)
		f.ok(err)
		if len(mail) != tt.want {
			f.Errorf("limit %d, %d bytes: %d blobs, want %d", tt.limit, tt.maxBytes, len(mail), tt.want)
		}
		for _, m := range mail {
			if m.Seq <= after || m.Inbox != inbox || !m.StoredAt.Equal(t0) {
				f.Errorf("mail = %d, %x, %v", m.Seq, m.Inbox, m.StoredAt)
			}
			after = m.Seq
			got.WriteByte(m.Blob[0])
		}
	}
	if got.String() != "abcde" {
		f.Errorf("order = %s, want abcde", got.String())
	}
	// Numbers are not used again, or an old acknowledgement could delete.
	f.ok(f.Ack(ctx, alice, []uint64{after}))
	f.put(delivery(inbox, token, []byte("f"), t0))
	if mail, err := f.Fetch(ctx, alice, after, t0, 9, 1000); err != nil || len(mail) != 1 {
		f.Errorf("after the last was acknowledged: %d new blobs, %v; want 1", len(mail), err)
	}
}

func testConcurrent(f fixture) {
	l := limits
	l.OwnerBytes, l.InboxBytes, l.InboxBlobs, l.OwnerBlobs = 1<<20, 1<<20, 1000, 1000
	const senders, each = 8, 25
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				d := delivery(inbox, token, fmt.Append(nil, s, " ", i), t0)
				d.Limits = l
				if i%5 == 4 { // refusals between deliveries of the same commit
					d.TokenHash = id(9)
				}
				if _, err := f.Put(f.Context(), d); err != nil != (i%5 == 4) {
					f.Errorf("sender %d, blob %d: err = %v", s, i, err)
				}
			}
		})
	}
	wg.Wait()
	if got, _ := f.bodies(alice, t0); len(got) != 100 {
		f.Errorf("%d blobs, want the first 100", len(got))
	}
	mail, err := f.Fetch(f.Context(), alice, 100, t0, 1000, 1<<20)
	if err != nil || len(mail) != senders*each*4/5-100 {
		f.Errorf("%d blobs after the first 100, %v; want %d", len(mail), err, senders*each*4/5-100)
	}
}

func testEndedContext(f fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if _, err := f.Put(ctx, delivery(inbox, token, []byte("x"), t0)); err != nil && !errors.Is(err, context.Canceled) {
		f.Errorf("err = %v, want none or context.Canceled", err)
	}
	f.put(delivery(inbox, token, []byte("y"), t0)) // the store lives on
}
