package present

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// A Profile is the directory with a person's keys and history. Its methods are
// called on goroutines, one at a time.
type Profile interface {
	// Attach returns the client if that needs no answer of a person, else
	// client.ErrNoProfile or ErrLocked.
	Attach(ctx context.Context) (client.API, error)
	// Create makes the profile and returns its client. The passphrase may be
	// empty, and is not looked at if HasPassphrase.
	Create(ctx context.Context, name, passphrase string) (client.API, error)
	// Unlock returns the client of an existing profile: the one from before if
	// that was locked.
	Unlock(ctx context.Context, u client.Unlock) (client.API, error)
	// HasPassphrase reports whether Create needs none: one was given beforehand,
	// or the desktop's keyring keeps a key, as far as Attach and Create have
	// seen. It must not block.
	HasPassphrase() bool
}

// Config is what a window needs.
type Config struct {
	Profile Profile
	Post    func(func())   // runs a func on the main loop, in order; must not block
	Draw    func(View)     // called on the main loop
	Zone    *time.Location // for times; nil means time.Local
	Desk    Desk           // may be nil
	// Reopen says which conversation to begin with, of several the newest; nil: none.
	Reopen  func(identity.PeerID) bool
	Toolkit string // name and version, for the person
}

// A Host is a [Profile] that does what only a program on this computer can. Its
// methods may block unless they say otherwise.
type Host interface {
	// ProfileSize returns how many bytes the profile's directory has.
	ProfileSize() int64
	// Documents returns the folder where a person looks for files. It must not
	// block.
	Documents() string
	// About returns versions and the like; What is looked up in the
	// translations. It must not block.
	About() []Fact
	// Restore makes the profile of a backup. The words of the kit open it, or,
	// without a kit, the passphrase, which opens the new profile as well.
	Restore(ctx context.Context, backup, kit, passphrase string) (client.API, client.Restored, error)
	// Keep stores a picture that has no file yet and returns its path.
	Keep(png []byte) (path string, err error)
	// Examine returns what the doctor finds out about this network.
	Examine(ctx context.Context) ([]Finding, error)
	// Serve runs a server on this computer, from now on whenever the profile is
	// open, and returns its address. public is where others reach it; empty: at
	// this computer's address.
	Serve(ctx context.Context, listen, public string) (address string, err error)
	// StopServing ends it, for good.
	StopServing() error
	// Serving returns the address of the server that runs; empty: none.
	Serving() string
}

// A Window presents the whole window. See the package's comment for who may
// call its methods.
type Window struct {
	config Config
	host   Host // nil if the profile is none
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// The rest is owned by the main loop.
	stage    Stage
	busy     bool
	problem  string
	warned   bool // Welcome: what an empty passphrase means
	api      client.API
	me       client.Me
	keys     client.Keys // who can open the profile
	settings client.Settings
	touched  time.Time // when the person last did something
	told     time.Time // when the client was told so
	locking  bool      // by the person; what was begun is stored already
	contacts map[identity.PeerID]client.Contact
	chat     *chat
	outbox   outbox
	names    map[string]int // how many contacts look so
	faces    map[identity.PeerID]face
	drafts   map[identity.PeerID]string
	// composing is what was begun in conversations that were left.
	composing map[identity.PeerID]compose
	swaps     int // counts what View.Chat.Drafts shows
	dialog    Dialog
	form      form // of a dialog of fields
	listing   client.Listing
	portrait  *Picture // of listing
	visible   bool     // on the local network
	stored    storage
	found     found
	servers   servers
	findings  []Finding
	active    bool
	about     identity.PeerID // whom the dialog is about
	asked     int             // counts dialogs, so that a late answer finds its own
	toast     Toast

	filter         Filter
	search         search
	typing         map[identity.PeerID]time.Time // until when they count as writing
	hidden         map[client.MessageID]bool     // about to be deleted
	hiddenContacts map[identity.PeerID]bool
	pending        *pending
	jumps          int // counts what View.Chat.Jump shows
	unread         int // what the desk was told
	begun          bool
	link           string // to be opened when the profile is

	refreshing, stale bool // a listing of the contacts is under way, and outdated already
}

// closeTime bounds what is still done at the end.
const closeTime = 5 * time.Second

