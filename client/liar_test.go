package client_test

import (
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/storetest"
)

// J4: a relay that gives the prekeys of somebody else gets no message. That is
// said, and once it gives the right ones, what waited is sent.
func TestSwappedPrekeys(t *testing.T) {
	var liar *storetest.Liar
	s := startServerWith(t, func(store relay.Store) relay.Store {
		liar = storetest.NewLiar(store)
		return liar
	})
	mallory, _ := newClient(t, "Mallory")
	useServer(t, mallory, s)
	invite(t, mallory)
	b, _ := newClient(t, "Bob")
	useServer(t, b, s)
	uri, bob := invite(t, b), me(t, b)
	b.Close() // he is away

	liar.Lie(true)
	a, _ := newClient(t, "Alice")
	useServer(t, a, s)
	add(t, a, uri)
	send(t, a, bob, "for Bob only")
	path := func() client.Path {
		t.Helper()
		all, err := a.Contacts(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%d contacts, %v; want Bob", len(all), err)
		}
		return all[0].Path
	}
	refused := func() {
		t.Helper()
		eventually(t, "the refusal", func() (bool, string) {
			p := path()
			return p.Kind == client.PathNone && p.Why == client.WhyUnverified, p.Reason
		})
	}
	refused()
	waitTexts(t, a, bob, ">queued for Bob only")
	// It stays so while other reasons come up: another attempt was made.
	lied := liar.Lied()
	eventually(t, "another attempt", func() (bool, string) { return liar.Lied() > lied, "it asks no more" })
	refused()
	if n := liar.Stored(); n != 0 {
		t.Errorf("%d messages were left with the liar, want none", n)
	}

	liar.Lie(false)
	waitTexts(t, a, bob, ">held for Bob only")
	if p := path(); p.Why == client.WhyUnverified {
		t.Errorf("the path says %q still", p.Reason)
	}
}
