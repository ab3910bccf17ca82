package sim

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/internal/sim/history"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
)

// A liar is the operator of a server who works against the people: as a relay it
// signs for mail and drops it, shows it late, repeated, out of order, in another
// inbox, to another owner, cut or changed; as a rendezvous it answers a lookup
// with nothing, with records of before, of others, or changed. It remembers some
// of what passed the server, through every life of its process, and nothing else.
// What it says it says in the server's own protocol: it makes no frames that are
// not well formed, forwards packets honestly, and passes on every introduction. It has no key of
// anybody's and is nobody's contact: that is the cheat (cheat_test.go).
//
// Laws are as hard as with honest servers. What it drops its sender sees as held
// and never as delivered, and a message that comes after it is shown with the
// word that something is missing; and when the liar has ended, what it dropped is
// asked for again and arrives with the next message that its sender writes, if it
// has not disappeared at its sender since. If he writes none, it stays as it is:
// held.
type liar struct {
	mu      sync.Mutex
	rng     *rand.Rand
	at      bool // work
	mail    map[[32]byte][]relay.Mail
	all     []relay.Mail
	records map[[32]byte][]rendezvous.StoredRecord
	names   [][32]byte // in the order in which they came
	lies    map[string]int
}

// remembered bounds what a liar keeps of each owner, name and kind.
const remembered = 64

// lied reports whether the seed's world has a liar for a server: every fourth one
// has, for its first.
func (w *world) lied(i int) bool { return w.seed%4 == 0 && i == 0 }

func newLiar(w *world, name string) *liar {
	return &liar{
		rng: source(w.seed, "liar "+name), mail: map[[32]byte][]relay.Mail{},
		records: map[[32]byte][]rendezvous.StoredRecord{}, lies: map[string]int{},
	}
}

// lie has all liars begin, or end and run what they run as it is written: a
// client asks again for the mail that it was not shown when its connection ends.
func (w *world) lie(begin bool) {
	for _, s := range w.servers {
		if s.liar == nil {
			continue
		}
		s.liar.mu.Lock()
		s.liar.at = begin
		lies := maps.Clone(s.liar.lies)
		s.liar.mu.Unlock()
		if begin {
			w.history.Add(history.Event{At: w.now(), Kind: history.Lying, Who: s.name})
			continue
		}
		for _, what := range slices.Sorted(maps.Keys(lies)) {
			w.note(s.name, "lied %d times: %s", lies[what], what)
		}
		if s.running != nil {
			s.kill()
		}
	}
}

// writeAgain has everybody write to everybody in a world in which a server lied:
// that shows each what is missing.
func (w *world) writeAgain() {
	if w.lies() == 0 {
		return
	}
	for _, p := range w.people {
		for _, q := range w.people {
			if p != q {
				w.sendTo(p, q)
			}
		}
	}
}

// lies returns how often all liars have lied.
func (w *world) lies() (n int) {
	for _, s := range w.servers {
		if s.liar != nil {
			s.liar.mu.Lock()
			for _, x := range s.liar.lies {
				n += x
			}
			s.liar.mu.Unlock()
		}
	}
	return n
}

// keep appends what is not to be changed any more, and forgets what is old.
func keep[T any](all []T, x T) []T {
	if all = append(all, x); len(all) > remembered {
		all = slices.Clone(all[remembered/2:])
	}
	return all
}

// spoil returns b cut or with a bit changed.
func (l *liar) spoil(b []byte) []byte {
	b = slices.Clone(b)
	if len(b) == 0 || l.rng.IntN(3) == 0 {
		return b[:l.rng.IntN(len(b)+1)]
	}
	b[l.rng.IntN(len(b))] ^= 1 << l.rng.IntN(8)
	return b
}

// A lyingRelay is the store of a relay whose operator is a liar.
type lyingRelay struct {
	relay.Store
	l *liar
}

