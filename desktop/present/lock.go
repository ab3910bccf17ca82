package present

import (
	"context"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// Unlock answers the question for the passphrase. The words of the recovery kit
// do as well, and so does the keyring with nothing at all if KeyringOpens.
func (w *Window) Unlock(answer string) {
	if w.stage != Locked || w.busy {
		return
	}
	u := client.Unlock{Passphrase: &answer}
	if _, err := identity.ParseKit(answer); err == nil {
		u = client.Unlock{Kit: strings.TrimSpace(answer)}
	} else if answer == "" && w.keyringOpens() {
		u = client.Unlock{}
	}
	w.open(tr.T("The profile could not be opened"), func(ctx context.Context) (client.API, error) {
		return w.config.Profile.Unlock(ctx, u)
	})
}

// keyringOpens reports whether what was locked needs no passphrase.
func (w *Window) keyringOpens() bool { return w.api != nil && w.keys.Keyring }

// Lock forgets all keys until somebody unlocks the profile again.
func (w *Window) Lock() {
	l, ok := w.api.(client.Locking)
	if !ok || w.stage != Main {
		return
	}
	finish := w.finish()
	w.locking = true
	w.do(func(ctx context.Context) func() {
		finish(ctx) // first: what is locked takes nothing
		err := l.Lock(ctx)
		return func() {
			w.locking = false
			if err != nil {
				w.say(problem(tr.T("The profile could not be locked"), err))
			}
		}
	})
}

// A beforeLocker is a client that says when it is about to be locked by somebody
// else: a command, or the time that has passed.
type beforeLocker interface {
	BeforeLock(f func(ctx context.Context))
}

// beforeLock stores what was begun. It is called by the client, on a goroutine of
// its own.
func (w *Window) beforeLock(ctx context.Context) {
	begun := make(chan func(context.Context), 1)
	w.config.Post(func() {
		if w.ctx.Err() != nil || w.stage != Main || w.locking {
			close(begun)
			return
		}
		begun <- w.finish()
	})
	select {
	case finish := <-begun:
		if finish != nil {
			finish(ctx)
		}
	case <-ctx.Done():
	}
}

// finish returns what stores all that was begun and is not stored: drafts,
// changes of messages, which become drafts, and what could be taken back still.
func (w *Window) finish() func(ctx context.Context) {
	api, p := w.api, w.pending
	if p != nil {
		w.pending, w.toast.Undo = nil, false
	}
	drafts := map[identity.PeerID]string{}
	if c := w.chat; c != nil && c.draftDirty {
		c.draftDirty = false
		drafts[c.id] = w.drafts[c.id]
	}
	w.leaveCompose()
	for id, k := range w.composing {
		if k.changed() {
			text, ok := w.drafts[id]
			if !ok {
				text = w.contacts[id].Draft
			}
			drafts[id] = strings.TrimSpace(text + "\n" + k.text)
		}
	}
	return func(ctx context.Context) {
		for id, text := range drafts {
			_, _ = api.SetContact(ctx, id, client.ContactSettings{Draft: &text}) // a lock is not put off
		}
		if p != nil {
			_ = p.do(ctx) // what is not deleted is seen again
		}
	}
}

// locked takes in that the client was locked or unlocked, by whomever.
func (w *Window) locked(on bool) {
	if !on {
		if w.stage == Locked {
			w.stage, w.problem, w.touched = Main, "", time.Now()
			w.reload()
		}
		return
	}
	w.clear()
	w.stage, w.busy, w.problem = Locked, false, ""
}

// reload asks the client for everything again.
func (w *Window) reload() {
	api := w.api
	w.do(func(ctx context.Context) func() {
		s, err := load(ctx, api)
		return func() {
			if w.api != api || w.stage != Main {
				return
			}
			if err != nil {
				w.say(problem(tr.T("The messenger does not answer"), err))
				return
			}
			w.take(s)
		}
	})
}

// A snapshot is what a window shows before anything is opened.
type snapshot struct {
	me       client.Me
	contacts []client.Contact
	keys     client.Keys
	settings client.Settings
}

func load(ctx context.Context, api client.API) (s snapshot, err error) {
	if s.me, err = api.WhoAmI(ctx); err != nil {
		return s, err
	}
	if s.keys, err = api.Keys(ctx); err != nil {
		return s, err
	}
	if s.settings, err = api.Settings(ctx); err != nil {
		return s, err
	}
	s.contacts, err = api.Contacts(ctx)
	return s, err
}

func (w *Window) take(s snapshot) {
	w.me, w.keys, w.settings = s.me, s.keys, s.settings
	w.setContacts(s.contacts)
	if w.chat != nil {
		w.loadNewest(w.chat)
	}
}

// Touch tells that the person does something: the profile does not lock itself
// meanwhile.
func (w *Window) Touch() {
	now := time.Now()
	w.touched = now
	after := time.Duration(w.settings.Lock.After)
	if w.stage != Main || after <= 0 || now.Sub(w.told) < after/4 {
		return
	}
	w.told = now
	api := w.api
	w.do(func(ctx context.Context) func() {
		_, _ = api.Settings(ctx) // any call counts as use
		return func() {}
	})
}

// idles locks the profile when nobody has done anything for the time that is
// set: what arrives meanwhile is not the person's doing.
func (w *Window) idles() {
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(idleEvery):
		}
		w.config.Post(func() {
			after := time.Duration(w.settings.Lock.After)
			if w.ctx.Err() == nil && w.stage == Main && after > 0 && time.Since(w.touched) >= after {
				w.Lock()
			}
		})
	}
}

// idleEvery is how often it is looked whether somebody is there.
const idleEvery = 5 * time.Second
