package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

const contextOwner = "SREMP v1 relay owner"

// ask sends one frame and returns the answer, an error frame as its code.
func ask(t testing.TB, c *transport.Conn, typ uint16, payload []byte) (uint16, []byte) {
	t.Helper()
	s := must[*transport.Stream](t)(c.OpenStream(timeout(t)))
	ok(t, transport.WriteFrame(s, typ, payload))
	s.Close() // fails if the relay has answered and stopped reading
	s.SetDeadline(time.Now().Add(30 * time.Second))
	got, answer, err := transport.ReadFrame(s, wire.MaxRelayFrame)
	ok(t, err)
	return got, answer
}

func wantCode(t testing.TB, what string, typ uint16, answer []byte, want uint16) {
	t.Helper()
	e, err := wire.ParseRelayError(answer)
	if typ != wire.FrameRelayError || err != nil || e.Code != want {
		t.Errorf("%s: frame %#04x %x, want error %d", what, typ, answer, want)
	}
}

func proof(t testing.TB, ownerSeed byte, server, binding [32]byte) wire.RelayAuth {
	k := owner(t, ownerSeed)
	a := wire.RelayAuth{Owner: k.Public()}
	a.Signature = k.Sign(contextOwner, a.Signed(server, binding))
	return a
}

// Spec §6.3: a proof of ownership is worth nothing on another connection, at
// another server, or with anything in it changed.
func TestAuthenticationIsBound(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	alice := r.dial(t, 1)
	ok(t, alice.CreateInbox(timeout(t), contactInbox(inbox)))

	c, other := r.raw(t), r.raw(t)
	good := proof(t, 1, r.addr.ID, c.Binding())
	otherServer := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xfe))).ID()
	mallory := owner(t, 3).Public()

	token := good
	token.Token = []byte("x")
	stolen := good
	stolen.Owner = mallory
	context := good
	context.Signature = owner(t, 1).Sign("SREMP v1 relay receipt", good.Signed(r.addr.ID, c.Binding()))
	identityPoint := wire.RelayAuth{Owner: [32]byte{1}, Signature: [64]byte{1}}
	for _, tt := range []struct {
		what string
		auth wire.RelayAuth
	}{
		{"for another connection", proof(t, 1, r.addr.ID, other.Binding())},
		{"for another server", proof(t, 1, otherServer, c.Binding())},
		{"with a token added", token},
		{"with another owner", stolen},
		{"in another context", context},
		{"by the identity point", identityPoint},
	} {
		typ, answer := ask(t, c, wire.FrameRelayAuth, tt.auth.Append(nil))
		wantCode(t, tt.what, typ, answer, 2)
		typ, answer = ask(t, c, wire.FrameInboxDelete, wire.InboxName{ID: inbox}.Append(nil))
		wantCode(t, "and then delete", typ, answer, 2)
	}
	if typ, _ := ask(t, c, wire.FrameRelayAuth, good.Append(nil)); typ != wire.FrameRelayTerms {
		t.Errorf("a good proof: frame %#04x", typ)
	}
	typ, answer := ask(t, c, wire.FrameRelayAuth, good.Append(nil))
	wantCode(t, "twice on one connection", typ, answer, 1)
	typ, answer = ask(t, other, wire.FrameRelayAuth, good.Append(nil))
	wantCode(t, "replayed", typ, answer, 2)
	if got := r.Counters().FailedProofs; got != 7 {
		t.Errorf("%d failed proofs, want 7", got)
	}
}

func TestNothingBeforeAuthentication(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	c := r.raw(t)
	for _, f := range requests() {
		if f.anonymous {
			continue
		}
		typ, answer := ask(t, c, f.typ, f.payload)
		wantCode(t, fmt.Sprintf("frame %#04x", f.typ), typ, answer, 2)
	}
}

// A stranger's acknowledgement deletes nothing of ours, whatever it names.
func TestForeignAckAndDelete(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	alice, mallory := r.dial(t, 1), r.dial(t, 3)
	ctx := timeout(t)
	ok(t, alice.CreateInbox(ctx, contactInbox(inbox)))
	must[relay.Receipt](t)(r.sender(t).Store(ctx, inbox, token, []byte("mine")))
	seq := next(t, alice).Seq
	ok(t, mallory.Ack(ctx, []uint64{0, seq, seq + 1}))
	for what, err := range map[string]error{
		"delete":      mallory.DeleteInbox(ctx, inbox),
		"allow knock": mallory.AllowKnock(ctx, inbox, knock, time.Now().Add(time.Hour)),
		"prekeys":     mallory.PutPrekeys(ctx, inbox, []byte("evil"), nil),
	} {
		if !errors.Is(err, relay.ErrNoInbox) {
			t.Errorf("%s: err = %v, want ErrNoInbox", what, err)
		}
	}
	alice.Close()
	if m := next(t, r.dial(t, 1)); string(m.Blob) != "mine" {
		t.Errorf("mail = %q, want mine", m.Blob)
	}
}