// NewWindow returns a window that works until ctx is done or Close.
func NewWindow(ctx context.Context, c Config) *Window {
	if c.Zone == nil {
		c.Zone = time.Local
	}
	ctx, cancel := context.WithCancel(ctx)
	host, _ := c.Profile.(Host)
	return &Window{
		config: c, host: host, ctx: ctx, cancel: cancel,
		contacts: map[identity.PeerID]client.Contact{},
		names:    map[string]int{},
		faces:    map[identity.PeerID]face{},
		drafts:   map[identity.PeerID]string{}, composing: map[identity.PeerID]compose{},
		typing: map[identity.PeerID]time.Time{},
		hidden: map[client.MessageID]bool{}, hiddenContacts: map[identity.PeerID]bool{},
	}
}

// Start draws the first view and looks for the profile.
func (w *Window) Start() {
	w.wg.Go(w.midnights)
	w.wg.Go(w.idles)
	w.attach()
}

// Close drops everything that is under way and waits for its goroutines. Nothing
// is drawn afterwards. What was deleted and not taken back is deleted.
func (w *Window) Close() {
	if w.api != nil && w.stage == Main {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), closeTime)
		w.finish()(ctx) // the person is gone; what is not deleted is seen at the next start
		cancel()
	}
	w.cancel()
	w.wg.Wait()
}

// do runs f on a goroutine and what it returns on the main loop, unless the
// window is gone by then.
func (w *Window) do(f func(ctx context.Context) func()) {
	w.wg.Go(func() { w.later(f(w.ctx)) })
}

// later runs f on the main loop and redraws, unless the window is gone by then.
func (w *Window) later(f func()) {
	w.config.Post(func() {
		if w.ctx.Err() != nil {
			return // the widgets may be gone, too
		}
		f()
		w.redraw()
	})
}

func (w *Window) now() time.Time { return time.Now().In(w.config.Zone) }

// midnights redraws when "Today" gets another meaning.
func (w *Window) midnights() {
	for {
		now := w.now()
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(midnight(now).Sub(now)):
			w.later(func() {})
		}
	}
}

func (w *Window) attach() {
	w.stage, w.busy = Starting, true
	w.redraw()
	w.do(func(ctx context.Context) func() {
		api, err := w.config.Profile.Attach(ctx)
		return func() {
			w.busy, w.problem = false, ""
			switch {
			case err == nil:
				w.connect(api)
			case errors.Is(err, client.ErrNoProfile):
				w.stage = Welcome
			case errors.Is(err, ErrLocked):
				w.stage = Locked
			default:
				w.stage, w.problem = Locked, problem(tr.T("The profile could not be opened"), err)
			}
		}
	})
}

// Create answers the first question.
func (w *Window) Create(name, passphrase string) {
	name = strings.TrimSpace(name)
	switch {
	case w.stage != Welcome || w.busy:
		return
	case name == "":
		w.refuse(tr.T("Type the name under which others will see you."))
		return
	}
	if passphrase == "" && !w.warned && !w.config.Profile.HasPassphrase() {
		w.warned = true
		w.refuse(tr.T("Without a passphrase, whoever gets at this computer can read your messages and write in your name."))
		return
	}
	w.open(tr.T("The profile could not be made"), func(ctx context.Context) (client.API, error) {
		return w.config.Profile.Create(ctx, name, passphrase)
	})
}

func (w *Window) refuse(why string) {
	w.problem = why
	w.redraw()
}

func (w *Window) open(doing string, f func(ctx context.Context) (client.API, error)) {
	w.busy, w.problem = true, ""
	w.redraw()
	w.do(func(ctx context.Context) func() {
		api, err := f(ctx)
		return func() {
			w.busy = false
			switch {
			case w.stage == Welcome && errors.Is(err, client.ErrKeyring):
				w.problem = tr.T("The desktop's keyring keeps no key now. Choose a passphrase instead.")
			case err != nil:
				w.problem = problem(doing, err)
			default:
				w.connect(api)
			}
		}
	})
}

// connect shows the main page of a client. One that was locked is followed
// already.
func (w *Window) connect(api client.API) {
	known := w.api == api
	w.stage, w.api, w.problem, w.touched = Main, api, "", time.Now()
	if known {
		w.reload()
		return
	}
	w.wg.Go(func() { w.follow(api) })
}

// Select opens the conversation with a contact.
func (w *Window) Select(id identity.PeerID) {
	if _, ok := w.contacts[id]; !ok || w.chat != nil && w.chat.id == id {
		return
	}
	w.openChat(id)
	w.redraw()
}

// say shows a toast with the next drawing.
func (w *Window) say(text string) { w.toast = Toast{Seq: w.toast.Seq + 1, Text: text} }
