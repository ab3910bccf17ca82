package client

import (
	"context"
	"errors"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
)

// Work in the place of an invite's knock (spec §6.4.1, §8.3).
const (
	// knockWork is what our knock inboxes ask of whom no knock opens them: 2^20
	// hashes, about a second.
	knockWork = 20
	// maxKnockWork is what we are ready to do: sixteen times that.
	maxKnockWork = 24
)

// needsWork reports whether a knock was refused because the relay does not know
// it, or not any more.
func needsWork(err error) bool {
	return errors.Is(err, relay.ErrNoInbox) || errors.Is(err, relay.ErrQuota)
}

// askedFor returns the work that an inbox asks for, 0 if it is none that we do.
func askedFor(ctx context.Context, s *relay.Sender, inbox [32]byte) uint8 {
	bits, err := s.WorkBits(ctx, inbox)
	if err != nil || bits > maxKnockWork {
		return 0
	}
	return bits
}

// leave stores a blob in a mailbox. A knock inbox that does not take the invite's
// knock any more gets work instead, if it wants some.
func leave(ctx context.Context, s *relay.Sender, box mailBox, blob []byte) error {
	if box.knockKey == nil && ratchet.IsInitial(blob) {
		blob = sealBox(introAEAD(box.first.bytes()), contextFirstMail, blob)
	}
	_, err := s.Store(ctx, box.inbox, box.token, blob)
	if box.knockKey == nil || !needsWork(err) {
		return err
	}
	bits := askedFor(ctx, s, box.inbox)
	if bits == 0 {
		return err
	}
	_, err = s.StoreWithWork(ctx, time.Now(), box.inbox, bits, blob)
	return err
}

// takePrekeys fetches what a knock inbox holds for its visitors: by the invite's
// knock, or without a one-time prekey by work.
func takePrekeys(ctx context.Context, s *relay.Sender, i identity.Invite) (sealed, oneTime []byte, err error) {
	sealed, oneTime, err = s.FetchPrekeys(ctx, i.KnockInbox, i.Knock())
	if !needsWork(err) {
		return sealed, oneTime, err
	}
	bits := askedFor(ctx, s, i.KnockInbox)
	if bits == 0 {
		return nil, nil, err
	}
	sealed, err = s.FetchBundleWithWork(ctx, time.Now(), i.KnockInbox, bits)
	return sealed, nil, err
}
