package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A said is a stream whose other end has said everything that it will.
type said struct {
	io.Reader
	out bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) { return s.out.Write(b) }
func (*said) Close() error                  { return nil }
func (*said) SetDeadline(time.Time) error   { return nil }
func (*said) CancelRead(uint64)             {}
func (*said) CancelWrite(uint64)            {}

// A script is a connection on which every stream gets the next line.
type script struct {
	lines [][]byte
	done  chan struct{}
}

func (c *script) OpenStream(context.Context) (stream, error) {
	if len(c.lines) == 0 {
		return nil, io.EOF
	}
	s := &said{Reader: bytes.NewReader(c.lines[0])}
	c.lines = c.lines[1:]
	return s, nil
}

func (c *script) AcceptStream(ctx context.Context) (stream, error) { return c.OpenStream(ctx) }
func (*script) Binding() [32]byte                                  { return [32]byte{1} }
func (*script) RemoteAddr() netip.AddrPort                         { return netip.MustParseAddrPort("192.0.2.1:1") }
func (c *script) Done() <-chan struct{}                            { return c.done }
func (*script) Err() error                                         { return nil }
func (*script) Close(uint64, string) error                         { return nil }

// A yesStore agrees to everything and remembers nothing.
type yesStore struct{ Store }

func (yesStore) Owner(context.Context, [32]byte, time.Time, Admission) (bool, error) {
	return true, nil
}
func (yesStore) CreateInbox(context.Context, [32]byte, InboxParams, int) error { return nil }
func (yesStore) DeleteInbox(_ context.Context, _, _ [32]byte) error            { return nil }
func (yesStore) AllowKnock(_ context.Context, _, _, _ [32]byte, _, _ time.Time, _ int) error {
	return nil
}
func (yesStore) AllowWork(_ context.Context, _, _ [32]byte, _ uint8) error   { return nil }
func (yesStore) WorkBits(context.Context, [32]byte) (uint8, error)           { return 20, nil }
func (yesStore) TakeBundle(context.Context, [32]byte, uint8) ([]byte, error) { return []byte{1}, nil }
func (yesStore) PrekeyCount(_ context.Context, _, _ [32]byte) (int, error)   { return 1, nil }
func (yesStore) Ack(context.Context, [32]byte, []uint64) error               { return nil }
func (yesStore) Expire(_ context.Context, _, _ time.Time) error              { return nil }
func (yesStore) Blocked(context.Context) ([][32]byte, error)                 { return nil, nil }
func (yesStore) Put(_ context.Context, d Delivery) (Stored, error) {
	return Stored{StoredAt: d.Now}, nil
}
func (yesStore) TakePrekeys(_ context.Context, _, _ [32]byte, _ time.Time) (bundle, oneTime []byte, err error) {
	return []byte{1}, nil, nil
}
func (yesStore) PutPrekeys(_ context.Context, _, _ [32]byte, _ bool, _ []byte, _ []SealedOneTime, _ int) error {
	return nil
}
func (yesStore) Fetch(context.Context, [32]byte, uint64, time.Time, int, int) ([]Mail, error) {
	return nil, errors.New("no mail")
}

// seeds are one request of each kind.
func seeds() (all [][]byte) {
	add := func(typ uint16, b []byte) { all = append(all, wire.AppendFrame(nil, typ, b)) }
	add(wire.FrameRelayAuth, wire.RelayAuth{}.Append(nil))
	add(wire.FrameInboxCreate, wire.InboxCreate{ID: [32]byte{7}}.Append(nil))
	add(wire.FrameInboxDelete, wire.InboxName{}.Append(nil))
	add(wire.FrameKnockAllow, wire.KnockAllow{Expires: 1 << 63}.Append(nil))
	add(wire.FramePrekeysPut, wire.PrekeysPut{Bundle: []byte("x"), OneTime: []wire.SealedOneTime{{ID: 1, Blob: []byte("y")}}}.Append(nil))
	add(wire.FramePrekeyCount, wire.InboxName{}.Append(nil))
	add(wire.FramePrekeysTake, wire.PrekeysTake{}.Append(nil))
	add(wire.FrameSubscribe, nil)
	add(wire.FrameMailAck, wire.MailAck{Seqs: []uint64{1}}.Append(nil))
	add(wire.FrameForwardOpen, nil)
	add(wire.FrameForwardJoin, wire.ForwardJoin{}.Append(nil))
	add(wire.FrameWorkAllow, wire.WorkAllow{Bits: 20}.Append(nil))
	add(wire.FrameWorkAsk, wire.InboxName{}.Append(nil))
	add(wire.FrameWorkDeliver, wire.WorkDeliver{Work: wire.Work{Nonce: 1}, Blob: []byte("x")}.Append(nil))
	add(wire.FrameWorkBundle, wire.WorkBundle{}.Append(nil))
	add(wire.FrameDeliver, wire.Deliver{Blob: []byte("x")}.Append(nil))
	return all
}

