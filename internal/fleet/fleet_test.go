package fleet

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/pgtest"
)

// TestFleet runs three relays and two rendezvous of one key on a PostgreSQL with a
// synchronous standby, with clients spread over them. Each process is killed under
// load and started again, then the database's primary, whose standby is promoted:
// no acknowledged message is lost, none is stored twice, who was registered is
// found. SREMP_FLEET is how many rounds of killing there are (make fleet); without
// it one relay and one rendezvous are killed, with fewer clients.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("its processes are not under the race detector")
	}
	owners, senders, lookers, rounds := 6, 4, 1, 0
	if text := os.Getenv("SREMP_FLEET"); text != "" {
		owners, senders, lookers = 60, 24, 4
		if _, err := fmt.Sscan(text, &rounds); err != nil || rounds < 1 {
			t.Fatalf("SREMP_FLEET=%q is no number of rounds", text)
		}
	}
	program := build(t)
	seed := identity.NewInviteSecret()
	key := []byte("sremp server key 1\n" + hex.EncodeToString(seed[:]) + "\n")
	primary := pgtest.Start(t, "max_connections=300")
	dsn := primary.Database(t)
	standby := primary.Standby(t)
	database := primary.Failover(dsn, standby)

	ctx, cancel := context.WithCancel(t.Context())
	l := &load{TB: t, ctx: ctx, ep: endpoint(t), acked: map[string]bool{}, got: map[string]int{}, acks: make([]progress, senders)}
	defer l.wg.Wait()
	defer cancel()
	var relays, books []*member
	for range 3 {
		m := newMember(t, len(relays), program, "relay", database, key)
		relays, l.relays = append(relays, m), append(l.relays, m.addr)
	}
	for range 2 {
		m := newMember(t, 3+len(books), program, "rendezvous", database, key)
		books, l.rendezvous = append(books, m), append(l.rendezvous, m.addr)
	}

	var ready sync.WaitGroup
	boxes := make([]owner, owners)
	people := make([]person, owners)
	for i := range owners {
		boxes[i], people[i] = newOwner(i), newPerson(t, i)
		ready.Add(2)
		l.wg.Go(func() { l.receive(i, boxes[i], sync.OnceFunc(ready.Done)) })
		l.wg.Go(func() { l.register(i, people[i], sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	begin := time.Now()
	sending, enough := context.WithCancel(ctx)
	defer enough()
	var writers sync.WaitGroup
	l.lookups.begin()
	for n := range senders {
		l.acks[n].begin()
		writers.Go(func() { l.send(sending, n, boxes) })
	}
	for n := range lookers {
		l.wg.Go(func() { l.lookUp(n, people) })
	}
	l.await("the first messages", func() bool { return len(l.acked) >= 100 && l.lookups.n >= 10 })

	var ofRelay, ofBook []time.Duration
	kill := func(relays, books []*member) {
		for _, m := range relays {
			gap, _ := l.silence("a relay's end", m.kill)
			ofRelay = append(ofRelay, gap)
			m.start()
		}
		for _, m := range books {
			_, gap := l.silence("a rendezvous's end", m.kill)
			ofBook = append(ofBook, gap)
			m.start()
		}
	}
	if rounds == 0 {
		kill(relays[:1], books[:1])
	}
	for range rounds {
		kill(relays, books)
	}
	l.mu.Lock()
	rate := float64(len(l.acked)) / time.Since(begin).Seconds()
	l.mu.Unlock()
	var promoted time.Duration
	ofPrimary, _ := l.silence("the primary's end", func() {
		at := time.Now()
		primary.Kill()
		standby.Promote(t) // what a cluster manager, or an operator, does
		standby.SetSynchronous(t, "")
		promoted = time.Since(at)
	})

	// The senders end, what is on its way arrives.
	end := time.Now()
	enough()
	writers.Wait()
	l.await("all that was acknowledged", func() bool { return len(missing(l.acked, l.got)) == 0 })
	cancel()
	l.wg.Wait()

	lost := missing(l.acked, l.got)
	if len(lost) > 0 {
		t.Errorf("%d of %d acknowledged messages never came, among them %q", len(lost), len(l.acked), lost[0])
	}
	if left := standby.Query(t, dsn, "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM mail GROUP BY inbox, hash) AS x"); left != "0" && left != "1" {
		t.Errorf("a message is stored %s times", left)
	}
	figure := func(name string, v float64, unit, against string) {
		fmt.Printf("figure: operate.fleet.%s %.3g %s %s\n", name, v, unit, against)
	}
	figure("lost", float64(len(lost)), "messages", fmt.Sprintf("of %d acknowledged, %d kills and the primary's", len(l.acked), len(ofRelay)+len(ofBook)))
	figure("stores", rate, "1/s", fmt.Sprintf("%d senders, %d owners, each store on two disks' syncs, kills under way", senders, owners))
	figure("silence_relay", slices.Max(ofRelay).Seconds(), "s", "longest wait of a sender whose relay was killed; it gives a call 3 s")
	figure("silence_rendezvous", slices.Max(ofBook).Seconds(), "s", "longest time without an answered lookup")
	figure("silence_primary", ofPrimary.Seconds(), "s", "longest wait of a sender when the primary was killed")
	figure("promotion", promoted.Seconds(), "s", "of the commands that made the standby the primary; a manager needs its own time to notice")
	t.Logf("%v from the first message to the end", end.Sub(begin).Round(time.Second))
}

// missing are the messages that were acknowledged and did not come.
func missing(acked map[string]bool, got map[string]int) (all []string) {
	for text := range acked {
		if got[text] == 0 {
			all = append(all, text)
		}
	}
	return all
}

// await waits until the clients have come so far; holds is called with l.mu held.
func (l *load) await(what string, holds func() bool) {
	l.Helper()
	for late := time.Now().Add(patience); ; pause(l.Context(), 10*time.Millisecond) {
		l.mu.Lock()
		ok := holds()
		l.mu.Unlock()
		switch {
		case ok:
			return
		case l.Failed() || time.Now().After(late):
			l.Fatalf("waited in vain for: %s", what)
		}
	}
}

// silence breaks something and returns the longest time for which a sender then
// had no acknowledgement, and for which no lookup was answered.
func (l *load) silence(what string, broken func()) (acks, lookups time.Duration) {
	l.Helper()
	each := func(f func(*progress)) {
		for i := range l.acks {
			f(&l.acks[i])
		}
		f(&l.lookups)
	}
	l.mu.Lock()
	each(func(p *progress) { p.gap = 0 })
	l.mu.Unlock()
	broken()
	l.mu.Lock()
	each(func(p *progress) { p.n = 0 })
	l.mu.Unlock()
	// A call that was under way may still be answered: the gap is before a later one.
	l.await("answers after "+what, func() bool {
		all := true
		each(func(p *progress) { all = all && p.n >= 20 })
		return all
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.acks {
		acks = max(acks, p.gap)
	}
	return acks, l.lookups.gap
}
