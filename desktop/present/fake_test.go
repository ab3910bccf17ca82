package present

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// Every call of the fake client takes this long, in a bubble's time.
const callTime = time.Second

var (
	alice = identity.PeerID{1}
	bob   = identity.PeerID{2}
	carol = identity.PeerID{3}
)

// fakeAPI is a client without a network.
type fakeAPI struct {
	client.API // nil: what is not set here is not called

	mu       sync.Mutex // guards everything below
	contacts []client.Contact
	history  map[identity.PeerID][]client.Message
	before   func(context.Context) // of BeforeLock
	servers  []client.Server
	sent     []string
	fail     error // of every call but Subscribe
	closed   bool  // Subscribe says ErrClosed
	calls    map[string]int
	sub      chan client.Event
	quick    bool // Send's event is quicker than its answer
	typed    []bool
	keys     client.Keys
	files    []client.File
	phrase   string
	offered  []string // paths of files

	announced  []client.AnnouncedServer
	page       client.BrowsePage
	browsed    []client.BrowseQuery
	neighbours []client.Neighbour
	picture    string   // our own
	pictured   []string // paths that SetPicture was given
	settings   client.Settings
}

func newFake() *fakeAPI {
	return &fakeAPI{settings: client.DefaultSettings(), history: map[identity.PeerID][]client.Message{}, calls: map[string]int{}, contacts: []client.Contact{
		{ID: bob, Name: "Bob", Trust: client.Trusted}, {ID: carol, Name: "Carol", Trust: client.Trusted},
	}}
}

func (f *fakeAPI) call(ctx context.Context, name string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(callTime):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name]++
	return f.fail
}

func (f *fakeAPI) set(change func(f *fakeAPI)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeAPI) WhoAmI(ctx context.Context) (client.Me, error) {
	err := f.call(ctx, "whoami")
	f.mu.Lock()
	defer f.mu.Unlock()
	return client.Me{ID: alice, Name: "Alice", Picture: f.picture, Servers: slices.Clone(f.servers)}, err
}

func (f *fakeAPI) Picture(ctx context.Context, of identity.PeerID) ([]byte, error) {
	if err := f.call(ctx, "picture"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if of == alice {
		return []byte("jpeg " + f.picture), nil
	}
	for _, c := range f.contacts {
		if c.ID == of && c.Picture != "" {
			return []byte("jpeg " + c.Picture), nil
		}
	}
	return nil, client.ErrNoPicture
}

func (f *fakeAPI) SetPicture(ctx context.Context, path string) (client.Me, error) {
	if err := f.call(ctx, "setpicture"); err != nil {
		return client.Me{}, err
	}
	f.set(func(f *fakeAPI) { f.picture, f.pictured = path, append(f.pictured, path) })
	return client.Me{ID: alice, Name: "Alice", Picture: path}, nil
}

func (f *fakeAPI) Invite(ctx context.Context, o client.InviteOptions) (client.Invite, error) {
	err := f.call(ctx, "invite")
	words := ""
	if o.Words {
		words = "one two three"
	}
	uri := "sremp:abc234"
	if o.Ask {
		uri = "sremp:ask234"
	}
	return client.Invite{URI: uri, Words: words, Expires: time.Now().Add(7 * 24 * time.Hour)}, err
}

func (f *fakeAPI) Add(ctx context.Context, uri, nick string) (client.Contact, error) {
	c := client.Contact{ID: identity.PeerID{9}, Name: "Dora", Nick: nick, Trust: client.Trusted, FirstSeen: time.Now()}
	if err := f.call(ctx, "add"); err != nil {
		return client.Contact{}, err
	}
	f.set(func(f *fakeAPI) { f.contacts = append(f.contacts, c) })
	return c, nil
}

func (f *fakeAPI) Keys(ctx context.Context) (client.Keys, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys, nil
}

func (f *fakeAPI) Settings(ctx context.Context) (client.Settings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls["settings"]++
	return f.settings, nil
}

func (f *fakeAPI) SetSettings(ctx context.Context, s client.Settings) error {
	if err := f.call(ctx, "setsettings"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) { f.settings = s })
	return nil
}

func (f *fakeAPI) Lock(ctx context.Context) error {
	if err := f.call(ctx, "lock"); err != nil {
		return err
	}
	f.emit(client.LockEvent{Locked: true})
	return nil
}

func (f *fakeAPI) BeforeLock(before func(context.Context)) {
	f.set(func(f *fakeAPI) { f.before = before })
}

// lockByAnother locks as a command does, or the time that has passed.
func (f *fakeAPI) lockByAnother(ctx context.Context) {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	before(ctx)
	f.emit(client.LockEvent{Locked: true})
}

