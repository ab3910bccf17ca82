package rendezvous

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

func testListing(t testing.TB, l *identity.Local) Listing {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	return Listing{Content: testContent(t, l), Note: "Analytical engines ✍", Picture: picture.Bytes()}
}

func list(t *testing.T, c *Client, l *identity.Local) {
	t.Helper()
	if err := c.List(t.Context(), time.Now(), l, testListing(t, l), 0); err != nil {
		t.Fatal(err)
	}
}

func browse(t *testing.T, c *Client, s Search) (names []string) {
	t.Helper()
	for range 100 {
		page, err := c.Browse(t.Context(), time.Now(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.People {
			names = append(names, p.Record.Name)
		}
		if page.Next == nil {
			return names
		}
		s.After = page.Next
	}
	t.Fatal("the list does not end")
	return nil
}

// spec §7.10: listed, seen, and off the list at once.
func TestPublicList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{Browse: Rate{1000, time.Second}}})
		seeker := f.client()
		owners := map[string]*Client{}
		people := map[string]*identity.Local{}
		for _, name := range []string{"Zoë", "Ada", "Adam", "Madame"} {
			people[name], owners[name] = newPerson(t, name), f.client()
			list(t, owners[name], people[name])
		}
		for _, tt := range []struct {
			s    Search
			want []string
		}{
			{Search{}, []string{"Ada", "Adam", "Madame", "Zoë"}},
			{Search{Limit: 1}, []string{"Ada", "Adam", "Madame", "Zoë"}},
			{Search{Name: "aDa"}, []string{"Ada", "Adam"}},
			{Search{Name: "ada", Substring: true}, []string{"Ada", "Adam", "Madame"}},
			{Search{Name: "zoe"}, []string{"Zoë"}},
			{Search{Name: "аdа"}, []string{"Ada", "Adam"}}, // Cyrillic
			{Search{Name: "x", Substring: true}, nil},
		} {
			if got := browse(t, seeker, tt.s); !slices.Equal(got, tt.want) {
				t.Errorf("%+v: got %q, want %q", tt.s, got, tt.want)
			}
		}
		ada := func() Person {
			t.Helper()
			page, err := seeker.Browse(t.Context(), time.Now(), Search{Name: "ada", Limit: 1})
			if err != nil || len(page.People) != 1 {
				t.Fatalf("got %+v, %v", page, err)
			}
			return page.People[0]
		}
		want := testListing(t, people["Ada"])
		if p := ada(); !p.Online || !p.Record.Equal(people["Ada"].Record()) || p.Note != want.Note || !bytes.Equal(p.Picture, want.Picture) ||
			p.KnockInbox != want.KnockInbox || p.Relays[0] != want.Relays[0] || p.Suspect {
			t.Errorf("got %+v", p)
		}
		left := time.Now()
		owners["Ada"].Close()
		time.Sleep(time.Hour)
		if p := ada(); p.Online || p.Seen.Sub(left).Abs() > saveEvery {
			t.Errorf("after leaving at %v: online %v, seen %v", left, p.Online, p.Seen)
		}
		if err := owners["Adam"].Unlist(t.Context(), people["Adam"]); err != nil {
			t.Fatal(err)
		}
		if got := browse(t, seeker, Search{Name: "adam"}); got != nil {
			t.Errorf("taken off, and yet there: %q", got)
		}
		time.Sleep(24 * time.Hour)
		if got := browse(t, seeker, Search{}); got != nil {
			t.Errorf("after everybody's time is over: %q", got)
		}
	})
}

