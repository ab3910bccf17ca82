package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/sremp/sremp/identity"
)

// errRoute ends a dial whose packets got no answer by UDP.
var errRoute = errors.New("transport: another way is taken")

// dialByRoute dials a server by UDP at once, and through a tunnel as soon as that
// is known to be the way.
func (e *Endpoint) dialByRoute(ctx context.Context, a identity.ServerAddr, addr netip.AddrPort, alpn string) (*Conn, error) {
	r := e.acquireRoute(a, addr)
	if r == nil {
		return e.dialServer(ctx, a.ID, addr, alpn)
	}
	for {
		c, tunnelled, err := r.dial(ctx, alpn)
		switch {
		case err == nil:
			if !tunnelled {
				r.works()
			}
			e.log.Debug("server connected", slog.String("server", a.HostPort()), slog.String("alpn", alpn), slog.Bool("tunnel", tunnelled))
			context.AfterFunc(c.q.Context(), r.release)
			return c, nil
		case errors.Is(err, errRoute) && ctx.Err() == nil:
			continue
		}
		r.release()
		return nil, err
	}
}

// dial dials once. It gives up with errRoute when a tunnel is taken meanwhile:
// what QUIC sent by UDP it would repeat, but later and later.
func (r *route) dial(ctx context.Context, alpn string) (c *Conn, tunnelled bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tunnelled, changed := r.state()
	if !tunnelled {
		done := make(chan struct{})
		watching := make(chan struct{})
		defer func() {
			close(done)
			<-watching
		}()
		go func() {
			defer close(watching)
			select {
			case <-changed:
				cancel(errRoute)
			case <-done:
			}
		}()
	}
	c, err = r.e.dialServer(ctx, r.server.ID, r.addr, alpn)
	if err != nil && errors.Is(context.Cause(ctx), errRoute) {
		err = errRoute
	}
	return c, tunnelled, err
}
