package client

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// Without a server, who has an invite or a card of ours finds us at the address in it
// only: such a profile has one port for good (spec §8.6). With servers it has another
// one at each start, as one that stayed would tell them who comes back from elsewhere.

// listen opens the socket of contacts: at the profile's port if the choice is ours and
// the port is free, else wherever it is told to.
func (n *network) listen(k *core, s sockets) (net.PacketConn, error) {
	host, port, err := net.SplitHostPort(n.c.cfg.Listen)
	if err == nil && port == "0" && k.profile.Port != 0 && k.serverless() {
		pc, err := s.listen(net.JoinHostPort(host, strconv.Itoa(int(k.profile.Port))))
		if err == nil {
			return pc, nil
		}
		n.c.log.Info("the profile's port is taken", "port", k.profile.Port, "err", err)
	}
	return s.listen(n.c.cfg.Listen)
}

// serverless reports whether the profile uses no server.
func (k *core) serverless() bool {
	for _, s := range k.profile.Servers {
		if s.Left.IsZero() {
			return false
		}
	}
	return true
}

// keepPort remembers the first port that the profile had without a server, before
// anybody is told of it. One that is taken now is not given up: it is in invites.
func (k *core) keepPort(ctx context.Context, at netip.AddrPort) error {
	_, port, err := net.SplitHostPort(k.c.cfg.Listen)
	if err != nil || port != "0" || k.profile.Port != 0 || !k.serverless() {
		return nil
	}
	k.profile.Port = at.Port()
	return k.v.store.Apply(ctx, []Change{k.v.putJSON(TableSettings, 0, settingProfile, k.profile)})
}
