package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Mail waits for its owner, is pushed when he is there, comes again until it is
// acknowledged, and then never.
func TestMail(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	alice := r.dial(t, 1)
	if terms := alice.Terms(); terms.MaxBlob != wire.MaxBlob || terms.TTL != 30*24*time.Hour || terms.QuotaBytes != 256<<20 {
		t.Errorf("terms = %+v", terms)
	}
	ok(t, alice.CreateInbox(timeout(t), contactInbox(inbox)))
	alice.Close()
	if m, open := <-alice.Mail(); open {
		t.Errorf("mail %v after Close", m)
	}

	s := r.sender(t)
	blobs := [][]byte{[]byte("first"), bytes.Repeat([]byte{7}, wire.MaxBlob), []byte("third")}
	for _, b := range blobs[:2] {
		receipt := must[relay.Receipt](t)(s.Store(timeout(t), inbox, token, b))
		again := must[relay.Receipt](t)(s.Store(timeout(t), inbox, token, b))
		if !bytes.Equal(receipt.Encoded, again.Encoded) || receipt.Hash != sha256.Sum256(b) || receipt.Expires.Sub(receipt.StoredAt) != 30*24*time.Hour {
			t.Errorf("receipts = %+v, %+v", receipt, again)
		}
	}
	alice = r.dial(t, 1)
	first, second := next(t, alice), next(t, alice)
	if !bytes.Equal(first.Blob, blobs[0]) || !bytes.Equal(second.Blob, blobs[1]) || first.Inbox != inbox || first.Hash != sha256.Sum256(blobs[0]) {
		t.Error("waiting mail is not what was stored")
	}
	must[relay.Receipt](t)(s.Store(timeout(t), inbox, token, blobs[2]))
	if third := next(t, alice); string(third.Blob) != "third" {
		t.Errorf("pushed %q, want third", third.Blob)
	}
	ok(t, alice.Ack(timeout(t), []uint64{first.Seq, second.Seq}))
	ok(t, alice.Ack(timeout(t), []uint64{first.Seq, 999}))
	alice.Close()

	alice = r.dial(t, 1)
	if m := next(t, alice); string(m.Blob) != "third" {
		t.Errorf("after acknowledgement and redial: %q, want third", m.Blob)
	}
	if c := r.Counters(); c.Stored != 3 {
		t.Errorf("%d blobs stored, want 3", c.Stored)
	}
}

