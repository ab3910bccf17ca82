package client_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// A profile is on no list until its owner says so, and off again at once.
func TestSetListed(t *testing.T) {
	s := startServer(t)
	ada, _ := newClient(t, "Ada")
	useServer(t, ada, s)
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ep, err := transport.New(transport.Config{PacketConn: pc})
	if err != nil {
		t.Fatal(err)
	}
	defer ep.Close()
	people := func() []rendezvous.Person {
		t.Helper()
		got, err := rendezvous.BrowseServers(t.Context(), func(ctx context.Context, a identity.ServerAddr) (*rendezvous.Client, error) {
			return rendezvous.Dial(ctx, ep, a)
		}, []identity.ServerAddr{s.addr}, rendezvous.Search{Name: "ada"}, 10, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := people(); len(got) != 0 {
		t.Errorf("before: %+v", got)
	}
	set := func(listed bool, note string) {
		t.Helper()
		eventually(t, "list", func() (bool, string) { // the rendezvous may stand later than the relay
			n, err := ada.SetListed(t.Context(), listed, note)
			if err != nil {
				t.Fatal(err)
			}
			return n == 1, ""
		})
	}
	set(true, "Analytical engines")
	me, err := ada.WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := people(); len(got) != 1 || got[0].Record.Identity != me.ID || !got[0].Online || got[0].Note != "Analytical engines" {
		t.Errorf("listed: got %+v", got)
	}
	set(false, "")
	if got := people(); len(got) != 0 {
		t.Errorf("taken off, and yet there: %+v", got)
	}
	if _, err := ada.SetListed(t.Context(), true, "two\nlines"); !errors.Is(err, client.ErrNote) {
		t.Errorf("a note of two lines: %v, want ErrNote", err)
	}
}
