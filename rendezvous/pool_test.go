package rendezvous

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A world is some servers, and what dials them.
type world struct {
	t       *testing.T
	servers map[identity.ServerID]*fixture
	addrs   []identity.ServerAddr

	mu    sync.Mutex // what dial reads
	dead  map[identity.ServerID]bool
	dials int
}

func newWorld(t *testing.T, n int) *world {
	w := &world{t: t, servers: map[identity.ServerID]*fixture{}, dead: map[identity.ServerID]bool{}}
	for i := range n {
		k := serverKey(t, byte(100+i))
		w.servers[k.ID()] = newFixture(t, ServerConfig{Key: k, Limits: Limits{Browse: Rate{1000, time.Second}, Lookup: Rate{1000, time.Second}, Register: Rate{1000, time.Second}}})
		w.addrs = append(w.addrs, addrOf(k, "server.example"))
	}
	return w
}

func (w *world) dial(ctx context.Context, a identity.ServerAddr) (*Client, error) {
	w.mu.Lock()
	w.dials++
	dead, f := w.dead[a.ID], w.servers[a.ID]
	var p pipe
	if !dead {
		p = f.connect()
	}
	w.mu.Unlock()
	if dead {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return newClient(ctx, f.key.ID(), p, p.Conn)
}

func (w *world) pool(addrs ...identity.ServerAddr) *Pool {
	p := NewPool(PoolConfig{Dial: w.dial})
	w.t.Cleanup(func() { p.Close() })
	p.Use(addrs...)
	synctest.Wait()
	return p
}

func somebody(t *testing.T, name string) *Presence {
	l := newPerson(t, name)
	return &Presence{Local: l, Lookup: [32]byte{1}, Content: testContent(t, l)}
}

func TestPoolRegistersAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		owner := w.pool(w.addrs...)
		x := somebody(t, "Ada")
		owner.Register(x)
		synctest.Wait()
		everywhere := func(p *Presence, want error) {
			t.Helper()
			for i, a := range w.addrs {
				seeker := w.pool(a)
				if _, err := seeker.Lookup(t.Context(), p.Local.PeerID(), p.Lookup); !errors.Is(err, want) {
					t.Errorf("server %d: got %v, want %v", i, err, want)
				}
				seeker.Close()
			}
		}
		everywhere(x, nil)
		time.Sleep(100 * time.Hour) // renewed, and under each day's name
		everywhere(x, nil)

		// Blocking somebody is a new lookup secret: the old names go at once.
		blocked := *x
		blocked.Lookup = [32]byte{2}
		listing := testListing(t, x.Local)
		blocked.Listing = &listing
		owner.Register(&blocked)
		synctest.Wait()
		everywhere(x, ErrNotFound)
		everywhere(&blocked, nil)
		seeker := w.pool(w.addrs...)
		if got, err := seeker.Browse(t.Context(), Search{Name: "ada"}, 10); err != nil || len(got) != 1 || !got[0].Online {
			t.Errorf("list: got %+v, %v, want Ada once", got, err)
		}
		owner.Register(nil)
		synctest.Wait()
		everywhere(&blocked, ErrNotFound)
		if got, err := seeker.Browse(t.Context(), Search{}, 10); err != nil || len(got) != 0 {
			t.Errorf("list: got %+v, %v, want nobody", got, err)
		}
	})
}

// One dead server is not noticed.
func TestPoolDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.dead[w.addrs[1].ID] = true
		owner, seeker := w.pool(w.addrs...), w.pool(w.addrs...)
		x := somebody(t, "Ada")
		owner.Register(x)
		synctest.Wait()
		// One that is connected and says nothing.
		silent := w.servers[w.addrs[2].ID].server
		stuck := &stuckStore{until: make(chan struct{})}
		silent.store = stuck
		start := time.Now()
		found, err := seeker.Lookup(t.Context(), x.Local.PeerID(), x.Lookup)
		if d := time.Since(start); err != nil || !found.Online || d > lookupGrace {
			t.Errorf("got %+v, %v after %v", found, err, d)
		}
		close(stuck.until)
	})
}

// A stuckStore finds nothing, and not soon.
type stuckStore struct {
	MemoryStore
	until chan struct{}
}

func (s *stuckStore) Get(context.Context, [32]byte, time.Time) (StoredRecord, bool, error) {
	<-s.until
	return StoredRecord{}, false, nil
}