func TestManyBlobsInOrder(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	alice, s := r.dial(t, 1), r.sender(t)
	ok(t, alice.CreateInbox(timeout(t), contactInbox(inbox)))
	done := make(chan error, 1)
	go func() {
		for i := range 200 {
			if _, err := s.Store(t.Context(), inbox, token, fmt.Append(nil, i)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var seqs []uint64
	for i := range 200 {
		m := next(t, alice)
		if string(m.Blob) != fmt.Sprint(i) {
			t.Fatalf("mail %d is %q", i, m.Blob)
		}
		seqs = append(seqs, m.Seq)
	}
	ok(t, <-done)
	ok(t, alice.Ack(timeout(t), slices.Repeat(seqs, 12))) // in several frames
}

func TestRefusals(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Limits: relay.Limits{InboxBlobs: 1, Inboxes: 2, MaxBlob: 100}})
	alice, s := r.dial(t, 1), r.sender(t)
	ctx := timeout(t)
	ok(t, alice.CreateInbox(ctx, contactInbox(inbox)))
	store := func(box, tok [32]byte, n int) error {
		_, err := s.Store(ctx, box, tok, bytes.Repeat([]byte{byte(n)}, n))
		return err
	}
	for _, tt := range []struct {
		what string
		got  error
		want error
	}{
		{"no such inbox", store([32]byte{9}, token, 1), relay.ErrNoInbox},
		{"wrong token", store(inbox, [32]byte{9}, 1), relay.ErrNoInbox},
		{"the token's hash", store(inbox, relay.TokenHash(token), 1), relay.ErrNoInbox},
		{"over the relay's limit", store(inbox, token, 101), relay.ErrTooLarge},
		{"over the protocol's limit", store(inbox, token, wire.MaxBlob+1), relay.ErrTooLarge},
		{"nothing", store(inbox, token, 0), relay.ErrTooLarge},
		{"first", store(inbox, token, 1), nil},
		{"second", store(inbox, token, 2), relay.ErrQuota},
		{"second inbox", alice.CreateInbox(ctx, contactInbox([32]byte{8})), nil},
		{"third inbox", alice.CreateInbox(ctx, contactInbox([32]byte{9})), relay.ErrQuota},
		{"somebody's inbox", r.dial(t, 2).CreateInbox(ctx, contactInbox(inbox)), relay.ErrExists},
		{"no such inbox to delete", alice.DeleteInbox(ctx, [32]byte{77}), relay.ErrNoInbox},
		{"delete", alice.DeleteInbox(ctx, inbox), nil},
		{"deleted", store(inbox, token, 3), relay.ErrNoInbox},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: err = %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}

func TestKnocksAndPrekeys(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	alice, s := r.dial(t, 1), r.sender(t)
	ctx := timeout(t)
	ok(t, alice.CreateInbox(ctx, relay.InboxParams{ID: inbox, Knock: true}))
	if _, err := s.Store(ctx, inbox, knock, []byte("x")); !errors.Is(err, relay.ErrNoInbox) {
		t.Errorf("before AllowKnock: err = %v, want ErrNoInbox", err)
	}
	ok(t, alice.AllowKnock(ctx, inbox, knock, time.Now().Add(time.Hour)))
	ok(t, alice.AllowKnock(ctx, inbox, [32]byte{8}, time.Now().Add(-time.Second)))
	if _, err := s.Store(ctx, inbox, [32]byte{8}, []byte("x")); !errors.Is(err, relay.ErrNoInbox) {
		t.Errorf("expired knock: err = %v, want ErrNoInbox", err)
	}
	if _, _, err := s.FetchPrekeys(ctx, inbox, knock); !errors.Is(err, relay.ErrNoPrekeys) {
		t.Errorf("no prekeys: err = %v, want ErrNoPrekeys", err)
	}
	var keys []relay.SealedOneTime
	for i := range uint32(200) { // two frames
		keys = append(keys, relay.SealedOneTime{ID: i, Blob: bytes.Repeat([]byte{byte(i)}, 1500)})
	}
	ok(t, alice.PutPrekeys(ctx, inbox, []byte("bundle"), keys))
	if n, err := alice.PrekeyCount(ctx, inbox); n != 200 || err != nil {
		t.Errorf("PrekeyCount = %d, %v; want 200", n, err)
	}
	for i := range byte(2) {
		bundle, one, err := s.FetchPrekeys(ctx, inbox, knock)
		if err != nil || string(bundle) != "bundle" || !bytes.Equal(one, bytes.Repeat([]byte{i}, 1500)) {
			t.Errorf("FetchPrekeys = %q, %d bytes, %v", bundle, len(one), err)
		}
	}
	ok(t, alice.ReplacePrekeys(ctx, inbox, []byte("new"), nil))
	bundle, one, err := s.FetchPrekeys(ctx, inbox, knock)
	if err != nil || string(bundle) != "new" || one != nil {
		t.Errorf("after ReplacePrekeys: %q, %q, %v", bundle, one, err)
	}
	if _, _, err := s.FetchPrekeys(ctx, inbox, [32]byte{9}); !errors.Is(err, relay.ErrNoInbox) {
		t.Errorf("wrong knock: err = %v, want ErrNoInbox", err)
	}
	for i := range relay.KnockBlobs {
		must[relay.Receipt](t)(s.Store(ctx, inbox, knock, fmt.Append(nil, i)))
	}
	if _, err := s.Store(ctx, inbox, knock, []byte("17th")); !errors.Is(err, relay.ErrQuota) {
		t.Errorf("the 17th knock: err = %v, want ErrQuota", err)
	}
}

// A store that fails, or says when it has committed.
type watchedStore struct {
	relay.Store
	fail      atomic.Pointer[error]
	committed atomic.Bool
}

func (s *watchedStore) Put(ctx context.Context, d relay.Delivery) (relay.Stored, error) {
	if err := s.fail.Load(); err != nil {
		return relay.Stored{}, *err
	}
	stored, err := s.Store.Put(ctx, d)
	s.committed.Store(err == nil)
	return stored, err
}

// A receipt is the relay's word: never before the commit, never without it.
func TestReceiptAfterCommit(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	ok(t, r.dial(t, 1).CreateInbox(timeout(t), contactInbox(inbox)))
	ws := &watchedStore{Store: r.store}
	r2 := newRelay(t, relay.ServerConfig{Store: ws})
	s := r2.sender(t)
	must[relay.Receipt](t)(s.Store(timeout(t), inbox, token, []byte("x")))
	if !ws.committed.Load() {
		t.Error("a receipt before the commit")
	}
	for _, tt := range []struct{ fail, want error }{
		{errors.New("the disk is on fire: /var/lib/secret"), relay.ErrServer},
		{fmt.Errorf("%w: no space left", relay.ErrFull), relay.ErrFull},
	} {
		ws.fail.Store(&tt.fail)
		if _, err := s.Store(timeout(t), inbox, token, []byte("y")); !errors.Is(err, tt.want) || err.Error() != tt.want.Error() {
			t.Errorf("Put fails with %v: err = %v, want exactly %v", tt.fail, err, tt.want)
		}
	}
}

func TestReceiptForged(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	ok(t, r.dial(t, 1).CreateInbox(timeout(t), contactInbox(inbox)))
	blob := []byte("blob")
	receipt := must[relay.Receipt](t)(r.sender(t).Store(timeout(t), inbox, token, blob))
	hash := sha256.Sum256(blob)
	if _, err := relay.CheckReceipt(r.addr.ID, inbox, hash, receipt.Encoded); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, server identity.ServerID, box, h [32]byte, encoded []byte) {
		t.Helper()
		if _, err := relay.CheckReceipt(server, box, h, encoded); !errors.Is(err, relay.ErrReceipt) {
			t.Errorf("%s: err = %v, want ErrReceipt", what, err)
		}
	}
	other := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xfe)))
	refused("another server's", other.ID(), inbox, hash, receipt.Encoded)
	refused("for another inbox", r.addr.ID, [32]byte{9}, hash, receipt.Encoded)
	refused("for another blob", r.addr.ID, inbox, [32]byte{9}, receipt.Encoded)
	for i := range receipt.Encoded {
		refused("a prefix", r.addr.ID, inbox, hash, receipt.Encoded[:i])
		bad := bytes.Clone(receipt.Encoded)
		bad[i] ^= 1
		refused(fmt.Sprint("byte ", i, " changed"), r.addr.ID, inbox, hash, bad)
	}
	parsed := must[wire.Receipt](t)(wire.ParseReceipt(receipt.Encoded))
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	parsed.Signature = key.Sign("SREMP v1 relay owner", parsed.Signed())
	refused("signed in another context", r.addr.ID, inbox, hash, parsed.Append(nil))
}

