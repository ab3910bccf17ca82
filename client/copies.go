package client

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
)

// Two live copies of one profile, because a disk was copied or a snapshot brought
// back, would use the same ratchet keys. They notice each other by notes that
// each leaves for itself at its relays (spec §8.25).
const (
	contextNoteInbox = "SREMP v1 own inbox"
	contextNoteToken = "SREMP v1 own inbox token"
	contextNoteKey   = "SREMP v1 own note key"
	contextNote      = "SREMP v1 own note"

	keptInstances = 64
	noteSize      = 1024 // as small mail is
)

// An instance is one opening of a profile.
type instance = MessageID

// newInstance notes that the profile was opened. It is stored before anything is
// connected: a copy made later knows of it.
func (k *core) newInstance(ctx context.Context) error {
	p := &k.profile
	if p.NoteSecret.isZero() {
		p.NoteSecret = randomSecret()
	}
	var i instance
	rand.Read(i[:])
	p.Instances = append(p.Instances, i)
	p.Instances = p.Instances[max(0, len(p.Instances)-keptInstances):]
	return k.v.store.Apply(ctx, []Change{k.v.putJSON(TableSettings, 0, settingProfile, *p)})
}

// noteInbox is the inbox for our own notes at a relay, its token, and the key.
func (p *profile) noteInbox(id identity.ServerID) (inbox, token, key [32]byte) {
	secret := p.NoteSecret.bytes()
	derive := func(context string) [32]byte {
		k, err := hkdf.Key(sha256.New, secret[:], id[:], context, 32)
		if err != nil {
			panic(err)
		}
		return [32]byte(k)
	}
	return derive(contextNoteInbox), derive(contextNoteToken), derive(contextNoteKey)
}

// leaveNote leaves a note of this opening with a relay of ours, once.
func (n *network) leaveNote(ctx context.Context, a identity.ServerAddr) {
	n.mu.Lock()
	done := n.noted[a.ID]
	n.mu.Unlock()
	if done {
		return
	}
	var inbox, token, key [32]byte
	plain := make([]byte, noteSize)
	err := n.c.do(ctx, func(k *core) error {
		inbox, token, key = k.profile.noteInbox(a.ID)
		copy(plain, k.profile.Instances[len(k.profile.Instances)-1][:])
		return nil
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		var s *relay.Sender
		if s, err = n.sender(ctx, a); err == nil {
			_, err = s.Store(ctx, inbox, token, sealBox(keyAEAD(key), contextNote, plain))
		}
	}
	if err != nil { // with the next connection
		n.c.log.Debug("no note was left", "server", a.HostPort(), "err", err)
		return
	}
	n.mu.Lock()
	n.noted[a.ID] = true
	n.mu.Unlock()
}

// takeNote looks at mail for ourselves. keep is true for the newest note of ours,
// which other copies are to find; done is false if the mail is no note.
func (k *core) takeNote(relayID identity.ServerID, m relay.Mail) (keep, done bool) {
	inbox, _, key := k.profile.noteInbox(relayID)
	if m.Inbox != inbox {
		return false, false
	}
	plain, err := openBox(keyAEAD(key), contextNote, m.Blob)
	if err != nil || len(plain) < len(instance{}) {
		return false, true
	}
	i := instance(plain[:len(instance{})])
	p := &k.profile
	if at := slices.Index(p.Instances, i); at >= 0 {
		return at == len(p.Instances)-1, true
	}
	p.CopySeen, k.dirtyProfile = k.now(), true
	k.c.log.Warn("another copy of this profile is in use")
	k.emit(NotificationEvent{
		Kind: NotifyCopy, Title: "Another copy of this profile is in use",
		Body: "Stop one of the two: together they lose messages. If the other is not yours, restore a backup with the recovery kit.",
	})
	return false, true
}