// Nobody lists or unlists another, and a request holds for one connection to one
// server.
func TestListIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{Register: Rate{100, time.Second}}})
		ada, mallory := newPerson(t, "Ada"), newPerson(t, "Mallory")
		a, b, seeker := f.raw(), f.raw(), f.client()
		entry := func(l *identity.Local) []byte {
			t.Helper()
			b, err := sealListing(l.IdentityKey(), testListing(t, l), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		signed := func(l *identity.Local, ttl uint32, entry []byte, server identity.ServerID, binding [32]byte) wire.RendezvousList {
			x := wire.RendezvousList{Identity: l.PeerID(), TTL: ttl, Entry: entry}
			x.Signature = l.Sign(contextListRequest, listMessage(server, binding, x))
			return x
		}
		say := func(r raw, x wire.RendezvousList) wire.RendezvousStatus {
			t.Helper()
			_, b := r.ask(wire.FrameRendezvousList, x.Append(nil))
			answer, err := wire.ParseRendezvousRegistered(b)
			if err != nil {
				t.Fatal(err)
			}
			return answer.Status
		}
		good := signed(ada, 60, entry(ada), f.key.ID(), a.p.binding)
		ttl, removal := good, signed(mallory, 0, nil, f.key.ID(), a.p.binding)
		ttl.TTL++
		removal.Identity = ada.PeerID()
		old, err := sealListing(ada.IdentityKey(), Listing{Content: testContent(t, ada), Expires: time.Now().Add(time.Second)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for what, x := range map[string]wire.RendezvousList{
			"another server":    signed(ada, 60, entry(ada), identity.ServerID{9}, a.p.binding),
			"another ttl":       ttl,
			"another's entry":   signed(mallory, 60, entry(ada), f.key.ID(), a.p.binding),
			"no entry":          signed(ada, 60, []byte("x"), f.key.ID(), a.p.binding),
			"an expired entry":  signed(ada, 60, old, f.key.ID(), a.p.binding),
			"another's removal": removal,
		} {
			if got := say(a, x); got != wire.RendezvousRefused {
				t.Errorf("%s: status %d, want %d", what, got, wire.RendezvousRefused)
			}
		}
		if got := say(b, good); got != wire.RendezvousRefused {
			t.Errorf("on another connection: status %d, want %d", got, wire.RendezvousRefused)
		}
		if got := browse(t, seeker, Search{}); got != nil {
			t.Errorf("listed: %q", got)
		}
		if got := say(a, good); got != wire.RendezvousOK {
			t.Errorf("the genuine one: status %d", got)
		}
		if got := say(a, signed(mallory, 60, entry(mallory), f.key.ID(), a.p.binding)); got != wire.RendezvousRefused {
			t.Errorf("a second person on one connection: status %d, want %d", got, wire.RendezvousRefused)
		}
	})
}

func TestListingRefuses(t *testing.T) {
	l := newPerson(t, "Ada")
	var wide bytes.Buffer
	if err := png.Encode(&wide, image.NewGray(image.Rect(0, 0, maxPictureSide+1, 1))); err != nil {
		t.Fatal(err)
	}
	for what, edit := range map[string]func(*Listing){
		"a note that turns the text":  func(l *Listing) { l.Note = "a\u202eb" },
		"a note with an escape":       func(l *Listing) { l.Note = "a\x1b[2J" },
		"a note of two lines":         func(l *Listing) { l.Note = "a\nb" },
		"a note that is no text":      func(l *Listing) { l.Note = "\xff" },
		"a long note":                 func(l *Listing) { l.Note = strings.Repeat("a", 513) },
		"a picture that is none":      func(l *Listing) { l.Picture = []byte("GIF89a") },
		"a large picture":             func(l *Listing) { l.Picture = wide.Bytes() },
		"more than a month":           func(l *Listing) { l.Expires = t0.Add(32 * 24 * time.Hour) },
		"over before it began":        func(l *Listing) { l.Expires = t0 },
		"another identity's record":   func(l *Listing) { l.Record = newPerson(t, "Bob").Record() },
		"five relays":                 func(l *Listing) { l.Relays = slices.Repeat(l.Relays, 5) },
		"a picture of too many bytes": func(l *Listing) { l.Picture = append(l.Picture, make([]byte, 4096)...) },
	} {
		x := testListing(t, l)
		edit(&x)
		if _, err := sealListing(l.IdentityKey(), x, t0); err == nil {
			t.Errorf("%s: listed", what)
		}
	}
	b, err := sealListing(l.IdentityKey(), testListing(t, l), t0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 1
		if _, err := parseListing(b, t0); err == nil {
			t.Fatalf("a changed byte %d is not noticed", i)
		}
		b[i] ^= 1
	}
	if _, err := parseListing(b, t0.Add(-48*time.Hour)); err == nil {
		t.Error("an entry from the future is taken")
	}
	if _, err := parseListing(b, t0); err != nil {
		t.Errorf("the genuine one: %v", err)
	}
}

// Homoglyphs (negative test 10): found together, sorted together, and marked.
func TestFold(t *testing.T) {
	for _, pair := range [][2]string{
		{"Ada", "аdа"}, {"PAYPAL", "РАУРАL"}, {"Zoë", "zoe"}, {"ﬁne", "fine"}, {"Αλφα", "aλφa"},
		{"O0", "oo"}, {"Ａｄａ", "ada"}, {"क\u094d\u200dष", "कष"},
	} {
		if a, b := Fold(pair[0]), Fold(pair[1]); a != b {
			t.Errorf("Fold(%q) = %q, Fold(%q) = %q, want the same", pair[0], a, pair[1], b)
		}
	}
	for name, want := range map[string]bool{"Ada": false, "Аda": true, "Мария": false, "Ωmega": true, "東京 Bob": false} {
		if got := MixedScripts(name); got != want {
			t.Errorf("MixedScripts(%q) = %v, want %v", name, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		for _, name := range []string{"Ada", "Adа", "Bob"} {
			list(t, f.client(), newPerson(t, name))
		}
		page, err := f.client().Browse(t.Context(), time.Now(), Search{})
		if err != nil || len(page.People) != 3 {
			t.Fatalf("got %+v, %v", page, err)
		}
		for i, want := range []bool{true, true, false} {
			if p := page.People[i]; p.Suspect != want {
				t.Errorf("%q: suspect %v, want %v", p.Record.Name, p.Suspect, want)
			}
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add("Ada аdа ﬁ")
	f.Fuzz(func(t *testing.T, s string) {
		Fold(s)
		MixedScripts(s)
	})
}

// The longest name fits the position and the query of a page.
func TestLongestName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{})
		name := strings.Repeat("\U0002f9d4", identity.MaxNameChars) // 4 bytes a letter
		for range 2 {
			list(t, f.client(), newPerson(t, name))
		}
		if got := browse(t, f.client(), Search{Name: name, Limit: 1}); len(got) != 2 {
			t.Errorf("got %d, want 2", len(got))
		}
	})
}

// Browsing is limited, also by opening new connections (negative test 21).
func TestEnumerationIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{Browse: Rate{2, time.Minute}, Lookup: Rate{2, time.Minute}, PrefixFactor: 2}})
		answered := map[string]int{}
		for range 10 {
			f.conns = 0 // one address
			c := f.client()
			for range 3 {
				if _, err := c.Browse(t.Context(), time.Now(), Search{}); err == nil {
					answered["browse"]++
				} else if !errors.Is(err, ErrBusy) {
					t.Fatal(err)
				}
				if _, _, err := c.Lookup(t.Context(), time.Now(), identity.PeerID{1}, [32]byte{}); errors.Is(err, ErrNotFound) {
					answered["lookup"]++
				}
			}
			c.Close()
			synctest.Wait()
		}
		if got := fmt.Sprint(answered); got != "map[browse:4 lookup:4]" {
			t.Errorf("answered %s, want 4 each", got)
		}
	})
}