func TestAdmission(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Tokens: []string{"friends", "family"}, Limits: relay.Limits{Owners: 2}})
	dial := func(ownerSeed byte, token string) error {
		c, err := relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, owner(t, ownerSeed), token)
		if err == nil {
			c.Close()
		}
		return err
	}
	for _, tt := range []struct {
		owner byte
		token string
		want  error
	}{
		{1, "", relay.ErrAdmission}, {1, "friend", relay.ErrAdmission}, {1, strings.Repeat("x", 300), relay.ErrAdmission},
		{1, "friends", nil}, {1, "", nil}, {2, "family", nil}, {3, "family", relay.ErrFull},
	} {
		if err := dial(tt.owner, tt.token); !errors.Is(err, tt.want) {
			t.Errorf("owner %d, token %q: err = %v, want %v", tt.owner, tt.token, err, tt.want)
		}
	}
}

type frame struct {
	typ       uint16
	payload   []byte
	anonymous bool
}

func requests() []frame {
	return []frame{
		{wire.FrameInboxCreate, wire.InboxCreate{ID: [32]byte{7}}.Append(nil), false},
		{wire.FrameInboxDelete, wire.InboxName{}.Append(nil), false},
		{wire.FrameKnockAllow, wire.KnockAllow{}.Append(nil), false},
		{wire.FramePrekeysPut, wire.PrekeysPut{Bundle: []byte("x")}.Append(nil), false},
		{wire.FramePrekeyCount, wire.InboxName{}.Append(nil), false},
		{wire.FrameSubscribe, nil, false},
		{wire.FrameMailAck, wire.MailAck{Seqs: []uint64{1}}.Append(nil), false},
		{wire.FrameForwardOpen, nil, false},
		{wire.FrameForwardJoin, wire.ForwardJoin{}.Append(nil), false},
		{wire.FrameWorkAllow, wire.WorkAllow{Inbox: inbox, Bits: 20}.Append(nil), false},
		{wire.FrameWorkAsk, wire.InboxName{ID: inbox}.Append(nil), true},
		{wire.FrameWorkDeliver, wire.WorkDeliver{Inbox: inbox, Blob: []byte("x")}.Append(nil), true},
		{wire.FrameWorkBundle, wire.WorkBundle{Inbox: inbox}.Append(nil), true},
		{wire.FrameDeliver, wire.Deliver{Blob: []byte("x")}.Append(nil), true},
		{wire.FramePrekeysTake, wire.PrekeysTake{}.Append(nil), true},
	}
}

// Every prefix of every request, and bytes after its end, are refused; so are
// frames that are no requests. The connection and the server live on.
func TestHostileRequests(t *testing.T) {
	limits := relay.Limits{Requests: 1e6, RequestBurst: 1e6}
	r := newRelay(t, relay.ServerConfig{Limits: limits})
	c := r.raw(t)
	typ, _ := ask(t, c, wire.FrameRelayAuth, proof(t, 1, r.addr.ID, c.Binding()).Append(nil))
	if typ != wire.FrameRelayTerms {
		t.Fatalf("frame %#04x", typ)
	}
	all := append(requests(), frame{wire.FrameRelayAuth, proof(t, 1, r.addr.ID, c.Binding()).Append(nil), true})
	for _, f := range all {
		for n := range f.payload {
			typ, answer := ask(t, c, f.typ, f.payload[:n])
			wantCode(t, fmt.Sprintf("frame %#04x, %d bytes", f.typ, n), typ, answer, 1)
		}
		typ, answer := ask(t, c, f.typ, append(bytes.Clone(f.payload), 0))
		wantCode(t, fmt.Sprintf("frame %#04x with a trailing byte", f.typ), typ, answer, 1)
	}
	for _, typ := range []uint16{0, 0x00ff, wire.FrameRelayOK, wire.FrameMail, wire.FrameReceipt, 0x01ff, 0x0200, 0xffff} {
		got, answer := ask(t, c, typ, []byte("x"))
		wantCode(t, fmt.Sprintf("frame %#04x", typ), got, answer, 1)
	}

	// A frame that claims 16 MiB, one that is cut, one that never comes.
	s := must[*transport.Stream](t)(c.OpenStream(timeout(t)))
	must[int](t)(s.Write([]byte{0x01, 0x20, 0xff, 0xff, 0xff}))
	_, answer, err := transport.ReadFrame(s, 1000)
	ok(t, err)
	wantCode(t, "16 MiB", wire.FrameRelayError, answer, 6)
	s = must[*transport.Stream](t)(c.OpenStream(timeout(t)))
	must[int](t)(s.Write([]byte{0x01, 0x20, 0x00, 0x01, 0x00, 1, 2, 3}))
	ok(t, s.Close())
	if _, err := io.ReadAll(s); err == nil {
		t.Error("a cut frame was answered")
	}
	if typ, _ := ask(t, c, wire.FrameForwardOpen, nil); typ != wire.FrameForwardLeg {
		t.Errorf("after all that: frame %#04x, want %#04x", typ, wire.FrameForwardLeg)
	}
}