// Fetch implements relay.Store.
func (r *lyingRelay) Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) ([]relay.Mail, error) {
	mail, err := r.Store.Fetch(ctx, owner, after, now, limit, maxBytes)
	if err != nil || len(mail) == 0 {
		return mail, err
	}
	l := r.l
	l.mu.Lock()
	var dropped []uint64
	shown := mail
	if l.at {
		shown, dropped = l.tamper(owner, mail)
	}
	for _, m := range mail {
		l.mail[owner], l.all = keep(l.mail[owner], m), keep(l.all, m)
	}
	l.mu.Unlock()
	if len(dropped) > 0 {
		err = r.Store.Ack(ctx, owner, dropped)
	}
	return shown, err
}

// tamper returns what an owner is shown in place of its mail, and the numbers of
// what is dropped. The last one of what is shown has the highest number: the
// server goes on from there.
func (l *liar) tamper(owner [32]byte, mail []relay.Mail) (shown []relay.Mail, dropped []uint64) {
	for _, m := range mail {
		switch n := l.rng.IntN(24); {
		case n < 2:
			l.lies["dropped"]++
			dropped = append(dropped, m.Seq)
		case n < 5:
			l.lies["late"]++
		default:
			shown = append(shown, m)
		}
	}
	if len(shown) == 0 {
		return nil, dropped
	}
	last := shown[len(shown)-1]
	shown = shown[:len(shown)-1]
	for range l.rng.IntN(4) {
		if old := l.mail[owner]; len(old) > 0 {
			l.lies["repeated"]++
			shown = append(shown, old[l.rng.IntN(len(old))])
		}
		if len(l.all) > 0 {
			m := l.all[l.rng.IntN(len(l.all))]
			switch l.rng.IntN(3) {
			case 0:
				l.lies["of another"]++
				m.Inbox = last.Inbox
			case 1:
				l.lies["changed"]++
				m.Inbox, m.Blob = last.Inbox, l.spoil(m.Blob)
			case 2:
				l.lies["changed"]++
				m.Inbox, m.Blob = last.Inbox, l.spoil(last.Blob)
			}
			m.Seq = last.Seq
			shown = append(shown, m)
		}
	}
	l.rng.Shuffle(len(shown), func(i, j int) { shown[i], shown[j] = shown[j], shown[i] })
	return append(shown, last), dropped
}

// A lyingRendezvous is the store of a rendezvous whose operator is a liar.
type lyingRendezvous struct {
	rendezvous.Store
	l *liar
}

// Put implements rendezvous.Store.
func (r *lyingRendezvous) Put(ctx context.Context, x rendezvous.StoredRecord, limit int) error {
	l := r.l
	l.mu.Lock()
	if l.records[x.Blinded] == nil {
		l.names = keep(l.names, x.Blinded)
	}
	x.Sealed = slices.Clone(x.Sealed)
	l.records[x.Blinded] = keep(l.records[x.Blinded], x)
	l.mu.Unlock()
	return r.Store.Put(ctx, x, limit)
}

// Get implements rendezvous.Store.
func (r *lyingRendezvous) Get(ctx context.Context, name [32]byte, now time.Time) (rendezvous.StoredRecord, bool, error) {
	x, ok, err := r.Store.Get(ctx, name, now)
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || !l.at {
		return x, ok, err
	}
	switch l.rng.IntN(8) {
	case 0:
		l.lies["unknown"]++
		return rendezvous.StoredRecord{}, false, nil
	case 1: // also of who has left
		if old := l.records[name]; len(old) > 0 {
			l.lies["old record"]++
			return old[l.rng.IntN(len(old))], true, nil
		}
	case 2:
		if len(l.names) > 0 {
			l.lies["another's record"]++
			old := l.records[l.names[l.rng.IntN(len(l.names))]]
			y := old[l.rng.IntN(len(old))]
			y.Blinded = name
			return y, true, nil
		}
	case 3:
		if ok {
			l.lies["changed record"]++
			x.Sealed = l.spoil(x.Sealed)
		}
	}
	return x, ok, nil
}
