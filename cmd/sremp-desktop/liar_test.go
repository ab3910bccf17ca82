//go:build gtk

package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/relay/storetest"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// A liar is a server that gives out the prekeys of somebody else, and the first
// records that it ever had, while it is told to.
type liar struct {
	*storetest.Liar
	addr identity.ServerAddr

	mu      sync.Mutex
	keeps   bool // records as they are
	dropped int  // newer ones
	given   int  // older ones
}

// A keptRecords is the liar's rendezvous.
type keptRecords struct {
	rendezvous.Store
	l *liar
}

func (k keptRecords) Put(ctx context.Context, r rendezvous.StoredRecord, limit int) error {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	if _, ok, err := k.Store.Get(ctx, r.Blinded, time.Now()); k.l.keeps && ok && err == nil {
		k.l.dropped++
		return nil
	}
	return k.Store.Put(ctx, r, limit)
}

func (k keptRecords) Get(ctx context.Context, blinded [32]byte, now time.Time) (rendezvous.StoredRecord, bool, error) {
	r, ok, err := k.Store.Get(ctx, blinded, now)
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	if k.l.dropped > 0 && ok {
		k.l.given++
	}
	return r, ok, err
}

func (l *liar) set(swaps, keeps bool) {
	l.Lie(swaps)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeps = keeps
}

// startLiar starts a server that does not lie yet.
func startLiar(t *testing.T) *liar {
	t.Helper()
	key, err := identity.NewServerKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	store, err := relaysqlite.Open(t.Context(), t.TempDir()+"/relay.db")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{Liar: storetest.NewLiar(store)}
	rs, err := relay.NewServer(relay.ServerConfig{Key: key, Store: l})
	if err != nil {
		t.Fatal(err)
	}
	rv, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: key, Store: keptRecords{new(rendezvous.MemoryStore), l}})
	if err != nil {
		t.Fatal(err)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: key, STUN: true, Forward: rs.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: rs.Serve, rendezvous.ALPN: rv.Serve},
	})
	if err != nil {
		t.Fatal(err)
	}
	rs.SetSend(ep.WritePacket)
	t.Cleanup(func() {
		ep.Close()
		rs.Close()
		rv.Close()
		store.Close()
	})
	l.addr = identity.ServerAddr{ID: key.ID(), Host: loopback.String(), Port: ep.LocalAddr().Port()}
	return l
}

// TestJourneyLyingRelay is J4 with a server that has the right key: it swaps
// prekeys, which is said, and nothing is sent; and it gives an older record,
// which changes nothing.
func TestJourneyLyingRelay(t *testing.T) {
	l := startLiar(t)
	mallory := newFriend(t, "Mallory")
	if err := mallory.AddServer(t.Context(), l.addr); err != nil {
		t.Fatal(err)
	}
	if _, err := mallory.Invite(t.Context(), client.InviteOptions{}); err != nil {
		t.Fatal(err)
	}
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	bobs, _ := bob.startAs("Ben")
	bob.use(l.addr.String())
	link := bob.invite()
	bob.key("ctrl+q")
	bob.wait()
	within(t, "Mallory's prekeys", func() (bool, string) { return l.Published() == 2, "they are not there" })

	l.set(true, false)
	anns, here := ann.startAs("Ann")
	ann.use(l.addr.String())
	ann.add(link)
	ann.says("For Ben only.")
	ann.seesPart("Path: could not verify, not sent")
	ann.seesPart("For Ben only. (Queued")
	ann.clickOn(ann.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: ") }))
	ann.seesPart("Could not verify, not sent.")
	ann.shot("76-swapped-prekeys")
	ann.key("Escape")
	ann.focused("Message")
	if n := l.Stored(); n != 0 {
		t.Errorf("%d messages were left with the liar, want none", n)
	}

	// It gives the right ones: what waited is sent, to Ben and nobody else.
	l.set(false, false)
	ann.seesPart("For Ben only. (Held")
	there := bob.startAgain(bobs)
	bob.clickOn(bob.until("Ann in the list", func(n node) bool { return strings.HasPrefix(n.name, "Ann, ") }))
	bob.seesPart("For Ben only.")
	ann.seesPart("For Ben only. (Delivered")
	ann.key("ctrl+m")
	ann.press("Compare words…")
	ann.sees("Is this really Ben?")
	ann.press("They are the same")
	ann.seesPart("Verified on ")
	ann.key("Escape")

	// Ben gets new keys, which Ann learns from him. The server goes on giving his
	// older record.
	l.set(false, true)
	if err := there.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	ben := func() client.Contact {
		t.Helper()
		all, err := here.Contacts(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%d contacts, %v; want Ben", len(all), err)
		}
		return all[0]
	}
	within(t, "Ben's new keys", func() (bool, string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !ben().KeysChanged.IsZero() && l.dropped > 0, "they do not come"
	})
	changed := ben().KeysChanged
	bob.key("ctrl+q")
	bob.wait()
	ann.key("ctrl+q")
	ann.wait()
	here = ann.startAgain(anns)
	ann.until("Ben, verified", func(n node) bool {
		return strings.HasPrefix(n.name, "Ben, ") && strings.Contains(n.name, ", verified")
	})
	within(t, "the older record", func() (bool, string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.given > 0, "nobody asked for it"
	})
	ann.clickOn(ann.until("Ben in the list", func(n node) bool { return strings.HasPrefix(n.name, "Ben, ") }))
	ann.says("Under your new keys.")
	ann.seesPart("Under your new keys. (Held")
	if c := ben(); !c.KeysChanged.Equal(changed) || c.Verified.IsZero() {
		t.Errorf("Ben's keys changed %v, he is verified %v; want %v, and that he is", c.KeysChanged, c.Verified, changed)
	}
	bob.startAgain(bobs)
	bob.seesPart("Under your new keys.")
	ann.seesPart("Under your new keys. (Delivered")
	for _, s := range []*seat{ann, bob} {
		s.key("ctrl+q")
		s.wait()
	}
}