// A request that does not come, and a stranger who asks nothing, are cut off.
func TestSlowAndIdle(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Limits: relay.Limits{RequestTime: 50 * time.Millisecond}})
	s := must[*transport.Stream](t)(r.raw(t).OpenStream(timeout(t)))
	must[int](t)(s.Write([]byte{0x01}))
	s.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("half a header: err = %v, want a reset", err)
	}

	r = newRelay(t, relay.ServerConfig{Limits: relay.Limits{AnonymousIdle: 50 * time.Millisecond}})
	owned := r.dial(t, 1)
	idle := r.raw(t)
	select {
	case <-idle.Done():
	case <-timeout(t).Done():
		t.Error("an idle stranger was kept")
	}
	if err := owned.Err(); err != nil {
		t.Errorf("the idle owner was closed: %v", err)
	}
}

func TestConnectionLimit(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Limits: relay.Limits{ConnsPerPrefix: 2}})
	first := r.dial(t, 1)
	second := r.sender(t)
	if _, err := relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, owner(t, 2), ""); err == nil {
		t.Error("the third connection of an address was served")
	}
	ok(t, first.CreateInbox(timeout(t), contactInbox(inbox)))
	must[relay.Receipt](t)(second.Store(timeout(t), inbox, token, []byte("x")))
	if got := r.Counters().RefusedConns; got != 1 {
		t.Errorf("%d connections refused, want 1", got)
	}
}

func TestRequestLimit(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{Limits: relay.Limits{Requests: 0.001, RequestBurst: 3}})
	s := r.sender(t)
	for i, want := range []error{relay.ErrNoInbox, relay.ErrNoInbox, relay.ErrNoInbox, relay.ErrBusy} {
		if _, err := s.Store(timeout(t), inbox, token, []byte("x")); !errors.Is(err, want) {
			t.Errorf("request %d: err = %v, want %v", i, err, want)
		}
	}
}

// Close ends what is under way and takes nobody new.
func TestServerClose(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	alice := r.dial(t, 1)
	ok(t, r.Close())
	select {
	case <-alice.Done():
	case <-timeout(t).Done():
		t.Fatal("a connection outlived the server")
	}
	if _, open := <-alice.Mail(); open {
		t.Error("mail after the end")
	}
	if alice.Err() == nil {
		t.Error("no error after the end")
	}
	if c := r.Counters(); c.Conns != 0 || c.Owners != 0 {
		t.Errorf("counters after Close = %+v", c)
	}
	ctx, cancel := context.WithCancel(timeout(t))
	cancel()
	if err := alice.CreateInbox(ctx, contactInbox(inbox)); err == nil {
		t.Error("a closed connection works")
	}
}

// Logs name nobody: no address, key, inbox or token, in any form.
func TestLogsNameNobody(t *testing.T) {
	var log syncBuffer
	base := newRelay(t, relay.ServerConfig{})
	ws := &watchedStore{Store: base.store}
	boom := errors.New("boom")
	ws.fail.Store(&boom)
	r := newRelay(t, relay.ServerConfig{
		Store: ws, Limits: relay.Limits{ConnsPerPrefix: 2},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	alice := r.dial(t, 1)
	ok(t, alice.CreateInbox(timeout(t), contactInbox(inbox)))
	if _, err := r.sender(t).Store(timeout(t), inbox, token, []byte("x")); err == nil {
		t.Fatal("stored")
	}
	text := log.String()
	if !strings.Contains(text, "boom") {
		t.Errorf("a failing store was not logged: %q", text)
	}
	public := owner(t, 1).Public()
	for _, secret := range []string{
		"127.0.0.1", fmt.Sprintf("%x", public[:4]), fmt.Sprint(public[:4]), fmt.Sprintf("%x", inbox[:4]), fmt.Sprint(inbox[:4]),
		fmt.Sprintf("%x", token[:4]), fmt.Sprint(binary.BigEndian.Uint32(public[:])),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the log contains %q:\n%s", secret, text)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
