package rendezvous

import (
	"context"
	"fmt"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

// Dial connects to the rendezvous at a, which must prove the key in a. The
// server learns our network address, and nothing else before we register.
func Dial(ctx context.Context, ep *transport.Endpoint, a identity.ServerAddr) (*Client, error) {
	conn, err := ep.DialServer(ctx, a, ALPN)
	if err != nil {
		return nil, fmt.Errorf("rendezvous: dialling: %w", err)
	}
	st, err := conn.OpenStream(ctx)
	if err != nil {
		conn.Close(codeDone, "")
		return nil, fmt.Errorf("rendezvous: opening a stream: %w", err)
	}
	return newClient(ctx, a.ID, conn, st)
}
