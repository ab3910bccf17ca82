package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

// A profile is on no list until its owner says so, and off again at once; who
// searches sees what the owner signed.
func TestListing(t *testing.T) {
	s := startServer(t)
	ada, _ := newClient(t, "Ada")
	bob, _ := newClient(t, "Bob")
	if _, err := bob.Browse(t.Context(), client.BrowseQuery{}); !errors.Is(err, client.ErrNoServer) {
		t.Errorf("without a server: got %v, want ErrNoServer", err)
	}
	useServer(t, ada, s)
	useServer(t, bob, s)
	people := func(q client.BrowseQuery) []client.ListedPerson {
		t.Helper()
		page, err := bob.Browse(t.Context(), q)
		if err != nil || page.Next != nil {
			t.Fatal(page, err)
		}
		return page.People
	}
	if got := people(client.BrowseQuery{}); len(got) != 0 {
		t.Errorf("before: %+v", got)
	}
	set := func(l client.Listing) {
		t.Helper()
		if n, err := ada.SetListing(t.Context(), l); n != 1 || err != nil {
			t.Fatalf("at %d servers, %v, want 1", n, err)
		}
		if got, err := ada.Listing(t.Context()); got.Listed != l.Listed || got.Note != l.Note || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, l)
		}
	}
	set(client.Listing{Listed: true, Note: "Analytical engines"})
	for _, q := range []client.BrowseQuery{{}, {Name: "ad"}, {Name: "DA", Anywhere: true}} {
		got := people(q)
		if len(got) != 1 || got[0].ID != me(t, ada) || !got[0].Online || got[0].Note != "Analytical engines" {
			t.Errorf("%+v: got %+v, want Ada", q, got)
		}
	}
	if got := people(client.BrowseQuery{Name: "da"}); len(got) != 0 {
		t.Errorf("no name begins with it, and yet: %+v", got)
	}
	set(client.Listing{})
	if got := people(client.BrowseQuery{}); len(got) != 0 {
		t.Errorf("taken off, and yet there: %+v", got)
	}
	for _, l := range []client.Listing{{Listed: true, Note: "two\nlines"}, {Listed: true, Picture: []byte("GIF89a")}} {
		if _, err := ada.SetListing(t.Context(), l); !errors.Is(err, client.ErrNote) {
			t.Errorf("%+v: %v, want ErrNote", l, err)
		}
	}
}

// What a restarted client took off stays off, and what it put on comes back.
func TestListingStays(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	ada, dir := newClient(t, "Ada")
	bob, _ := newClient(t, "Bob")
	useServer(t, ada, s)
	useServer(t, bob, s)
	if _, err := ada.SetListing(t.Context(), client.Listing{Listed: true}); err != nil {
		t.Fatal(err)
	}
	count := func(what string, online bool, want int) {
		t.Helper()
		eventually(t, what, func() (bool, string) {
			page, err := bob.Browse(t.Context(), client.BrowseQuery{})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, p := range page.People {
				if p.Online == online {
					n++
				}
			}
			return n == want, ""
		})
	}
	ada.Close()
	count("away", false, 1)
	ada = open(t, dir)
	count("back", true, 1)
	s.stop()
	if n, err := ada.SetListing(t.Context(), client.Listing{}); err != nil || n > 1 {
		t.Errorf("without the server: %d, %v", n, err)
	}
	ada.Close()
	s.start()
	ada = open(t, dir)
	waitServer(t, ada)
	waitServer(t, bob)
	count("off", true, 0)
	count("off", false, 0)
}

// A zone answers as a domain's DNS.
type zone struct{ server identity.ServerAddr }

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if name == "_sremp.example.org" {
		return []string{"v=spf1", "sremp=" + z.server.String(), "sremp=nonsense"}, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func (zone) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Name: name, IsNotFound: true}
}

// What a domain or an invite names is shown, and used by nobody for that.
func TestDiscover(t *testing.T) {
	s := startServer(t)
	dir := t.TempDir()
	create(t, dir, "Ada")
	store, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ada, err := client.Open(t.Context(), client.Config{Store: store, Passphrase: []byte("pw"), Listen: "127.0.0.1:0", Resolver: zone{s.addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer ada.Close()
	bob, _ := newClient(t, "Bob")
	useServer(t, bob, s)
	for from, want := range map[string][]identity.ServerAddr{
		"":             nil, // this build names none
		"example.org":  {s.addr},
		"example.com":  nil,
		invite(t, bob): {s.addr},
	} {
		got, err := ada.Discover(t.Context(), from)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", from, got, err, want)
		}
	}
	if used, err := ada.Servers(t.Context()); err != nil || len(used) != 0 {
		t.Errorf("got %v, %v: used without a word", used, err)
	}
}
