package relay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// Sizes of one batch read for a subscription: enough to fill a connection's
// flow control, little enough to hold for each owner.
const (
	batchMail  = 64
	batchBytes = 2 << 20
)

// anonymousStreams bounds what one connection of a stranger makes us hold, in
// units of wire.MaxRelayFrame.
const anonymousStreams = 4

// A visit is the server's side of one connection: a goroutine for each request,
// at most Limits.Streams of them.
type visit struct {
	s    *Server
	c    conn
	idle *time.Timer   // closes an anonymous connection
	anon chan struct{} // slots of requests of nobody we know

	mu    sync.Mutex
	owner *[32]byte // who has proved to own it; set once
	rate  bucket
}

func newVisit(s *Server, c conn) *visit {
	return &visit{s: s, c: c, anon: make(chan struct{}, anonymousStreams)}
}

func (v *visit) run(ctx context.Context) {
	v.idle = time.AfterFunc(v.s.lim().AnonymousIdle, func() { v.c.Close(0, "idle") })
	defer v.idle.Stop()
	var wg sync.WaitGroup
	slots := make(chan struct{}, v.s.lim().Streams+1) // one more for the subscription
	for {
		st, err := v.c.AcceptStream(ctx)
		if err != nil {
			break
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() { v.answer(ctx, st); <-slots })
		case <-ctx.Done():
		case <-v.c.Done():
		}
	}
	v.c.Close(0, "")
	wg.Wait()
	if v.owner != nil {
		v.s.stats.owners.Add(-1)
		v.s.boardMu.Lock()
		v.s.board.lose(time.Now(), *v.owner, v.c)
		v.s.boardMu.Unlock()
	}
}

// known returns whose connection it is, nil as long as nobody has proved it.
func (v *visit) known() *[32]byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.owner
}

// answer reads the one request of a stream and answers it.
func (v *visit) answer(ctx context.Context, st stream) {
	defer st.CancelRead(0)
	stop := context.AfterFunc(ctx, func() { st.SetDeadline(past) })
	defer stop()
	if v.known() == nil {
		select {
		case v.anon <- struct{}{}:
			defer func() { <-v.anon }()
		case <-ctx.Done():
			return
		case <-v.c.Done():
			return
		}
	}
	v.deadline(ctx, st)
	// One request's worth of memory, whatever the frame says about itself.
	typ, payload, err := transport.ReadFrame(st, wire.MaxRelayFrame)
	if err != nil {
		if errors.Is(err, transport.ErrFrameTooLarge) {
			v.reply(st, 0, nil, ErrTooLarge)
			return
		}
		st.CancelWrite(0)
		return
	}
	now := time.Now()
	v.mu.Lock()
	if v.owner == nil {
		v.idle.Reset(v.s.lim().AnonymousIdle)
	}
	ok := v.rate.take(now, 1, v.s.lim().Requests, v.s.lim().RequestBurst)
	v.mu.Unlock()
	if !ok {
		v.reply(st, 0, nil, ErrBusy)
		return
	}
	if typ == wire.FrameSubscribe {
		v.subscribe(ctx, st, payload)
		return
	}
	v.s.busy.Add(1)
	defer v.s.busy.Add(-1)
	rtyp, answer, err := v.do(ctx, now, typ, payload)
	v.deadline(ctx, st)
	v.reply(st, rtyp, answer, err)
}

// deadline gives the stream one more RequestTime, unless ctx has ended.
func (v *visit) deadline(ctx context.Context, st stream) {
	st.SetDeadline(time.Now().Add(v.s.lim().RequestTime))
	if ctx.Err() != nil { // AfterFunc may have come before
		st.SetDeadline(past)
	}
}

func (v *visit) reply(st stream, typ uint16, payload []byte, err error) {
	if err != nil {
		v.s.stats.refused.Add(1)
		code := codeOf(err)
		if errors.Is(codes[code], ErrServer) && v.s.ctx.Err() == nil {
			v.s.log.LogAttrs(context.Background(), slog.LevelError, "request failed", slog.Any("err", err))
		}
		typ, payload = wire.FrameRelayError, wire.RelayError{Code: code}.Append(nil)
	}
	if transport.WriteFrame(st, typ, payload) != nil || st.Close() != nil {
		st.CancelWrite(0)
	}
}

// request decodes a payload: what cannot be read is the caller's fault.
func request[T any](parse func([]byte) (T, error), b []byte) (T, error) {
	x, err := parse(b)
	if err != nil {
		return x, ErrBadRequest
	}
	return x, nil
}

// do carries out one request and returns the answer's frame.
func (v *visit) do(ctx context.Context, now time.Time, typ uint16, b []byte) (uint16, []byte, error) {
	switch typ {
	case wire.FrameRelayAuth:
		return v.authenticate(ctx, now, b)
	case wire.FrameDeliver:
		return v.deliver(ctx, now, b)
	case wire.FrameWorkAsk, wire.FrameWorkDeliver, wire.FrameWorkBundle:
		return v.doWork(ctx, now, typ, b)
	case wire.FramePrekeysTake:
		r, err := request(wire.ParsePrekeysTake, b)
		if err != nil {
			return 0, nil, err
		}
		bundle, oneTime, err := v.s.store.TakePrekeys(ctx, r.Inbox, TokenHash(r.Token), now)
		return wire.FramePrekeys, wire.Prekeys{Bundle: bundle, OneTime: oneTime}.Append(nil), err
	}
	owner := v.known()
	if owner == nil {
		return 0, nil, ErrNotOwner
	}
	return v.doOwner(ctx, now, *owner, typ, b)
}

