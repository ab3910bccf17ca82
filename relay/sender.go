package relay

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// contextReceipt is the context of the relay's signature (spec §6.4).
const contextReceipt = "SREMP v1 relay receipt"

// A Receipt is the relay's signed word that it holds a blob on its disk.
type Receipt struct {
	Inbox    [32]byte
	Hash     [32]byte // SHA-256 of the blob
	StoredAt time.Time
	Expires  time.Time
	Encoded  []byte // wire.Receipt, for [CheckReceipt]
}

// CheckReceipt verifies an encoded receipt of server for a blob in an inbox.
// ErrReceipt.
func CheckReceipt(server identity.ServerID, inbox, hash [32]byte, encoded []byte) (Receipt, error) {
	r, err := wire.ParseReceipt(encoded)
	if err != nil || r.Inbox != inbox || r.Hash != hash || !identity.Verify(server, contextReceipt, r.Signed(), r.Signature) {
		return Receipt{}, ErrReceipt
	}
	return Receipt{r.Inbox, r.Hash, time.UnixMilli(int64(r.StoredAt)), time.UnixMilli(int64(r.Expires)), encoded}, nil
}

// A Sender delivers to other people's inboxes without saying who it is. Its
// endpoint must have no owner's connection on it: one socket would link them.
type Sender struct {
	c      conn
	server identity.ServerID
}

// DialSender connects to a relay anonymously.
func DialSender(ctx context.Context, ep *transport.Endpoint, a identity.ServerAddr) (*Sender, error) {
	c, err := dialServer(ctx, ep, a)
	if err != nil {
		return nil, err
	}
	return &Sender{c, a.ID}, nil
}

// Store leaves a blob in an inbox. token is the inbox's delivery token or a
// knock. After an error that is none of this package's, the blob may or may not
// be stored; to send it again is harmless. ErrNoInbox, ErrQuota, ErrTooLarge,
// ErrBusy, ErrFull.
func (s *Sender) Store(ctx context.Context, inbox, token [32]byte, blob []byte) (Receipt, error) {
	if len(blob) == 0 || len(blob) > wire.MaxBlob {
		return Receipt{}, ErrTooLarge
	}
	answer, err := call(ctx, s.c, wire.FrameDeliver, wire.Deliver{Inbox: inbox, Token: token, Blob: blob}.Append(nil), wire.FrameReceipt)
	if err != nil {
		return Receipt{}, err
	}
	return CheckReceipt(s.server, inbox, sha256.Sum256(blob), answer)
}

// FetchPrekeys returns an inbox's sealed bundle and, while there are any, one
// sealed one-time prekey that nobody else gets. knock is the invite's, or the
// delivery token of a contact's inbox. ErrNoInbox, ErrNoPrekeys.
func (s *Sender) FetchPrekeys(ctx context.Context, inbox, knock [32]byte) (sealedBundle, oneTime []byte, err error) {
	answer, err := call(ctx, s.c, wire.FramePrekeysTake, wire.PrekeysTake{Inbox: inbox, Token: knock}.Append(nil), wire.FramePrekeys)
	p, err := parsed(wire.ParsePrekeys, answer, err)
	if err != nil {
		return nil, nil, err
	}
	if len(p.OneTime) == 0 {
		p.OneTime = nil
	}
	return p.Bundle, p.OneTime, nil
}

// Done is closed when the connection has ended.
func (s *Sender) Done() <-chan struct{} { return s.c.Done() }

// Close ends the connection.
func (s *Sender) Close() error { return s.c.Close(0, "") }