// A call ends with its context, not with the relay's patience.
func TestCallsEndWithTheirContext(t *testing.T) {
	block := make(chan struct{})
	ws := &blockingStore{block: block, entered: make(chan struct{})}
	r := newRelay(t, relay.ServerConfig{Store: ws.open(t)})
	defer close(block)
	s := r.sender(t)
	ctx, cancel := context.WithCancel(timeout(t))
	go func() { <-ws.entered; cancel() }()
	if _, err := s.Store(ctx, inbox, token, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

type blockingStore struct {
	relay.Store
	block   chan struct{}
	entered chan struct{}
}

func (s *blockingStore) open(t *testing.T) relay.Store {
	r := newRelay(t, relay.ServerConfig{})
	s.Store = r.store
	return s
}

func (s *blockingStore) Put(ctx context.Context, _ relay.Delivery) (relay.Stored, error) {
	close(s.entered)
	select {
	case <-s.block:
	case <-ctx.Done():
	}
	return relay.Stored{}, relay.ErrServer
}

func TestWrongServerKey(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	wrong := r.addr
	wrong.ID = must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xfe))).ID()
	if _, err := relay.Dial(timeout(t), endpoint(t, transport.Config{}), wrong, owner(t, 1), ""); !errors.Is(err, transport.ErrServerKey) {
		t.Errorf("Dial: err = %v, want ErrServerKey", err)
	}
	if _, err := relay.DialSender(timeout(t), endpoint(t, transport.Config{}), wrong); !errors.Is(err, transport.ErrServerKey) {
		t.Errorf("DialSender: err = %v, want ErrServerKey", err)
	}
}
