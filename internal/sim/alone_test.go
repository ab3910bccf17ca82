package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/sim/history"
)

// aloneFor is how long somebody is left alone with the servers, and well.
const aloneFor = 15 * time.Minute

// lonely reports whether people are alone at times in the seed's world: in every
// third.
func (w *world) lonely() bool { return w.seed%3 == 1 }

// beAlone has, in such a world and now and then, the others write to somebody who is
// not there, and go before that one comes back: what a relay holds must do without
// its sender. The power fails, as it does, while the mail comes in.
func (w *world) beAlone() {
	if !w.lonely() || w.fate.IntN(20) > 0 {
		return
	}
	p := w.people[w.fate.IntN(len(w.people))]
	if p.died.Load() || p.lost {
		return
	}
	for _, s := range w.servers {
		s.disk.mend(s)
		if s.running == nil {
			s.up()
		}
	}
	if p.client != nil {
		p.close()
	}
	w.note(p.name, "is closed, and is written to")
	others := slices.DeleteFunc(slices.Clone(w.people), func(q *person) bool { return q == p })
	for _, q := range others {
		for range 1 + w.fate.IntN(4) {
			w.sendTo(q, p)
		}
	}
	time.Sleep(3 * time.Minute)
	w.net.change(func() {
		for _, s := range w.net.sites {
			s.island = 0
		}
		for _, q := range others {
			q.host.off = true
		}
		p.host.off = false
	})
	p.disk.repair()
	w.setClock(p, 0)
	for range 1 + w.fate.IntN(4) {
		p.restart()
		p.dieIn(1+w.fate.IntN(5), w.fate.IntN(4) == 0) // mail comes in one of the first
		w.note(p.name, "starts alone, and the power fails")
		time.Sleep(time.Duration(w.fate.Int64N(int64(time.Minute))))
		if p.died.Load() {
			p.bury()
		} else {
			p.kill()
		}
	}
	p.back = 0
	p.restart()
	w.note(p.name, "starts alone")
	time.Sleep(aloneFor)
	w.there(p)
	w.history.Add(history.Event{At: w.now(), Kind: history.Alone, Who: p.name, After: aloneFor})
	for _, q := range others {
		q.back = max(1, min(q.back, w.now()))
	}
}

// there writes down what a person has that was not seen to be shown: the device may
// have ended in that moment.
func (w *world) there(p *person) {
	shown := map[string]bool{}
	for _, e := range w.history.Events() {
		if e.Kind == history.Shown && e.Who == p.name {
			shown[e.ID] = true
		}
	}
	for _, q := range w.people {
		h, err := p.client.History(w.t.Context(), q.id, client.HistoryQuery{Limit: 1 << 20})
		if err != nil && !errors.Is(err, client.ErrUnknownContact) {
			w.t.Fatal(err)
		}
		for _, m := range h {
			if !m.Mine && !shown[m.ID.String()] {
				w.history.Add(history.Event{At: w.now(), Kind: history.There, Who: p.name, Peer: q.name, ID: m.ID.String()})
			}
		}
	}
}
