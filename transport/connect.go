package transport

import (
	"context"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/identity"
)

// An attempt is one running Connect.
type attempt struct {
	Attempt
	link   *link
	result chan *PeerConn // for the side that is dialled
}

var _ = identity.PeerID{}

// Connect reaches a peer: through a.Relay at once, directly as soon as a
// candidate is proven. The side with the lower PeerID dials, the other waits
// for it. Connect returns when this side has authenticated the peer, or with an
// error when ctx ends or the peer proves not to be a.Peer.
func (e *Endpoint) Connect(ctx context.Context, a Attempt) (*PeerConn, error) {
	panic("not yet")
}

// Accept returns authenticated peers that dialled and that no Connect waits
// for.
func (e *Endpoint) Accept(ctx context.Context) (*PeerConn, error) {
	if e.c.Identity == nil {
		return nil, ErrNoIdentity
	}
	select {
	case p := <-e.accepted:
		return p, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-e.ctx.Done():
		return nil, ErrClosed
	}
}

func (e *Endpoint) servePeer(q *quic.Conn, alpn string) { closeQUIC(q, codeRefused, "") }