func (f *fakeAPI) Unlock(context.Context, client.Unlock) error { return nil }

func (f *fakeAPI) Locked(context.Context) (bool, error) { return false, nil }

func (f *fakeAPI) Contacts(ctx context.Context) ([]client.Contact, error) {
	err := f.call(ctx, "contacts")
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.contacts), err
}

func (f *fakeAPI) SendDraft(ctx context.Context, to identity.PeerID, d client.Draft) (client.Message, error) {
	now, text := time.Now(), d.Text
	f.mu.Lock()
	n := len(f.sent) + 1
	m := client.Message{
		ID: client.MessageID{byte(n)}, Contact: to, From: alice, Mine: true, Text: text, SentAt: now, Seq: int64(1000 + n),
		ReplyTo: d.ReplyTo,
	}
	if f.quick {
		f.sub <- client.MessageEvent{Message: m}
	}
	f.mu.Unlock()
	if err := f.call(ctx, "send"); err != nil {
		return client.Message{}, err
	}
	f.set(func(f *fakeAPI) { f.sent = append(f.sent, text) })
	return m, nil
}

func (f *fakeAPI) History(ctx context.Context, with identity.PeerID, q client.HistoryQuery) ([]client.Message, error) {
	err := f.call(ctx, "history")
	f.mu.Lock()
	defer f.mu.Unlock()
	var page []client.Message
	for _, m := range f.history[with] {
		if (q.Before == 0 || m.Seq < q.Before) && (!q.Forward || m.Seq > q.After) {
			page = append(page, m)
		}
	}
	if q.Forward {
		return slices.Clone(page[:min(len(page), q.Limit)]), err
	}
	return slices.Clone(page[max(0, len(page)-q.Limit):]), err
}

func (f *fakeAPI) SetContact(ctx context.Context, id identity.PeerID, s client.ContactSettings) (client.Contact, error) {
	if err := f.call(ctx, "setcontact"); err != nil {
		return client.Contact{}, err
	}
	return f.change(id, func(c *client.Contact) {
		set(&c.Nick, s.Nick)
		set(&c.Draft, s.Draft)
		set(&c.Pinned, s.Pinned)
		set(&c.Archived, s.Archived)
		set(&c.RelayOnly, s.RelayOnly)
	}), nil
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// change alters a contact.
func (f *fakeAPI) change(id identity.PeerID, how func(*client.Contact)) client.Contact {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.contacts {
		if f.contacts[i].ID == id {
			how(&f.contacts[i])
			return f.contacts[i]
		}
	}
	return client.Contact{}
}

func (f *fakeAPI) SetTrust(ctx context.Context, id identity.PeerID, t client.TrustState) error {
	if err := f.call(ctx, "settrust"); err != nil {
		return err
	}
	f.change(id, func(c *client.Contact) { c.Trust = t })
	return nil
}

func (f *fakeAPI) Verification(ctx context.Context, id identity.PeerID) (client.Verification, error) {
	err := f.call(ctx, "verification")
	v := client.Verification{Words: [12]string{"able", "baker"}, Code: "code"}
	f.change(id, func(c *client.Contact) { v.Verified = c.Verified })
	return v, err
}

func (f *fakeAPI) Verify(ctx context.Context, id identity.PeerID, proof string) error {
	if err := f.call(ctx, "verify"); err != nil {
		return err
	}
	switch strings.TrimSpace(proof) {
	case "":
		f.change(id, func(c *client.Contact) { c.Verified = time.Time{} })
	case "able baker":
		f.change(id, func(c *client.Contact) { c.Verified = time.Now() })
	default:
		return client.ErrNotSame
	}
	return nil
}

func (f *fakeAPI) SendFile(ctx context.Context, to identity.PeerID, d client.FileDraft) (client.Message, error) {
	f.set(func(f *fakeAPI) { f.offered = append(f.offered, d.Path) })
	if err := f.call(ctx, "sendfile"); err != nil {
		return client.Message{}, err
	}
	m := client.Message{
		ID: client.MessageID{0xf1}, Contact: to, Mine: true, Text: "plan.png", SentAt: time.Now(), Seq: 5000, ReplyTo: d.ReplyTo,
		File: &client.File{ID: client.MessageID{0xf1}, Contact: to, Mine: true, Name: "plan.png", Size: 2_500_000, Preview: true},
	}
	return m, nil
}

func (f *fakeAPI) ControlFile(ctx context.Context, with identity.PeerID, id client.MessageID, a client.FileAction) (client.File, error) {
	if err := f.call(ctx, string(a)); err != nil {
		return client.File{}, err
	}
	return client.File{ID: id, Contact: with, Name: "x.bin", Size: 1000, Done: 400, State: client.FilePaused}, nil
}

func (f *fakeAPI) FilePreview(ctx context.Context, _ identity.PeerID, _ client.MessageID) ([]byte, error) {
	return []byte("jpeg"), f.call(ctx, "preview")
}

func (f *fakeAPI) SetTyping(ctx context.Context, _ identity.PeerID, on bool) error {
	f.set(func(f *fakeAPI) { f.typed = append(f.typed, on) })
	return f.call(ctx, "typing")
}

// own returns the message with an id, for Edit and React.
func (f *fakeAPI) own(id client.MessageID, how func(*client.Message)) (client.Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.history {
		for i := range h {
			if h[i].ID == id {
				how(&h[i])
				return h[i], nil
			}
		}
	}
	return client.Message{}, client.ErrNoMessage
}

func (f *fakeAPI) Edit(ctx context.Context, _ identity.PeerID, id client.MessageID, text string) (client.Message, error) {
	if err := f.call(ctx, "edit"); err != nil {
		return client.Message{}, err
	}
	return f.own(id, func(m *client.Message) { m.Text, m.EditedAt = text, time.Now() })
}

func (f *fakeAPI) React(ctx context.Context, _ identity.PeerID, id client.MessageID, emoji string) (client.Message, error) {
	if err := f.call(ctx, "react"); err != nil {
		return client.Message{}, err
	}
	return f.own(id, func(m *client.Message) { m.MyReaction = emoji })
}

func (f *fakeAPI) Delete(ctx context.Context, with identity.PeerID, ids []client.MessageID, everywhere bool) error {
	if err := f.call(ctx, "delete"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) {
		f.history[with] = slices.DeleteFunc(f.history[with], func(m client.Message) bool { return slices.Contains(ids, m.ID) })
	})
	f.emit(client.RemovalEvent{Contact: with, IDs: ids})
	return nil
}

