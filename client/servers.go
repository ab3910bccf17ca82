package client

import (
	"context"
	"errors"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// maxServers bounds the servers of a profile.
const maxServers = 8

// A serverStatus is what the core knows of a server's connections.
type serverStatus struct {
	up      map[string]bool   // by role
	problem map[string]string // by role
	tunnel  bool
}

// WhoAmI implements [API].
func (c *Client) WhoAmI(ctx context.Context) (me Me, err error) {
	err = c.do(ctx, func(k *core) error {
		r := k.local.Record()
		me = Me{ID: r.Identity, Name: r.Name, Picture: k.profile.Picture.Name, Created: r.Created, Servers: k.servers()}
		return nil
	})
	return me, err
}

// Servers implements [API].
func (c *Client) Servers(ctx context.Context) (out []Server, err error) {
	err = c.do(ctx, func(k *core) error {
		out = k.servers()
		return nil
	})
	return out, err
}

func (k *core) servers() []Server {
	out := []Server{}
	for _, s := range k.profile.Servers {
		out = append(out, k.serverView(s.Address))
	}
	return out
}

func (k *core) serverView(a identity.ServerAddr) Server {
	v := Server{Address: a}
	if s := k.serverInfo(a.ID); s != nil {
		v.Left = s.Left
	}
	st := k.status[a.ID]
	if st == nil {
		return v
	}
	v.Tunnel = st.tunnel
	for _, role := range []string{roleRendezvous, roleRelay} {
		// Not before both were tried: one may still find a reason not to go on.
		v.Connected = v.Connected || st.up[role] && len(st.up) == 2
		if v.Problem == "" {
			v.Problem = st.problem[role]
		}
	}
	return v
}

func (k *core) statusOf(id identity.ServerID) *serverStatus {
	st := k.status[id]
	if st == nil {
		st = &serverStatus{up: map[string]bool{}, problem: map[string]string{}}
		k.status[id] = st
	}
	return st
}

func (k *core) serverInfo(id identity.ServerID) *serverInfo {
	for i := range k.profile.Servers {
		if k.profile.Servers[i].Address.ID == id {
			return &k.profile.Servers[i]
		}
	}
	return nil
}

// The services of a server.
const (
	roleRelay      = "relay"
	roleRendezvous = "rendezvous"
)

// serverUp notes that a service of a server stands.
func (k *core) serverUp(id identity.ServerID, role, problem string) {
	if s := k.serverInfo(id); s != nil {
		k.setOffered(s, role, true)
		k.setStatus(s.Address, role, true, problem)
	}
}

// serverDown notes that one does not. That a server has only one of the
// services is no problem.
func (k *core) serverDown(id identity.ServerID, role string, err error) {
	s := k.serverInfo(id)
	if s == nil {
		return
	}
	problem := serverProblem(err)
	if errors.Is(err, transport.ErrRefused) {
		problem = ""
		k.setOffered(s, role, false)
	}
	k.setStatus(s.Address, role, false, problem)
}

// setOffered remembers whether a server offers a service, for the invites and
// cards to come.
func (k *core) setOffered(s *serverInfo, role string, offered bool) {
	not := &s.NoRelay
	if role == roleRendezvous {
		not = &s.NoRendezvous
	}
	if *not == offered {
		*not = !offered
		k.dirtyProfile = true
		k.then(func() { k.c.net.present(k) })
	}
}

func (k *core) setStatus(a identity.ServerAddr, role string, up bool, problem string) {
	before := k.serverView(a)
	st := k.statusOf(a.ID)
	st.up[role], st.problem[role] = up, problem
	if after := k.serverView(a); after != before {
		k.emit(ServerEvent{Server: after})
	}
}

// setTunnel notes whether a server is reached through a tunnel.
func (k *core) setTunnel(a identity.ServerAddr, on bool) {
	if k.serverInfo(a.ID) == nil {
		return // somebody else's
	}
	before := k.serverView(a)
	k.statusOf(a.ID).tunnel = on
	if after := k.serverView(a); after != before {
		k.emit(ServerEvent{Server: after})
	}
}

// serverProblem says in plain words why a server does not serve us.
func serverProblem(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, transport.ErrServerKey):
		return ErrServerIdentity.Error()
	case errors.Is(err, relay.ErrAdmission):
		return "the relay admits nobody without its token; ask the operator for one"
	case errors.Is(err, rendezvous.ErrClock):
		return ErrClock.Error()
	}
	return ErrUnreachable.Error()
}

// AddServer implements [API]. A server that is known already is no error; an
// address with the same key and another host replaces the old one.
func (c *Client) AddServer(ctx context.Context, addr identity.ServerAddr) error {
	if identity.CheckEd25519(addr.ID) != nil || identity.CheckHost(addr.Host) != nil || addr.Port == 0 {
		return identity.ErrBadServerAddr
	}
	return c.do(ctx, func(k *core) error {
		s := k.serverInfo(addr.ID)
		switch {
		case s != nil && s.Address == addr && s.Left.IsZero():
			return nil
		case s != nil:
			s.Address, s.Left = addr, time.Time{}
		case len(k.profile.Servers) >= maxServers:
			return ErrTooManyServers
		default:
			k.profile.Servers = append(k.profile.Servers, serverInfo{Address: addr, Owner: randomSecret()})
		}
		k.cardsChanged()
		info := *k.serverInfo(addr.ID)
		k.then(func() {
			c.net.useServer(info)
			c.net.present(k)
		})
		return nil
	})
}
