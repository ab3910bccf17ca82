package sim

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
)

// A server that is gone for a day costs its users little, and they find it within a
// quarter of an hour when it is there again, with both of what it offers. They sent
// it 60 MB a day each.
func TestDeadServer(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.end()
		w.build(2, 1)
		w.net.change(func() { w.net.calm = true })
		s := w.servers[0]
		s.kill()
		if mb := w.aDay() / float64(len(w.people)); mb > 15 {
			t.Errorf("a server that is gone costs %.1f MB a day, want at most 15", mb)
		}
		s.up()
		time.Sleep(17 * time.Minute)
		for _, p := range w.people {
			var servers []client.Server
			if err := w.call(func(ctx context.Context) (err error) { servers, err = p.client.Servers(ctx); return err }); err != nil {
				t.Fatal(err)
			}
			for _, x := range servers {
				if !x.Connected || x.Problem != "" {
					t.Errorf("%s has not found it again: %+v", p.name, x)
				}
			}
		}
	})
}

// A contact that is gone, for whom mail waits, costs little as well, and gets it when
// it comes back.
func TestGoneContact(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.end()
		w.build(2, 1)
		w.net.change(func() { w.net.calm = true })
		p, q := w.people[0], w.people[1]
		q.kill()
		if err := w.call(func(ctx context.Context) error { _, err := p.client.Send(ctx, q.id, "waits"); return err }); err != nil {
			t.Fatal(err)
		}
		if mb := w.aDay(); mb > 6 {
			t.Errorf("a contact that is gone costs %.1f MB a day, want at most 6", mb)
		}
		q.restart()
		time.Sleep(10 * time.Second)
		var got []client.Message
		if err := w.call(func(ctx context.Context) (err error) {
			got, err = q.client.History(ctx, p.id, client.HistoryQuery{Limit: 1})
			return err
		}); err != nil || len(got) != 1 || got[0].Text != "waits" {
			t.Errorf("after 10 s the conversation is %v, %v", got, err)
		}
	})
}

// A client whose disk is gone, and that nobody has ended, keeps no contact busy: it
// looked for them every three seconds, and each time one more connection stood open.
func TestDeadDiskIsQuiet(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.end()
		w.build(2, 1)
		w.net.change(func() { w.net.calm = true })
		p, q := w.people[0], w.people[1]
		p.store.off()
		// It finds out, and then its contact's connection is cut.
		_ = w.call(func(ctx context.Context) error { _, err := p.client.Send(ctx, q.id, "lost"); return err })
		q.kill()
		q.restart()
		if mb := w.aDay(); mb > 6 {
			t.Errorf("a client without a disk and its contact sent %.1f MB in a day, want at most 6", mb)
		}
		p.kill()
	})
}

// A computer whose identity was restored elsewhere, and that goes on, is told so, and
// does not knock at its contacts for ever: each connection that stands for a moment was
// a reason to make the next one in three seconds.
func TestLeftBehindIsQuiet(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.end()
		w.build(2, 1)
		w.net.change(func() { w.net.calm = true })
		p := w.people[0]
		time.Sleep(time.Minute) // both know each other
		b := backup{file: filepath.Join(t.TempDir(), "backup")}
		if err := w.call(func(ctx context.Context) error { return p.client.Backup(ctx, b.file) }); err != nil {
			t.Fatal(err)
		}
		p.close()
		public := netip.AddrFrom4([4]byte{12, 0, 9, 1})
		old := &person{
			w: w, name: "the old computer", rng: source(1, "old"), delay: p.delay, disk: &disk{synced: p.disk.image()},
			host: w.net.newHost(netip.AddrFrom4([4]byte{10, 0, 99, 2}), w.net.newSite("elsewhere", public, fullCone)),
		}
		if err := p.restore(b); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		old.store = old.openStore()
		old.open()
		if mb := w.aDay(); mb > 25 {
			t.Errorf("with a computer that was left behind %.1f MB were sent in a day, want at most 25", mb)
		}
		for _, x := range []struct {
			p    *person
			want bool
		}{{p, false}, {old, true}} {
			var keys client.Keys
			if err := w.call(func(ctx context.Context) (err error) { keys, err = x.p.client.Keys(ctx); return err }); err != nil || keys.LeftBehind.IsZero() == x.want {
				t.Errorf("left behind: %v at %v, %v; want that to be %v", keys.LeftBehind, x.p.name, err, x.want)
			}
		}
		old.kill()
	})
}

// aDay lets a day pass and returns what was sent in it, MB.
func (w *world) aDay() float64 {
	_, before := w.net.sent()
	time.Sleep(24 * time.Hour)
	_, after := w.net.sent()
	mb := float64(after-before) / 1e6
	w.t.Logf("%.1f MB in a day", mb)
	return mb
}