func (f *fakeAPI) DeleteHistory(ctx context.Context, with identity.PeerID) error {
	if err := f.call(ctx, "deletehistory"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) { delete(f.history, with) })
	f.emit(client.RemovalEvent{Contact: with})
	return nil
}

func (f *fakeAPI) DeleteContact(ctx context.Context, id identity.PeerID) error {
	if err := f.call(ctx, "deletecontact"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) {
		f.contacts = slices.DeleteFunc(f.contacts, func(c client.Contact) bool { return c.ID == id })
	})
	f.emit(client.ContactGoneEvent{Contact: id})
	return nil
}

func (f *fakeAPI) MarkRead(ctx context.Context, _ identity.PeerID, _ bool) error {
	return f.call(ctx, "markread")
}

func (f *fakeAPI) Search(ctx context.Context, q client.SearchQuery) (found []client.Message, err error) {
	err = f.call(ctx, "search")
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range []identity.PeerID{bob, carol} {
		for _, m := range f.history[id] {
			if strings.Contains(strings.ToLower(m.Text), strings.ToLower(q.Text)) {
				found = append(found, m)
			}
		}
	}
	return found, err
}

func (f *fakeAPI) Path(ctx context.Context, to identity.PeerID) (client.Path, error) {
	return client.Path{Contact: to}, f.call(ctx, "path")
}

func (f *fakeAPI) AddServer(ctx context.Context, a identity.ServerAddr) error {
	if err := f.call(ctx, "addserver"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) { f.servers = append(f.servers, client.Server{Address: a}) })
	return nil
}

func (f *fakeAPI) Servers(ctx context.Context) ([]client.Server, error) {
	err := f.call(ctx, "servers")
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.servers), err
}

func (f *fakeAPI) Subscribe(ctx context.Context) (<-chan client.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, client.ErrClosed
	}
	in, out := make(chan client.Event, 4096), make(chan client.Event)
	f.sub = in
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-in:
				if !ok {
					return
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

func (f *fakeAPI) emit(events ...client.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		f.sub <- e
	}
}

// incoming is a message of a contact; n is its number.
func incoming(from identity.PeerID, n int, text string, at time.Time) client.Message {
	return client.Message{ID: client.MessageID{0xff, byte(n), byte(n >> 8)}, Contact: from, From: from, Text: text, SentAt: at, ReceivedAt: at, Seq: int64(n)}
}

// fakeProfile has a client already, unless it says otherwise.
type fakeProfile struct {
	api           *fakeAPI
	attach        error
	open          error // of Create and Unlock
	hasPassphrase bool
	name, phrase  string
	reopen        func(identity.PeerID) bool
	kit           string
}

func (p *fakeProfile) Attach(ctx context.Context) (client.API, error) {
	if p.attach != nil {
		return nil, p.attach
	}
	return p.api, nil
}

