package present

import (
	"context"
	"errors"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// Waiting times before the client is asked again after its events ended.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// batchSize bounds how many events one drawing takes in, so that a flood of them
// leaves the main loop time for the person.
const batchSize = 256

var errEventsEnded = errors.New("the events ended")

// follow keeps the window up to date until it is gone, or until the client is
// closed: then it looks for the profile again.
func (w *Window) follow(api client.API) {
	wait := firstRetry
	for {
		started := time.Now()
		err := w.events(api)
		if w.ctx.Err() != nil {
			return
		}
		if errors.Is(err, client.ErrClosed) {
			w.later(w.forget)
			return
		}
		if time.Since(started) > lastRetry {
			wait = firstRetry
		}
		if wait == firstRetry && !errors.Is(err, errEventsEnded) {
			w.later(func() { w.say(problem(tr.T("The messenger does not answer"), err)) })
		}
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
}

// forget leaves a client that is closed.
func (w *Window) forget() {
	w.clear()
	w.api, w.begun = nil, false
	w.attach()
}

// clear drops everything that belongs to an open profile.
func (w *Window) clear() {
	w.chat, w.dialog = nil, Dialog{}
	w.search, w.pending = search{count: w.search.count + 1}, nil
	clear(w.hidden)
	clear(w.hiddenContacts)
	clear(w.drafts)
	clear(w.composing)
	clear(w.typing)
	clear(w.faces)
	w.contacts = map[identity.PeerID]client.Contact{}
	w.outbox = outbox{}
	w.toast = Toast{Seq: w.toast.Seq}
	w.refreshing, w.stale = false, false
}

// events loads everything and follows the client's events to their end.
func (w *Window) events(api client.API) error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	events, err := api.Subscribe(ctx) // first, so that nothing happens unseen
	if err != nil {
		return err
	}
	if b, ok := api.(beforeLocker); ok {
		b.BeforeLock(w.beforeLock)
	}
	all, err := load(ctx, api)
	if err != nil && !errors.Is(err, client.ErrLocked) {
		return err
	}
	w.laterAndWait(func() {
		if w.api != api {
			return
		}
		if err != nil {
			w.locked(true)
			return
		}
		w.take(all)
		if !w.begun {
			w.begun = true
			w.begin()
		}
	})
	for e := range events {
		batch := append(make([]client.Event, 0, 16), e)
	more:
		for len(batch) < batchSize {
			select {
			case e, ok := <-events:
				if !ok {
					break more
				}
				batch = append(batch, e)
			default:
				break more
			}
		}
		w.laterAndWait(func() {
			if w.api != api {
				return
			}
			for _, e := range batch {
				w.event(e)
			}
		})
	}
	return errEventsEnded
}

// laterAndWait is later, and returns when f ran or the window is gone. A main
// loop that is busy is thereby given one batch at a time.
func (w *Window) laterAndWait(f func()) {
	done := make(chan struct{})
	w.later(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-w.ctx.Done():
	}
}

func (w *Window) event(e client.Event) {
	switch e := e.(type) {
	case client.MessageEvent:
		w.message(e.Message)
	case client.DeliveryEvent:
		if w.chat != nil && w.chat.id == e.Contact {
			w.chat.delivery(e.ID, e.State)
		}
	case client.PathEvent:
		if c, ok := w.contacts[e.Path.Contact]; ok {
			c.Path = e.Path
			w.contacts[c.ID] = c
		}
	case client.ContactEvent:
		w.contacts[e.Contact.ID] = e.Contact
		w.fetchFaces()
		w.refresh()
	case client.ServerEvent:
		w.server(e.Server)
	case client.NotificationEvent:
		w.notify(e)
	case client.WithdrawEvent:
		w.withdraw(e.Contact)
	case client.FileEvent:
		w.file(e.File)
	case client.ChangeEvent:
		w.changed(e.Message)
		w.refresh()
	case client.RemovalEvent:
		w.removed(e)
	case client.TypingEvent:
		w.peerTyping(e)
	case client.LockEvent:
		w.locked(e.Locked)
	case client.SettingsEvent:
		w.settings = e.Settings
	case client.ContactGoneEvent:
		delete(w.contacts, e.Contact)
		delete(w.hiddenContacts, e.Contact)
		if w.chat != nil && w.chat.id == e.Contact {
			w.chat.draftDirty = false
			w.closeChat()
		}
	}
}

// message takes in a message, new or known.
func (w *Window) message(m client.Message) {
	if c, ok := w.contacts[m.Contact]; ok && !m.SentAt.Before(c.LastAt) {
		c.LastText, c.LastAt = m.Text, shownTime(m)
		w.contacts[c.ID] = c
	}
	delete(w.typing, m.Contact)
	key := ""
	if m.Mine {
		key = w.outbox.stored(m)
	}
	if w.chat != nil && w.chat.id == m.Contact {
		w.chat.add(m, key)
		w.chat.dropFirst(2 * chatSize) // rarely, because one may be looking at them
		w.picturesOf(w.chat)
		w.markRead()
	}
	w.refresh()
}

// SetActive tells whether the window has the person's attention. What arrives
// meanwhile in the open conversation counts as read only then.
func (w *Window) SetActive(active bool) {
	w.active = active
	w.markRead()
}

// markRead tells the client that the open conversation is being read: it takes
// reading the newest messages for that (spec §8.4).
func (w *Window) markRead() {
	if !w.active || w.chat == nil || w.chat.loading {
		return
	}
	c := w.chat
	w.load(c, client.HistoryQuery{Limit: 1}, func(int) {
		o := w.contacts[c.id]
		o.Unread = 0
		w.contacts[c.id] = o
	})
}

func (w *Window) server(s client.Server) {
	servers := make([]client.Server, 0, len(w.me.Servers)+1)
	found := false
	for _, o := range w.me.Servers {
		if o.Address == s.Address {
			o, found = s, true
		}
		servers = append(servers, o)
	}
	if !found {
		servers = append(servers, s)
	}
	w.me.Servers = servers
}

// refresh lists the contacts again, because the client alone knows what is
// unread. One listing runs at a time, and one more follows if it came too early.
func (w *Window) refresh() {
	if w.refreshing {
		w.stale = true
		return
	}
	w.refreshing, w.stale = true, false
	api := w.api
	w.do(func(ctx context.Context) func() {
		contacts, err := api.Contacts(ctx)
		return func() {
			if w.api != api {
				return
			}
			w.refreshing = false
			if err == nil {
				w.setContacts(contacts)
			}
			if w.stale {
				w.refresh()
			}
		}
	})
}

func (w *Window) setContacts(contacts []client.Contact) {
	w.contacts = make(map[identity.PeerID]client.Contact, len(contacts)+1)
	// One can always write to oneself, also before there is a note.
	w.contacts[w.me.ID] = client.Contact{ID: w.me.ID, Name: w.me.Name, Self: true, Trust: client.Trusted, FirstSeen: w.me.Created, Picture: w.me.Picture}
	for _, c := range contacts {
		w.contacts[c.ID] = c
	}
	w.fetchFaces()
}