// doOwner carries out a request of the authenticated owner.
func (v *visit) doOwner(ctx context.Context, now time.Time, owner [32]byte, typ uint16, b []byte) (uint16, []byte, error) {
	store, l := v.s.store, v.s.lim()
	switch typ {
	case wire.FrameInboxCreate:
		r, err := request(wire.ParseInboxCreate, b)
		if err == nil {
			err = store.CreateInbox(ctx, owner, InboxParams{r.ID, r.Knock, r.TokenHash}, l.Inboxes)
		}
		return wire.FrameRelayOK, nil, err
	case wire.FrameInboxDelete:
		r, err := request(wire.ParseInboxName, b)
		if err == nil {
			err = store.DeleteInbox(ctx, owner, r.ID)
		}
		return wire.FrameRelayOK, nil, err
	case wire.FrameKnockAllow:
		r, err := request(wire.ParseKnockAllow, b)
		if err == nil {
			err = store.AllowKnock(ctx, owner, r.Inbox, r.TokenHash, now, knockExpiry(now, r.Expires, l.KnockTTL), l.Knocks)
		}
		return wire.FrameRelayOK, nil, err
	case wire.FrameWorkAllow:
		r, err := request(wire.ParseWorkAllow, b)
		if err == nil {
			err = store.AllowWork(ctx, owner, r.Inbox, r.Bits)
		}
		return wire.FrameRelayOK, nil, err
	case wire.FramePrekeysPut:
		r, err := request(wire.ParsePrekeysPut, b)
		if err == nil {
			keys := make([]SealedOneTime, len(r.OneTime))
			for i, k := range r.OneTime {
				keys[i] = SealedOneTime(k)
			}
			err = store.PutPrekeys(ctx, owner, r.Inbox, r.Replace, r.Bundle, keys, l.OneTime)
		}
		return wire.FrameRelayOK, nil, err
	case wire.FramePrekeyCount:
		r, err := request(wire.ParseInboxName, b)
		if err != nil {
			return 0, nil, err
		}
		n, err := store.PrekeyCount(ctx, owner, r.ID)
		return wire.FramePrekeysLeft, wire.PrekeysLeft{Count: uint32(n)}.Append(nil), err
	case wire.FrameMailAck:
		r, err := request(wire.ParseMailAck, b)
		if err == nil {
			err = store.Ack(ctx, owner, r.Seqs)
		}
		return wire.FrameRelayOK, nil, err
	case wire.FrameForwardOpen:
		if len(b) != 0 {
			return 0, nil, ErrBadRequest
		}
		v.s.boardMu.Lock()
		leg, err := v.s.board.open(now, owner, v.c)
		v.s.boardMu.Unlock()
		return wire.FrameForwardLeg, leg.Append(nil), err
	case wire.FrameForwardJoin:
		r, err := request(wire.ParseForwardJoin, b)
		if err != nil {
			return 0, nil, err
		}
		v.s.boardMu.Lock()
		leg, err := v.s.board.join(now, owner, v.c, r.Ticket)
		v.s.boardMu.Unlock()
		return wire.FrameForwardLeg, leg.Append(nil), err
	}
	return 0, nil, ErrBadRequest
}

// knockExpiry bounds what the owner asks for.
func knockExpiry(now time.Time, seconds uint64, ttl time.Duration) time.Time {
	latest := now.Add(ttl)
	if seconds >= uint64(latest.Unix()) {
		return latest
	}
	return time.Unix(int64(seconds), 0)
}