// A server that serves an old record, or none, or nonsense, is not noticed.
func TestPoolLyingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		owner, seeker := w.pool(w.addrs...), w.pool(w.addrs...)
		x := somebody(t, "Ada")
		owner.Register(x)
		synctest.Wait()
		old := map[[32]byte]StoredRecord{}
		liar := w.servers[w.addrs[0].ID].server.store.(*MemoryStore)
		for k, r := range liar.records {
			old[k] = r
		}
		time.Sleep(time.Hour)
		y := *x
		y.Content.KnockInbox = [32]byte{42}
		owner.Register(&y)
		synctest.Wait()
		liar.mu.Lock()
		liar.records = old
		liar.mu.Unlock()
		nonsense := w.servers[w.addrs[1].ID].server.store.(*MemoryStore)
		nonsense.mu.Lock()
		for k, r := range nonsense.records {
			r.Sealed = make([]byte, wire.MinRendezvousSealed)
			nonsense.records[k] = r
		}
		nonsense.mu.Unlock()
		look := func(p *Pool, want [32]byte, wantErr error) {
			t.Helper()
			found, err := p.LookupNow(t.Context(), x.Local.PeerID(), x.Lookup)
			if !errors.Is(err, wantErr) || err == nil && found.Content.KnockInbox != want {
				t.Errorf("got %+v, %v, want the record of inbox %x, %v", found.Content, err, want[:1], wantErr)
			}
		}
		look(seeker, [32]byte{42}, nil)
		// Who has seen the newest does not go back, though only the liar is left.
		seeker.Use(w.addrs[0])
		synctest.Wait()
		look(seeker, [32]byte{42}, nil)
		time.Sleep(maxCacheTTL)
		look(seeker, [32]byte{}, ErrNotFound)
	})
}

func TestPoolCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		owner, seeker := w.pool(w.addrs...), w.pool(w.addrs...)
		x := somebody(t, "Ada")
		x.TTL = 10 * time.Minute
		owner.Register(x)
		synctest.Wait()
		store := w.servers[w.addrs[0].ID].server.store.(*MemoryStore)
		look := func(want error) {
			t.Helper()
			if _, err := seeker.Lookup(t.Context(), x.Local.PeerID(), x.Lookup); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		look(nil)
		owner.Close()
		synctest.Wait()
		store.mu.Lock()
		clear(store.records)
		store.mu.Unlock()
		time.Sleep(9 * time.Minute)
		look(nil) // from the cache
		time.Sleep(time.Minute)
		look(ErrNotFound)
	})
}

func TestPoolSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		owner, seeker := w.pool(w.addrs...), w.pool(w.addrs...)
		x := somebody(t, "Ada")
		stop := seeker.Subscribe(x.Local.PeerID(), x.Lookup)
		changes := func() (n int) {
			synctest.Wait()
			for len(seeker.Changes()) > 0 {
				<-seeker.Changes()
				n++
			}
			return n
		}
		owner.Register(x)
		// Each server's record is signed by itself; the clock tells which is newest.
		if n := changes(); n < 1 || n > 3 {
			t.Errorf("%d changes, want at least one", n)
		}
		time.Sleep(time.Minute)
		y := *x
		y.Content.KnockInbox = [32]byte{42}
		owner.Register(&y)
		if n := changes(); n < 1 || n > 3 {
			t.Errorf("%d changes, want at least one", n)
		}
		w.mu.Lock()
		before := w.dials
		for i := range w.addrs {
			w.dead[w.addrs[i].ID] = true
		}
		w.mu.Unlock()
		found, err := seeker.Lookup(t.Context(), x.Local.PeerID(), x.Lookup)
		if err != nil || found.Content.KnockInbox != [32]byte{42} || w.dials != before {
			t.Errorf("the cache was not kept up to date: %+v, %v", found, err)
		}
		// The next days' names are subscribed to as well.
		time.Sleep(50 * time.Hour)
		changes()
		z := *x
		z.Content.KnockInbox = [32]byte{43}
		owner.Register(&z)
		if n := changes(); n < 1 {
			t.Error("two days later no change was pushed")
		}
		stop()
		synctest.Wait()
		for _, f := range w.servers {
			f.server.mu.Lock()
			if n := len(f.server.core.subs); n != 0 {
				t.Errorf("%d subscriptions left", n)
			}
			f.server.mu.Unlock()
		}
	})
}

// After a restart everybody comes back within 30 s, and not at one moment.
func TestPoolReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		f := w.servers[w.addrs[0].ID]
		const n = 60
		var pools []*Pool
		for range n {
			f.conns = 0
			pools = append(pools, w.pool(w.addrs...))
		}
		f.server.Close()
		synctest.Wait()
		again, err := NewServer(ServerConfig{Key: f.key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { again.Close() })
		w.mu.Lock()
		f.server = again
		w.mu.Unlock()
		most, before := 0, 0
		for range 30 {
			time.Sleep(time.Second)
			synctest.Wait()
			up := 0
			for _, p := range pools {
				if p.Status()[0].Connected {
					up++
				}
			}
			most = max(most, up-before)
			before = up
		}
		if before != n || most > n/3 {
			t.Errorf("after 30 s %d of %d are back, %d of them within one second", before, n, most)
		}
	})
}
