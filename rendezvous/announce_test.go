package rendezvous

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
)

func serverKey(t testing.TB, seed byte) *identity.ServerKey {
	t.Helper()
	k, err := identity.NewServerKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func addrOf(k *identity.ServerKey, host string) identity.ServerAddr {
	return identity.ServerAddr{ID: k.ID(), Host: host, Port: 443}
}

// spec §7.12: signed, expiring, passed on, never followed.
func TestGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := newFixture(t, ServerConfig{Public: identity.ServerAddr{Host: "here.example", Port: 443}})
		there := newFixture(t, ServerConfig{Public: identity.ServerAddr{Host: "there.example", Port: 443}})
		there.server.others.key = serverKey(t, 78)
		third := serverKey(t, 79)
		there.server.others.take(signAnnouncement(third, addrOf(third, "third.example"), time.Now()), time.Now())

		ctx, cancel := context.WithCancel(t.Context())
		var dialled []string
		here.wg.Go(func() {
			here.server.Gossip(ctx, []identity.ServerAddr{{Host: "there.example", Port: 443}}, func(ctx context.Context, a identity.ServerAddr) (*Client, error) {
				dialled = append(dialled, a.Host)
				p := there.connect()
				return newClient(ctx, there.key.ID(), p, p.Conn)
			})
		})
		time.Sleep(2 * time.Hour)
		got, err := here.client().Servers(t.Context(), time.Now())
		if err != nil || len(got) != 3 || got[0].Server.Host != "here.example" {
			t.Errorf("got %+v, %v, want three, its own first", got, err)
		}
		for _, host := range dialled {
			if host != "there.example" {
				t.Errorf("the server dialled %s, which it only heard of", host)
			}
		}
		cancel()
		synctest.Wait()
		time.Sleep(announcementLife)
		if got, err = here.client().Servers(t.Context(), time.Now()); err != nil || len(got) != 1 {
			t.Errorf("two days later: got %+v, %v, want its own", got, err)
		}
	})
}

func TestAnnouncementRefuses(t *testing.T) {
	own, other := serverKey(t, 1), serverKey(t, 2)
	s := announcements{key: own}
	good := signAnnouncement(other, addrOf(other, "other.example"), t0)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		s.take(bad, t0)
	}
	s.take(signAnnouncement(own, addrOf(own, "elsewhere.example"), t0), t0)
	s.take(good, t0.Add(announcementLife))
	s.take(good, t0.Add(-48*time.Hour))
	s.take(signAnnouncement(other, addrOf(other, "bad host\x1b"), t0), t0)
	if len(s.known) != 0 {
		t.Errorf("taken: %+v", s.known)
	}
	s.take(good, t0)
	s.take(signAnnouncement(other, addrOf(other, "older.example"), t0.Add(-time.Minute)), t0)
	if a := s.known[other.ID()]; a.Server.Host != "other.example" {
		t.Errorf("got %+v, want the newest", a)
	}
	for i := range 2 * maxAnnounced {
		k, err := identity.NewServerKey(bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 16))
		if err != nil {
			t.Fatal(err)
		}
		s.take(signAnnouncement(k, addrOf(k, "flood.example"), t0), t0)
	}
	if len(s.known) != maxAnnounced {
		t.Errorf("%d kept, want %d", len(s.known), maxAnnounced)
	}
}