// authenticate makes the connection its owner's (spec §6.3). The signature
// covers this server and this connection, so that it is of no use elsewhere.
func (v *visit) authenticate(ctx context.Context, now time.Time, b []byte) (uint16, []byte, error) {
	r, err := request(wire.ParseRelayAuth, b)
	if err != nil {
		return 0, nil, err
	}
	if !identity.Verify(r.Owner, contextOwner, r.Signed(v.s.key.ID(), v.c.Binding()), r.Signature) {
		v.s.stats.failedProofs.Add(1)
		return 0, nil, ErrNotOwner
	}
	known, err := v.s.store.Owner(ctx, r.Owner, now, v.s.admission(r.Token))
	if err != nil {
		return 0, nil, err
	}
	if !known {
		return 0, nil, ErrAdmission
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.owner != nil {
		return 0, nil, ErrBadRequest
	}
	v.owner = &r.Owner
	v.idle.Stop()
	v.s.stats.owners.Add(1)
	v.s.boardMu.Lock()
	v.s.board.find(r.Owner, v.c)
	v.s.boardMu.Unlock()
	l := v.s.lim()
	return wire.FrameRelayTerms, wire.RelayTerms{
		Now: uint64(now.UnixMilli()), QuotaBytes: uint64(l.OwnerBytes), QuotaBlobs: uint32(l.OwnerBlobs),
		Inboxes: uint32(l.Inboxes), Knocks: uint32(l.Knocks), OneTime: uint32(l.OneTime),
		MaxBlob: uint32(l.MaxBlob), TTL: uint32(l.TTL / time.Second),
	}.Append(nil), nil
}

// admission says what a token is good for. Digests are compared: they have one
// length, and the time tells nothing of the tokens.
func (s *Server) admission(token []byte) Admission {
	a := Admission{Open: !s.tokensOnly && len(s.tokens) == 0, Limit: s.lim().Owners}
	if len(token) > 0 {
		a.TokenHash = AdmissionHash(token)
	}
	got := sha256.Sum256(token)
	for _, t := range s.tokens {
		want := sha256.Sum256([]byte(t))
		a.Open = subtle.ConstantTimeCompare(got[:], want[:]) == 1 || a.Open
	}
	return a
}

// doWork carries out a request that is paid for by work.
func (v *visit) doWork(ctx context.Context, now time.Time, typ uint16, b []byte) (uint16, []byte, error) {
	switch typ {
	case wire.FrameWorkAsk:
		r, err := request(wire.ParseInboxName, b)
		if err != nil {
			return 0, nil, err
		}
		bits, err := v.s.store.WorkBits(ctx, r.ID)
		return wire.FrameWorkBits, wire.WorkBits{Bits: bits}.Append(nil), err
	case wire.FrameWorkBundle:
		r, err := request(wire.ParseWorkBundle, b)
		if err != nil {
			return 0, nil, err
		}
		bundle, err := v.s.store.TakeBundle(ctx, r.Inbox, workOf(now, r.Inbox, [32]byte{}, r.Work))
		return wire.FramePrekeys, wire.Prekeys{Bundle: bundle}.Append(nil), err
	}
	r, err := request(wire.ParseWorkDeliver, b)
	if err != nil {
		return 0, nil, err
	}
	d := Delivery{Inbox: r.Inbox, Hash: sha256.Sum256(r.Blob), Blob: r.Blob, Now: now, Limits: *v.s.lim()}
	if d.Work = workOf(now, d.Inbox, d.Hash, r.Work); d.Work == 0 {
		return 0, nil, ErrNoInbox
	}
	return v.put(ctx, d)
}

// deliver stores a blob. The receipt is signed only after Put has returned, and
// with it the disk.
func (v *visit) deliver(ctx context.Context, now time.Time, b []byte) (uint16, []byte, error) {
	r, err := request(wire.ParseDeliver, b)
	if err != nil {
		return 0, nil, err
	}
	d := Delivery{Inbox: r.Inbox, TokenHash: TokenHash(r.Token), Hash: sha256.Sum256(r.Blob), Blob: r.Blob, Now: now, Limits: *v.s.lim()}
	return v.put(ctx, d)
}

func (v *visit) put(ctx context.Context, d Delivery) (uint16, []byte, error) {
	start := time.Now()
	stored, err := v.s.store.Put(ctx, d)
	if err != nil {
		return 0, nil, err
	}
	if stored.Fresh {
		v.s.stats.store.observe(time.Since(start))
		v.s.stats.stored.Add(1)
		v.s.wake(stored.Owner)
	}
	receipt := wire.Receipt{
		Inbox: d.Inbox, Hash: d.Hash,
		StoredAt: uint64(stored.StoredAt.UnixMilli()), Expires: uint64(stored.Expires.UnixMilli()),
	}
	receipt.Signature = v.s.key.Sign(contextReceipt, receipt.Signed())
	return wire.FrameReceipt, receipt.Append(nil), nil
}

// subscribe writes the owner's mail to the stream, what is there and what
// comes, until the connection ends. QUIC's flow control paces it.
func (v *visit) subscribe(ctx context.Context, st stream, payload []byte) {
	owner := v.known()
	if owner == nil {
		v.reply(st, 0, nil, ErrNotOwner)
		return
	}
	if len(payload) != 0 {
		v.reply(st, 0, nil, ErrBadRequest)
		return
	}
	wake, stop := v.s.watch(*owner)
	defer stop()
	st.SetDeadline(time.Time{})
	var after uint64
	for {
		batch, err := v.s.store.Fetch(ctx, *owner, after, time.Now(), batchMail, batchBytes)
		if err != nil {
			v.reply(st, 0, nil, err)
			return
		}
		for _, m := range batch {
			f := wire.Mail{Inbox: m.Inbox, Seq: m.Seq, StoredAt: uint64(m.StoredAt.UnixMilli()), Blob: m.Blob}
			if ctx.Err() != nil || transport.WriteFrame(st, wire.FrameMail, f.Append(nil)) != nil {
				st.CancelWrite(0)
				return
			}
			after = m.Seq
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			st.CancelWrite(0)
			return
		case <-v.c.Done():
			return
		}
	}
}