// spec §7.4.5: renewal costs no signature, keeps what is there, and no more.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{MaxTTL: time.Hour}})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, other, seeker := f.client(), f.client(), f.client()
		if _, err := owner.Renew(t.Context()); !errors.Is(err, ErrNotFound) {
			t.Errorf("before registration: %v, want ErrNotFound", err)
		}
		register(t, owner, l, lookup)
		list(t, owner, l)
		here := func(want error) {
			t.Helper()
			if _, _, err := seeker.Lookup(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if got := browse(t, seeker, Search{}); (len(got) == 1) != (want == nil) {
				t.Errorf("list: %q", got)
			}
		}
		for range 3 {
			time.Sleep(45 * time.Minute)
			if ttl, err := owner.Renew(t.Context()); err != nil || ttl != time.Hour {
				t.Errorf("got %v, %v, want an hour", ttl, err)
			}
			time.Sleep(saveEvery)
			here(nil)
		}
		// The newest connection takes over; the old one has nothing to renew.
		register(t, other, l, lookup)
		list(t, other, l)
		if _, err := owner.Renew(t.Context()); !errors.Is(err, ErrNotFound) {
			t.Errorf("after another connection took over: %v, want ErrNotFound", err)
		}
		time.Sleep(61 * time.Minute)
		here(ErrNotFound)
		if _, err := other.Renew(t.Context()); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the end: %v, want ErrNotFound", err)
		}
	})
}

