package client

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/lan"
)

var nearbyNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// somewhere is a network without sockets.
func somewhere(t *testing.T, name string) *network {
	t.Helper()
	local, _, err := identity.NewLocal(name, nearbyNow)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{
		c:       &Client{cfg: Config{Now: func() time.Time { return nearbyNow }}},
		targets: map[identity.PeerID]*target{}, invites: map[[32]byte]*openInvite{},
	}
	n.local.Store(local)
	return n
}

var nearbyAddrs = []netip.AddrPort{netip.MustParseAddrPort("192.168.1.5:4444")}

// hears has n hear what o announces, and reports whether n knows then where o is.
func (n *network) hears(o *network) bool {
	id := o.local.Load().PeerID()
	if t := n.targets[id]; t != nil {
		t.near = nil
	}
	for _, a := range o.announcements(nearbyAddrs) {
		n.foundNear(lan.Found{Announcement: a, Interface: "eth0", Addrs: nearbyAddrs, Near: nearbyAddrs})
	}
	t := n.targets[id]
	return t != nil && slices.Equal(t.near, nearbyAddrs)
}

// A contact that is blocked or relay only learns nothing, and what it announces
// has no effect; a stranger sees noise.
func TestNearbySecrets(t *testing.T) {
	ann, bob, eve := somewhere(t, "Ann"), somewhere(t, "Bob"), somewhere(t, "Eve")
	annToBob, bobToAnn := randomSecret(), randomSecret()
	annBob := &target{id: bob.local.Load().PeerID(), hello: bobToAnn, ownHello: annToBob, wake: make(chan struct{}, 1)}
	ann.targets[annBob.id] = annBob
	bobAnn := &target{id: ann.local.Load().PeerID(), hello: annToBob, ownHello: bobToAnn, wake: make(chan struct{}, 1)}
	bob.targets[bobAnn.id] = bobAnn
	eve.targets[bobAnn.id] = &target{id: bobAnn.id, hello: randomSecret(), ownHello: randomSecret(), wake: make(chan struct{}, 1)}
	if !ann.hears(bob) || !bob.hears(ann) {
		t.Fatal("two contacts do not recognise each other")
	}
	select {
	case <-annBob.wake:
	default:
		t.Error("who is found is not tried")
	}
	if eve.hears(ann) {
		t.Error("a stranger recognises Ann")
	}
	for name, set := range map[string]func(bool){
		"blocked":    func(on bool) { annBob.blocked = on },
		"relay only": func(on bool) { annBob.relayOnly = on },
	} {
		set(true)
		if bob.hears(ann) {
			t.Errorf("a contact that is %s learns where Ann is", name)
		}
		if ann.hears(bob) {
			t.Errorf("a contact that is %s makes Ann send to it", name)
		}
		set(false)
	}
	if !ann.hears(bob) || !bob.hears(ann) {
		t.Error("they do not recognise each other again")
	}
}

// Spec §5.25.4: an open invite leads nowhere but to where it was announced.
func TestNeighbourInvite(t *testing.T) {
	ann, bob := somewhere(t, "Ann"), somewhere(t, "Bob")
	server := identity.ServerAddr{ID: identity.ServerID(ann.local.Load().PeerID()), Host: "victim.example", Port: 53}
	i := identity.Invite{
		Peer: ann.local.Load().PeerID(), Name: "Ann", Secret: identity.NewInviteSecret(), Expires: nearbyNow.Add(time.Hour),
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("11.0.0.1:53")}, Relays: []identity.ServerAddr{server},
		Rendezvous: []identity.ServerAddr{server}, KnockInbox: [32]byte{1}, Lookup: [32]byte{1},
	}
	heard := func(i identity.Invite, gone bool) {
		bob.foundNear(lan.Found{Announcement: lan.Announcement{Kind: lan.Open, Body: []byte(i.URI())}, Interface: "eth0", Addrs: nearbyAddrs, Near: nearbyAddrs, Gone: gone})
	}
	heard(i, false)
	got, ok := bob.near.neighbours[i.Peer]
	if !ok || got.Name != "Ann" || got.Interface != "eth0" {
		t.Fatalf("got %+v", got)
	}
	use, err := identity.ParseInvite(got.Invite)
	if err != nil || !slices.Equal(use.Addrs, nearbyAddrs) || len(use.Relays)+len(use.Rendezvous) > 0 || use.Secret != i.Secret {
		t.Errorf("it leads to %v, %v, %v", use.Addrs, use.Relays, use.Rendezvous)
	}
	heard(i, true)
	if len(bob.near.neighbours) != 0 {
		t.Error("who has gone is still there")
	}
	expired := i
	expired.Expires = nearbyNow.Add(-time.Hour)
	heard(expired, false)
	own := i
	own.Peer = bob.local.Load().PeerID()
	heard(own, false)
	bob.foundNear(lan.Found{Announcement: lan.Announcement{Kind: lan.Open, Body: []byte("sremp:junk")}, Near: nearbyAddrs})
	if len(bob.near.neighbours) != 0 {
		t.Errorf("got %v, want nobody", bob.near.neighbours)
	}
	for range 3 * maxNeighbours {
		local, _, err := identity.NewLocal("X", nearbyNow)
		if err != nil {
			t.Fatal(err)
		}
		flood := i
		flood.Peer = local.PeerID()
		heard(flood, false)
	}
	if n := len(bob.near.neighbours); n != maxNeighbours {
		t.Errorf("%d neighbours, want at most %d", n, maxNeighbours)
	}
}
