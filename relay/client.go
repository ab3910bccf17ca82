package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// ALPN names the protocol of this package (spec §6.1).
const ALPN = "sremp-relay/1"

// contextOwner is the context of the owner's signature (spec §6.3).
const contextOwner = "SREMP v1 relay owner"

// mailAhead is how many blobs a client holds that nobody has taken yet. The
// relay waits for the rest through flow control.
const mailAhead = 4

// A Terms is what the relay grants its owner.
type Terms struct {
	Now        time.Time // the relay's clock when the connection was made
	QuotaBytes uint64
	QuotaBlobs int
	Inboxes    int
	Knocks     int // open at a time, for each knock inbox
	OneTime    int // one-time prekeys, for each inbox
	MaxBlob    int // bytes
	TTL        time.Duration
}

// A Client is the owner's side of one connection to a relay. Its methods may be
// called concurrently. When the connection fails it is over: dial again.
type Client struct {
	c     conn
	addr  netip.AddrPort // of the relay
	terms Terms
	mail  chan Mail
	wg    sync.WaitGroup
}

// Dial connects to a relay, proves that the connection is owner's, registers
// owner if it is new there, and begins to receive mail. owner must be a key made
// for this relay alone. token is needed where the operator admits by token.
// ErrAdmission; transport.ErrServerKey if the relay is not the one of a.
func Dial(ctx context.Context, ep *transport.Endpoint, a identity.ServerAddr, owner identity.SecretKey, token string) (*Client, error) {
	c, err := dialServer(ctx, ep, a)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, c, a.ID, owner, token)
}

// newClient is Dial on a connection whose server is authenticated. It owns c.
func newClient(ctx context.Context, c conn, server identity.ServerID, owner identity.SecretKey, token string) (*Client, error) {
	fail := func(err error) (*Client, error) {
		c.Close(0, "")
		return nil, err
	}
	if len(token) > wire.MaxRelayToken {
		return fail(ErrAdmission)
	}
	auth := wire.RelayAuth{Owner: owner.Public(), Token: []byte(token)}
	auth.Signature = owner.Sign(contextOwner, auth.Signed(server, c.Binding()))
	answer, err := call(ctx, c, wire.FrameRelayAuth, auth.Append(nil), wire.FrameRelayTerms)
	terms, err := parsed(wire.ParseRelayTerms, answer, err)
	if err != nil {
		return fail(err)
	}
	s, err := c.OpenStream(ctx)
	if err != nil {
		return fail(fmt.Errorf("relay: subscribing: %w", err))
	}
	if err := transport.WriteFrame(s, wire.FrameSubscribe, nil); err != nil {
		return fail(fmt.Errorf("relay: subscribing: %w", err))
	}
	cl := &Client{c: c, addr: c.RemoteAddr(), mail: make(chan Mail, mailAhead), terms: Terms{
		Now: time.UnixMilli(int64(terms.Now)), QuotaBytes: terms.QuotaBytes, QuotaBlobs: int(terms.QuotaBlobs),
		Inboxes: int(terms.Inboxes), Knocks: int(terms.Knocks), OneTime: int(terms.OneTime),
		MaxBlob: int(terms.MaxBlob), TTL: time.Duration(terms.TTL) * time.Second,
	}}
	cl.wg.Go(func() { cl.receive(s) })
	return cl, nil
}

// receive hands on mail until the connection ends; a subscription that ends
// takes the connection with it, so that Done tells all there is to know.
func (cl *Client) receive(s stream) {
	defer close(cl.mail)
	for {
		typ, payload, err := transport.ReadFrame(s, wire.MaxRelayFrame)
		if err == nil && typ != wire.FrameMail {
			err = ErrProtocol
		}
		m, err := parsed(wire.ParseMail, payload, err)
		if err != nil {
			cl.c.Close(0, "subscription ended")
			return
		}
		select {
		case cl.mail <- Mail{m.Inbox, m.Seq, sha256.Sum256(m.Blob), m.Blob, time.UnixMilli(int64(m.StoredAt))}:
		case <-cl.c.Done():
			return
		}
	}
}

// Terms returns what the relay granted.
func (cl *Client) Terms() Terms { return cl.terms }

// Mail returns the channel of stored blobs: those waiting at the relay, then
// each new one, in order of storage. What is not acknowledged comes again on the
// next connection. The channel is closed when the connection ends.
func (cl *Client) Mail() <-chan Mail { return cl.mail }

