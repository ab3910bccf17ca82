package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/relay"
)

// A stuckStore is a relay's on a disk on which nothing can be deleted for a while.
type stuckStore struct {
	relay.Store
	stuck atomic.Bool

	mu     sync.Mutex
	handed map[uint64]int // how often each mail was handed out that is not deleted
	most   int            // of all that were deleted
	failed int            // deletions
}

func (s *stuckStore) Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) ([]relay.Mail, error) {
	mail, err := s.Store.Fetch(ctx, owner, after, now, limit, maxBytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range mail {
		s.handed[m.Seq]++
	}
	return mail, err
}

func (s *stuckStore) Ack(ctx context.Context, owner [32]byte, seqs []uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck.Load() {
		s.failed++
		return errors.New("the disk fails")
	}
	for _, seq := range seqs {
		s.most = max(s.most, s.handed[seq])
		delete(s.handed, seq)
	}
	return s.Store.Ack(ctx, owner, seqs)
}

func (s *stuckStore) state() (waiting, most, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.handed), s.most, s.failed
}

// Mail crosses the network once, also when the relay cannot delete it, or when it
// cannot be stored here at once: a full disk does not fetch the mailbox for ever.
func TestMailCrossesOnce(t *testing.T) {
	t.Parallel()
	var server *stuckStore
	s := startServerWith(t, func(store relay.Store) relay.Store {
		server = &stuckStore{Store: store, handed: map[uint64]int{}}
		return server
	})
	a, _ := newClient(t, "Alice")
	useServer(t, a, s)
	alice := me(t, a)
	b := newPerson(t, "Bob")
	disk := &goneStore{}
	wrap := func(s client.Store) client.Store { disk.Store = s; return disk }
	b.open(wrap)
	useServer(t, b.c, s)
	add(t, a, invite(t, b.c))
	send(t, a, b.id, "hello")
	waitTexts(t, a, b.id, ">delivered hello")
	emptied := func() {
		t.Helper()
		eventually(t, "an empty mailbox", func() (bool, string) {
			waiting, _, _ := server.state()
			return waiting <= 1, // that note
				fmt.Sprint(waiting, " are left")
		})
		if _, most, _ := server.state(); most > 2 { // the connection that was closed may have asked, too
			t.Errorf("the relay handed one mail out %d times in spite of three failures, want once or twice", most)
		}
	}

	b.c.Close()
	send(t, a, b.id, "one")
	send(t, a, b.id, "two")
	waitTexts(t, a, b.id, ">delivered hello", ">held one", ">held two")
	server.mu.Lock()
	clear(server.handed) // what his client leaves there for a copy of itself comes each time
	server.most = 0
	server.mu.Unlock()
	server.stuck.Store(true)
	b.open(wrap)
	waitTexts(t, b.c, alice, "<hello", "<one", "<two")
	eventually(t, "three refusals", func() (bool, string) {
		_, _, failed := server.state()
		return failed >= 3, fmt.Sprint("asked ", failed, " times")
	})
	server.stuck.Store(false)
	emptied()

	b.c.Close()
	send(t, a, b.id, "three")
	waitTexts(t, a, b.id, ">delivered hello", ">delivered one", ">delivered two", ">held three")
	s.stop()
	a.Close()
	b.open(wrap)
	disk.gone.Store(true)
	s.start()
	eventually(t, "three failures", func() (bool, string) {
		n := disk.refused.Load()
		return n >= 3, fmt.Sprint("tried ", n, " times")
	})
	disk.gone.Store(false)
	waitTexts(t, b.c, alice, "<hello", "<one", "<two", "<three")
	emptied()
}
