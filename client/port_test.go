package client_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// invitedTo returns an address that an invite names.
func invitedTo(t *testing.T, uri string) netip.AddrPort {
	t.Helper()
	i, err := identity.ParseInvite(uri)
	if err != nil || len(i.Addrs) == 0 {
		t.Fatalf("the invite names %v, %v", i.Addrs, err)
	}
	return i.Addrs[0]
}

// Without a server an invite leads to its maker also after the program was started
// anew, as when `sremp invite` made it and `sremp listen` runs later: the port stays.
// If it is taken any other serves, until it is free again.
func TestPortStaysWithoutServer(t *testing.T) {
	a, dir := newClient(t, "Alice")
	uri := invite(t, a)
	first := invitedTo(t, uri)
	a.Close()
	taken, err := net.ListenPacket("udp", first.String())
	if err != nil {
		t.Fatal(err)
	}
	a = open(t, dir)
	if got := invitedTo(t, invite(t, a)); got.Port() == first.Port() {
		t.Errorf("it listens on %v, which is taken", got)
	}
	a.Close()
	taken.Close()
	a = open(t, dir)
	if got := invitedTo(t, invite(t, a)); got != first {
		t.Errorf("it listens on %v, want %v as before", got, first)
	}
	b, _ := newClient(t, "Bob")
	add(t, b, uri)
	send(t, b, me(t, a), "found")
	waitTexts(t, a, me(t, b), "<found")
}

// With a server, which finds us wherever we are, the port tells nobody who comes back.
func TestPortChangesWithServer(t *testing.T) {
	s := startServer(t)
	a, dir := newClient(t, "Alice")
	first := invitedTo(t, invite(t, a))
	if err := a.AddServer(t.Context(), s.addr); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a = open(t, dir)
	if got := invitedTo(t, invite(t, a)); got.Port() == first.Port() {
		t.Errorf("it listens on %v again", got)
	}
	a.Close()
	// Where the user has chosen, that counts.
	if a, err := openWith(t, dir, func(c *client.Config) { c.Passphrase, c.Listen = []byte("pw"), first.String() }); err != nil {
		t.Error(err)
	} else if got := invitedTo(t, invite(t, a)); got != first {
		t.Errorf("it listens on %v, want %v", got, first)
	}
}