func (p *fakeProfile) Create(ctx context.Context, name, passphrase string) (client.API, error) {
	p.name = name
	return p.Unlock(ctx, client.Unlock{Passphrase: &passphrase})
}

func (p *fakeProfile) Unlock(ctx context.Context, u client.Unlock) (client.API, error) {
	if p.phrase, p.kit = "", u.Kit; u.Passphrase != nil {
		p.phrase = *u.Passphrase
	}
	time.Sleep(callTime)
	if p.open != nil {
		return nil, p.open
	}
	return p.api, nil
}

func (p *fakeProfile) HasPassphrase() bool { return p.hasPassphrase }

// A ui is a main loop: what was posted waits until the test runs it.
type ui struct {
	*Window
	t     *testing.T
	api   *fakeAPI
	queue chan func()
	views []View
	close context.CancelFunc
	desk  fakeDesk
}

// newUI makes a window and starts it.
func newUI(t *testing.T, p *fakeProfile) *ui { return newUIWith(t, p, p.api, p.reopen) }

func newUIWith(t *testing.T, p Profile, api *fakeAPI, reopen func(identity.PeerID) bool) *ui {
	ctx, cancel := context.WithCancel(t.Context())
	u := &ui{t: t, api: api, queue: make(chan func(), 10000), close: cancel}
	u.Window = NewWindow(ctx, Config{
		Profile: p, Zone: time.UTC, Desk: &u.desk, Reopen: reopen,
		Post: func(f func()) { u.queue <- f },
		Draw: func(v View) { u.views = append(u.views, v) },
	})
	t.Cleanup(u.Window.Close)
	u.Start()
	return u
}

// run lets d pass, running what is posted at its time.
func (u *ui) run(d time.Duration) {
	u.t.Helper()
	end := time.Now().Add(d)
	for {
		synctest.Wait()
		for len(u.queue) > 0 {
			(<-u.queue)()
			synctest.Wait()
		}
		if !time.Now().Before(end) {
			return
		}
		time.Sleep(min(callTime/4, time.Until(end)))
	}
}

func (u *ui) last() View { return u.views[len(u.views)-1] }

// bubble runs f in a bubble with a window that shows the main page.
func bubble(t *testing.T, f func(t *testing.T, u *ui)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		u := newUI(t, &fakeProfile{api: newFake(), hasPassphrase: true})
		u.run(5 * callTime)
		f(t, u)
	})
}

// people are the contacts without the note to self.
func people(rows []Contact) []Contact {
	return slices.DeleteFunc(slices.Clone(rows), func(c Contact) bool { return c.Self })
}

// texts returns the messages' rows as text, with their ticks.
func texts(rows []Row) (s []string) {
	for _, r := range rows {
		if r.Kind == MessageRow {
			s = append(s, r.Text+r.Tick.Sign)
		}
	}
	return s
}

func (f *fakeAPI) Listing(ctx context.Context) (client.Listing, error) { return client.Listing{}, nil }

func (f *fakeAPI) Visible(ctx context.Context) (bool, error) { return false, nil }

func (f *fakeAPI) Files(context.Context, identity.PeerID) ([]client.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.files), nil
}

func (f *fakeAPI) ChangePassphrase(ctx context.Context, passphrase []byte) error {
	if err := f.call(ctx, "passphrase"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) { f.phrase = string(passphrase) })
	return nil
}

func (f *fakeAPI) RecoveryKit(ctx context.Context) (words []string, err error) {
	for i := range 24 {
		words = append(words, fmt.Sprintf("w%d", i+1))
	}
	return words, f.call(ctx, "kit")
}

func (f *fakeAPI) ForgetKit(ctx context.Context) error { return f.call(ctx, "forgetkit") }

func (f *fakeAPI) Announced(ctx context.Context) ([]client.AnnouncedServer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.announced), nil
}

func (f *fakeAPI) RemoveServer(ctx context.Context, a identity.ServerAddr) error {
	if err := f.call(ctx, "removeserver"); err != nil {
		return err
	}
	f.set(func(f *fakeAPI) {
		f.servers = slices.DeleteFunc(f.servers, func(s client.Server) bool { return s.Address == a })
	})
	return nil
}

func (f *fakeAPI) Browse(ctx context.Context, q client.BrowseQuery) (client.BrowsePage, error) {
	f.set(func(f *fakeAPI) { f.browsed = append(f.browsed, q) })
	return f.page, f.call(ctx, "browse")
}

func (f *fakeAPI) Neighbours(ctx context.Context) ([]client.Neighbour, error) {
	return f.neighbours, f.call(ctx, "neighbours")
}

func (f *fakeAPI) SetVisible(ctx context.Context, on bool) error { return f.call(ctx, "setvisible") }