// Whatever is said on a stream, by somebody unknown or by an owner: one answer,
// which is a frame, or none; and only owners get anything for themselves.
func FuzzServer(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b, true)
		f.Add(b, false)
	}
	key, err := identity.NewServerKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewServer(ServerConfig{Key: key, Store: yesStore{}, Limits: Limits{Requests: 1e9, RequestBurst: 1e9}, Tick: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, b []byte, owned bool) {
		c := &script{done: make(chan struct{})}
		close(c.done)
		v := newVisit(s, c)
		v.idle = time.NewTimer(time.Hour)
		defer v.idle.Stop()
		if owned {
			v.owner = &[32]byte{9}
		}
		st := &said{Reader: bytes.NewReader(b)}
		v.answer(t.Context(), st)
		s.boardMu.Lock()
		s.board.expire(time.Now().Add(24 * time.Hour))
		left := len(s.board.perOwner)
		s.boardMu.Unlock()
		if left > 0 {
			t.Errorf("sessions of %d owners are left", left)
		}
		if st.out.Len() == 0 {
			return
		}
		r := bytes.NewReader(st.out.Bytes())
		typ, payload, err := transport.ReadFrame(r, wire.MaxRelayFrame)
		if err != nil || r.Len() > 0 {
			t.Fatalf("an answer of %d bytes is no frame: %v", st.out.Len(), err)
		}
		if got, _, err := transport.ReadFrame(bytes.NewReader(b), wire.MaxRelayFrame); err == nil && !owned && typ != wire.FrameRelayError {
			switch got {
			case wire.FrameDeliver, wire.FramePrekeysTake, wire.FrameWorkAsk, wire.FrameWorkDeliver, wire.FrameWorkBundle:
			default:
				t.Errorf("a stranger's frame %#04x was answered with %#04x %x", got, typ, payload)
			}
		}
	})
}

// Whatever a relay answers to its owner and to a sender: errors, never a panic,
// and nothing that the caller could take for the relay's signed word.
func FuzzClient(f *testing.F) {
	add := func(typ uint16, b []byte) { f.Add(wire.AppendFrame(nil, typ, b)) }
	add(wire.FrameRelayTerms, wire.RelayTerms{Now: 1 << 40}.Append(nil))
	add(wire.FrameRelayOK, nil)
	add(wire.FrameRelayError, wire.RelayError{Code: 5, Text: "\x1b[2J"}.Append(nil))
	add(wire.FrameMail, wire.Mail{Seq: 3, Blob: []byte("blob")}.Append(nil))
	add(wire.FrameReceipt, wire.Receipt{}.Append(nil))
	add(wire.FramePrekeys, wire.Prekeys{Bundle: []byte("b")}.Append(nil))
	add(wire.FramePrekeysLeft, wire.PrekeysLeft{Count: 7}.Append(nil))
	add(wire.FrameForwardLeg, wire.ForwardLeg{Session: 1}.Append(nil))
	add(wire.FrameWorkBits, wire.WorkBits{Bits: 22}.Append(nil))
	key, err := identity.NewServerKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	owner := identity.GenerateSecretKey()
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx := t.Context()
		answers := func(n int) *script {
			c := &script{done: make(chan struct{})}
			for range n {
				c.lines = append(c.lines, b)
			}
			return c
		}
		c := answers(2)
		if cl, err := newClient(ctx, c, key.ID(), owner, ""); err == nil {
			for range cl.Mail() { // ends with the stream
			}
			cl.Close()
		}
		c = answers(20)
		cl := &Client{c: c}
		_ = cl.Ack(ctx, []uint64{1})
		_ = cl.CreateInbox(ctx, InboxParams{})
		_, _ = cl.PrekeyCount(ctx, [32]byte{})
		_ = cl.PutPrekeys(ctx, [32]byte{}, []byte("x"), nil)
		if leg, ticket, err := cl.OpenForward(ctx); err == nil && (leg.Side != 0 || len(ticket) != wire.RelayTicketLen) {
			t.Errorf("opened a session as side %d with a ticket of %d bytes", leg.Side, len(ticket))
		}
		if leg, err := cl.JoinForward(ctx, make([]byte, wire.RelayTicketLen)); err == nil && leg.Side != 1 {
			t.Errorf("joined a session as side %d", leg.Side)
		}
		s := &Sender{c, key.ID()}
		if _, err := s.Store(ctx, [32]byte{1}, [32]byte{2}, []byte("x")); err == nil {
			t.Error("a receipt without the relay's signature was taken")
		}
		_, _, _ = s.FetchPrekeys(ctx, [32]byte{}, [32]byte{})
		_, _ = s.WorkBits(ctx, [32]byte{})
	})
}
