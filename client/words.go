package client

import (
	"context"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
)

// contextSealedInvite is the associated data of an invite that lies with a
// relay (spec §2.13).
const contextSealedInvite = "SREMP v1 sealed invite"

// leaveInvite leaves an invite with our relays, for who has its words.
func (n *network) leaveInvite(ctx context.Context, code identity.InviteCode, i identity.Invite) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	inbox, knock, seal := code.Keys()
	aead, err := chacha20poly1305.NewX(seal[:])
	if err != nil {
		panic(err)
	}
	sealed := sealBox(aead, contextSealedInvite, []byte(i.URI()))
	n.awaitServers(ctx, dialTime)
	left := false
	for _, s := range n.relays() {
		n.mu.Lock()
		cl := s.relay
		n.mu.Unlock()
		if cl == nil {
			continue
		}
		err := cl.CreateInbox(ctx, relay.InboxParams{ID: inbox, Knock: true})
		if err == nil {
			err = cl.PutPrekeys(ctx, inbox, sealed, nil)
		}
		if err == nil {
			err = cl.AllowKnock(ctx, inbox, knock, i.Expires)
		}
		if err != nil {
			n.c.log.Info("an invite in words was not left", "server", s.addr.HostPort(), "err", err)
			continue
		}
		left = true
	}
	if !left {
		return ErrNoRelay
	}
	return nil
}

// takeWords removes from the relays an invite that is used or over.
func (k *core) takeWords(i *invite) {
	words := string(i.Words.bytes())
	if words == "" {
		return
	}
	net, servers := k.c.net, k.profile.Servers
	k.then(func() {
		net.run(func() {
			code, err := identity.ParseInviteCode(words)
			if err != nil {
				return
			}
			inbox, _, _ := code.Keys()
			for _, s := range servers {
				net.atRelay(s.Address.ID, "an invite in words was not removed", func(ctx context.Context, cl *relay.Client) error {
					if err := cl.DeleteInbox(ctx, inbox); !errors.Is(err, relay.ErrNoInbox) {
						return err
					}
					return nil
				})
			}
		})
	})
}

// findInvite returns the URI of the invite that the words lead to, at one of
// our own servers. They are asked over the socket that is not linked to us.
func (n *network) findInvite(ctx context.Context, code identity.InviteCode) (uri string, err error) {
	inbox, knock, seal := code.Keys()
	aead, err := chacha20poly1305.NewX(seal[:])
	if err != nil {
		panic(err)
	}
	var servers []identity.ServerAddr
	err = n.c.do(ctx, func(k *core) error {
		for _, s := range k.profile.Servers {
			if !s.NoRelay {
				servers = append(servers, s.Address)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	worst := ErrNoWords
	for _, a := range servers {
		ask, cancel := context.WithTimeout(ctx, dialTime)
		s, err := n.sender(ask, a)
		var sealed []byte
		if err == nil {
			sealed, _, err = s.FetchPrekeys(ask, inbox, knock)
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, relay.ErrNoInbox):
			continue
		case err != nil:
			worst = ErrUnreachable
			continue
		}
		if plain, err := openBox(aead, contextSealedInvite, sealed); err == nil {
			return string(plain), nil
		}
	}
	return "", worst
}