// Ack deletes blobs at the relay. Numbers that are gone are no error.
func (cl *Client) Ack(ctx context.Context, seqs []uint64) error {
	for len(seqs) > 0 {
		n := min(len(seqs), wire.MaxMailAcks)
		if err := callOK(ctx, cl.c, wire.FrameMailAck, wire.MailAck{Seqs: seqs[:n]}.Append(nil)); err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}

// CreateInbox makes an inbox; to repeat it is no error.
func (cl *Client) CreateInbox(ctx context.Context, p InboxParams) error {
	return callOK(ctx, cl.c, wire.FrameInboxCreate, wire.InboxCreate{ID: p.ID, Knock: p.Knock, TokenHash: p.TokenHash}.Append(nil))
}

// DeleteInbox deletes an inbox with its mail, knocks and prekeys.
func (cl *Client) DeleteInbox(ctx context.Context, inbox [32]byte) error {
	return callOK(ctx, cl.c, wire.FrameInboxDelete, wire.InboxName{ID: inbox}.Append(nil))
}

// AllowKnock opens a knock inbox to the holder of knock (identity.Invite's
// Knock) until expires, for [KnockBlobs] blobs and [KnockBytes] bytes in all.
func (cl *Client) AllowKnock(ctx context.Context, inbox, knock [32]byte, expires time.Time) error {
	return callOK(ctx, cl.c, wire.FrameKnockAllow,
		wire.KnockAllow{Inbox: inbox, TokenHash: TokenHash(knock), Expires: uint64(max(0, expires.Unix()))}.Append(nil))
}

// PutPrekeys stores an inbox's sealed bundle and adds one-time prekeys.
// Their ids ascend over the life of the inbox, so that a repeated call does not
// bring back what was handed out.
func (cl *Client) PutPrekeys(ctx context.Context, inbox [32]byte, sealedBundle []byte, oneTime []SealedOneTime) error {
	return cl.putPrekeys(ctx, inbox, false, sealedBundle, oneTime)
}

// ReplacePrekeys is PutPrekeys that drops all one-time prekeys stored before,
// for an owner who has lost their private halves.
func (cl *Client) ReplacePrekeys(ctx context.Context, inbox [32]byte, sealedBundle []byte, oneTime []SealedOneTime) error {
	return cl.putPrekeys(ctx, inbox, true, sealedBundle, oneTime)
}

func (cl *Client) putPrekeys(ctx context.Context, inbox [32]byte, replace bool, bundle []byte, oneTime []SealedOneTime) error {
	if len(bundle) == 0 || len(bundle) > wire.MaxSealedBundle {
		return ErrTooLarge
	}
	oneTime = slices.SortedFunc(slices.Values(oneTime), func(a, b SealedOneTime) int { return cmp.Compare(a.ID, b.ID) })
	for {
		n := min(len(oneTime), wire.MaxSealedOneTimes)
		put := wire.PrekeysPut{Inbox: inbox, Replace: replace, Bundle: bundle}
		for _, k := range oneTime[:n] {
			if len(k.Blob) == 0 || len(k.Blob) > wire.MaxSealedOneTime {
				return ErrTooLarge
			}
			put.OneTime = append(put.OneTime, wire.SealedOneTime(k))
		}
		if err := callOK(ctx, cl.c, wire.FramePrekeysPut, put.Append(nil)); err != nil {
			return err
		}
		if oneTime, replace = oneTime[n:], false; len(oneTime) == 0 {
			return nil
		}
	}
}

// PrekeyCount returns how many one-time prekeys an inbox has left.
func (cl *Client) PrekeyCount(ctx context.Context, inbox [32]byte) (int, error) {
	answer, err := call(ctx, cl.c, wire.FramePrekeyCount, wire.InboxName{ID: inbox}.Append(nil), wire.FramePrekeysLeft)
	left, err := parsed(wire.ParsePrekeysLeft, answer, err)
	return int(left.Count), err
}

// OpenForward opens a forwarding session. The ticket goes to the peer, sealed,
// who joins with it once, within half a minute.
func (cl *Client) OpenForward(ctx context.Context) (leg transport.Leg, ticket []byte, err error) {
	answer, err := call(ctx, cl.c, wire.FrameForwardOpen, nil, wire.FrameForwardLeg)
	l, err := parsed(wire.ParseForwardLeg, answer, err)
	if err == nil && l.Side != 0 {
		err = ErrProtocol
	}
	if err != nil {
		return transport.Leg{}, nil, err
	}
	return cl.leg(l), l.Ticket, nil
}

// JoinForward joins the session of a ticket. ErrTicket.
func (cl *Client) JoinForward(ctx context.Context, ticket []byte) (transport.Leg, error) {
	if len(ticket) != wire.RelayTicketLen {
		return transport.Leg{}, ErrTicket
	}
	answer, err := call(ctx, cl.c, wire.FrameForwardJoin, wire.ForwardJoin{Ticket: [32]byte(ticket)}.Append(nil), wire.FrameForwardLeg)
	l, err := parsed(wire.ParseForwardLeg, answer, err)
	if err == nil && l.Side != 1 {
		err = ErrProtocol
	}
	if err != nil {
		return transport.Leg{}, err
	}
	return cl.leg(l), nil
}

func (cl *Client) leg(l wire.ForwardLeg) transport.Leg {
	return transport.Leg{Server: cl.addr, Session: l.Session, Side: l.Side, Key: l.Key, Grant: l.Grant}
}

// Done is closed when the connection has ended; Err says why.
func (cl *Client) Done() <-chan struct{} { return cl.c.Done() }

// Err returns nil as long as the connection stands.
func (cl *Client) Err() error { return cl.c.Err() }

// Close ends the connection.
func (cl *Client) Close() error {
	err := cl.c.Close(0, "")
	cl.wg.Wait()
	return err
}
