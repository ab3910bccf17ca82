package client

import (
	"context"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
)

// furniture is what a relay should have of ours.
type furniture struct {
	knock [32]byte
	// Where contacts that lost their session find the bundle, and the token for it.
	prekeys, prekeyToken [32]byte

	inboxes []relay.InboxParams
	knocks  []identity.Invite
	bundle  []byte
	oneTime []relay.SealedOneTime
}

// furnish makes inboxes, open invites and prekeys known to a relay. All of it
// may be repeated.
func (n *network) furnish(ctx context.Context, s *server, cl *relay.Client) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var f furniture
	if err := n.c.do(ctx, func(k *core) error { return k.furniture(s.addr.ID, &f) }); err != nil {
		return err
	}
	if err := cl.CreateInbox(ctx, relay.InboxParams{ID: f.knock, Knock: true}); err != nil {
		return err
	}
	if err := cl.AllowWork(ctx, f.knock, knockWork); err != nil {
		return err
	}
	for _, p := range f.inboxes {
		if err := cl.CreateInbox(ctx, p); err != nil {
			return err
		}
	}
	if err := cl.PutPrekeys(ctx, f.knock, f.bundle, f.oneTime); err != nil {
		return err
	}
	if err := n.furnishPrekeys(ctx, cl, &f); err != nil {
		return err
	}
	for _, i := range f.knocks {
		if err := cl.AllowKnock(ctx, f.knock, i.Knock(), i.Expires); err != nil {
			return err
		}
	}
	return nil
}

func (k *core) furniture(id identity.ServerID, f *furniture) error {
	k.maintain()
	one := k.prekeys.OneTime()
	aead := bundleAEAD(k.profile.Lookup.bytes(), k.local.PeerID())
	f.bundle = sealBox(aead, contextBundle, k.prekeyBox().Append(nil))
	for _, o := range one[:max(0, len(one)-keptOneTime)] {
		f.oneTime = append(f.oneTime, relay.SealedOneTime{ID: o.ID, Blob: sealBox(aead, contextOneTime, o.Bytes)})
		k.prekeys.Published([]uint32{o.ID})
		k.dirtyPrekeys = true
	}
	f.knock = k.profile.KnockInbox.bytes()
	f.prekeys, f.prekeyToken = prekeyInbox(k.profile.Lookup.bytes(), id, k.local.Record().Epoch)
	own, ownToken, _ := k.profile.noteInbox(id)
	f.inboxes = append(f.inboxes, relay.InboxParams{ID: own, TokenHash: relay.TokenHash(ownToken)})
	for _, c := range k.contacts {
		if c.self || c.info.Trust != Trusted {
			continue
		}
		inbox, token := c.mailboxAt(id)
		f.inboxes = append(f.inboxes, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)})
	}
	for _, i := range k.invites {
		if i.live(k.now()) && k.now().Before(i.parsed.Expires) {
			f.knocks = append(f.knocks, i.parsed)
		}
	}
	return nil
}

// keptOneTime is how many one-time prekeys are not given to relays, for peers
// who ask us directly.
const keptOneTime = 8