// Names of days that are over are not kept alive by renewal.
func TestRenewLeavesOldNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		f := newFixture(t, ServerConfig{Store: store})
		owner := f.client()
		l := newPerson(t, "Ada")
		for range 5 { // days
			register(t, owner, l, [32]byte{1})
			for range 8 {
				time.Sleep(3 * time.Hour)
				if _, err := owner.Renew(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(storeSweep)
		synctest.Wait()
		if n := len(store.records); n > 4 {
			t.Errorf("%d records, want at most 4", n)
		}
	})
}

// spec §7.11: changes are pushed to those who know the name.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{MaxSubscriptions: 2}})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, seeker := f.client(), f.client()
		if _, err := seeker.Subscribe(t.Context(), time.Now(), l.PeerID(), lookup); !errors.Is(err, ErrNotFound) {
			t.Errorf("an absent record: %v, want ErrNotFound", err)
		}
		next := func() (c Change) {
			t.Helper()
			synctest.Wait()
			select {
			case c = <-seeker.Changes():
			default:
				t.Error("no change was pushed")
			}
			return c
		}
		quiet := func() {
			t.Helper()
			synctest.Wait()
			select {
			case c := <-seeker.Changes():
				t.Errorf("pushed: %+v", c)
			default:
			}
		}
		register(t, owner, l, lookup)
		if c := next(); c.ID != l.PeerID() || c.Content == nil || !c.Online || !c.Content.Record.Equal(l.Record()) || c.TTL != 24*time.Hour {
			t.Errorf("got %+v", c)
		}
		quiet()
		if _, err := owner.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		quiet()
		if err := owner.Unregister(t.Context(), time.Now(), l, lookup); err != nil {
			t.Fatal(err)
		}
		if c := next(); c.ID != l.PeerID() || c.Content != nil {
			t.Errorf("got %+v, want that it is gone", c)
		}
		if err := seeker.Unsubscribe(t.Context(), l.PeerID(), lookup); err != nil {
			t.Fatal(err)
		}
		register(t, owner, l, lookup)
		quiet()
		for i, want := range []error{ErrNotFound, ErrNotFound, ErrBusy} {
			if _, err := seeker.Subscribe(t.Context(), time.Now(), newPerson(t, "Bob").PeerID(), lookup); !errors.Is(err, want) {
				t.Errorf("subscription %d: %v, want %v", i, err, want)
			}
		}
		f.server.mu.Lock()
		n := len(f.server.core.subs)
		f.server.mu.Unlock()
		if n != 2 {
			t.Errorf("%d names subscribed to, want 2", n)
		}
		seeker.Close()
		synctest.Wait()
		if n := len(f.server.core.subs); n != 0 {
			t.Errorf("%d subscriptions left behind", n)
		}
	})
}

// Somebody who does not read is told the last of many changes, and held for none.
func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ServerConfig{Limits: Limits{Register: Rate{1000, time.Second}}})
		l, lookup := newPerson(t, "Ada"), [32]byte{1}
		owner, slow := f.client(), f.raw()
		name := BlindedName(l.PeerID(), lookup, Period(time.Now()))
		slow.ask(wire.FrameRendezvousSubscribe, wire.RendezvousSubscribe{Blinded: name.Blinded, On: true}.Append(nil))
		for range 100 {
			register(t, owner, l, lookup)
		}
		synctest.Wait()
		f.server.mu.Lock()
		defer f.server.mu.Unlock()
		for id, box := range f.server.boxes {
			if len(box.frames) > 0 || len(box.changes) > 1 {
				t.Errorf("connection %d: %d frames and %d changes wait", id, len(box.frames), len(box.changes))
			}
		}
	})
}
