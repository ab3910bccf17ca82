package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/sim/history"
)

// callTime bounds one wish of a person.
const callTime = time.Minute

// names of persons: long enough not to turn up in ciphertext by chance.
var names = []string{"Alice Anderson", "Bob Bernstein", "Carol Castillo", "David Delacroix", "Erika Engström"}

// build makes the places, the servers and the people, and lets them meet.
func (w *world) build(people, servers int) {
	kinds := []natKind{noNAT, fullCone, addrRestricted, portRestricted, symmetric}
	for i := range people + 2 {
		k := kinds[w.rng.IntN(len(kinds))]
		s := w.net.newSite(fmt.Sprintf("site%d", i), netip.AddrFrom4([4]byte{12, 0, byte(i), 1}), k)
		s.latency = time.Duration(2+w.rng.IntN(80)) * time.Millisecond
		s.jitter = time.Duration(w.rng.IntN(20)) * time.Millisecond
		s.life = time.Duration(40+w.rng.IntN(260)) * time.Second
		if w.rng.IntN(3) == 0 {
			s.loss = w.rng.Float64() * 0.05
		}
		if w.rng.IntN(4) == 0 {
			s.rate = 100e3
		}
		w.sites = append(w.sites, s)
		w.note("", "%s is %s, %v away, %.1f%% loss, mappings live %v", s.name, natNames[k], s.latency, 100*s.loss, s.life)
	}
	for i := range servers {
		w.newServer(i)
	}
	for i := range people {
		w.newPerson(i, names[i], w.sites[i])
	}
	for _, p := range w.people {
		w.join(p, w.servers[w.rng.IntN(len(w.servers))])
	}
	for i, p := range w.people {
		for _, q := range w.people[:i] {
			w.meet(p, q)
		}
	}
	if w.cheated() {
		w.newCheat()
	}
}

// call runs f with a person's patience. Without a disk a client answers nothing
// any more, until it is closed.
func (w *world) call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), callTime)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-time.After(2 * callTime):
		return errOff
	}
}

// join has a person use a server.
func (w *world) join(p *person, s *server) {
	w.views.mu.Lock()
	w.views.joining = p
	w.views.mu.Unlock()
	if err := w.call(func(ctx context.Context) error { return p.client.AddServer(ctx, s.addr) }); err != nil {
		w.note(p.name, "did not join %s: %v", s.name, err)
		return
	}
	p.servers[s] = true
	w.note(p.name, "uses %s", s.name)
	time.Sleep(5 * time.Second)
}

// meet makes two persons contacts.
func (w *world) meet(p, q *person) {
	err := w.call(func(ctx context.Context) error {
		inv, err := p.client.Invite(ctx, client.InviteOptions{})
		if err != nil {
			return err
		}
		_, err = q.client.Add(ctx, inv.URI, "")
		return err
	})
	if err != nil {
		w.t.Fatalf("%s and %s did not meet: %v", p.name, q.name, err)
	}
	w.note(p.name, "met %s", q.name)
	time.Sleep(time.Second)
}

// An action is one thing that can happen, and how often it does.
type action struct {
	name   string
	weight int
	do     func(w *world, p *person)
}

var actions = []action{
	{"send", 60, (*world).send},
	{"burst", 4, func(w *world, p *person) {
		for range 2 + w.rng.IntN(30) {
			w.send(p)
		}
	}},
	{"edit", 6, (*world).edit},
	{"delete", 5, (*world).remove},
	{"react", 4, (*world).react},
	{"read", 4, (*world).read},
	{"file", 3, (*world).file},
	{"move", 6, (*world).move},
	{"sleep", 6, (*world).sleep},
	{"close", 4, (*world).quit},
	{"kill", 6, (*world).cut},
	{"killed in a transaction", 10, (*world).cutIn},
	{"backup", 3, (*world).backup},
	{"restore", 1, (*world).restore},
	{"rotate", 2, (*world).rotate},
	{"clock", 4, (*world).clock},
	{"disk", 4, (*world).breakDisk},
	{"server", 4, (*world).breakServer},
	{"part", 3, (*world).part},
	{"relay", 1, (*world).otherRelay},
}

// live lets a day pass in which things happen.
func (w *world) live(day time.Duration, pause time.Duration) {
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	for end := time.Now().Add(day); time.Now().Before(end); {
		time.Sleep(time.Duration(w.rng.ExpFloat64() * float64(pause)))
		w.tend()
		p := w.people[w.rng.IntN(len(w.people))]
		n := w.rng.IntN(total)
		for _, a := range actions {
			if n -= a.weight; n < 0 {
				a.do(w, p)
				break
			}
		}
		w.loseDevices()
		w.beAlone()
		w.cheats()
	}
}

// tend brings back who was away long enough, and buries the dead.
func (w *world) tend() {
	for _, p := range w.people {
		if p.client != nil && p.died.Load() {
			w.note(p.name, "the power failed in a transaction")
			p.bury()
			p.back = w.now() + time.Duration(w.rng.IntN(600))*time.Second
		}
		if p.back == 0 || w.now() < p.back {
			continue
		}
		p.back = 0
		w.net.change(func() { p.host.off = false })
		if p.disk.repair() {
			p.stopped()
		}
		if p.client == nil {
			w.begin(p)
		}
	}
	for _, s := range w.servers {
		s.disk.tend(s)
		if s.running == nil && w.rng.IntN(4) == 0 {
			s.up()
			w.note(s.name, "starts again")
		}
	}
}

// begin has a person's program run again: on the disk as it is, or on a new device.
// Every fourth time the power fails again soon, as it does: when the mail of the
// time away comes in.
func (w *world) begin(p *person) {
	if p.lost {
		w.restore(p)
		return
	}
	p.restart()
	w.note(p.name, "starts again")
	if p.client != nil && p.luck.IntN(4) == 0 {
		n, after := 1+p.luck.IntN(8), p.luck.IntN(3) == 0
		p.dieIn(n, after)
		w.note(p.name, "the power will fail in transaction %d, durable %v", n, after)
	}
}

// losing reports whether devices are lost in the seed's world: in every seventh.
func (w *world) losing() bool { return w.seed%7 == 5 }

// loseDevices has, in worlds in which devices are lost, people write backups more
// often, and a device go for good: what the others write meanwhile is for a session
// that the next one does not have.
func (w *world) loseDevices() {
	if !w.losing() {
		return
	}
	p := w.people[w.fate.IntN(len(w.people))]
	switch n := w.fate.IntN(20); {
	case n < 2:
		w.backup(p)
	case n == 2 && len(p.backups) > 0 && !p.died.Load() && !p.lost:
		if p.client != nil {
			p.kill()
		}
		p.lost, p.back = true, w.now()+time.Duration(w.fate.Int64N(int64(90*time.Minute)))
		w.note(p.name, "the device is lost, there is another at %v", p.back.Round(time.Second))
	}
}

// other returns somebody else.
func (w *world) other(p *person) *person {
	for {
		if q := w.people[w.rng.IntN(len(w.people))]; q != p {
			return q
		}
	}
}

func (w *world) send(p *person) { w.sendTo(p, w.other(p)) }

func (w *world) sendTo(p, q *person) {
	text := w.text()
	var timer time.Duration
	if w.rng.IntN(12) == 0 {
		timer = time.Duration(1+w.rng.IntN(120)) * time.Minute
	}
	w.views.hide("the text "+text[:13], []byte(text[:min(len(text), 24)]))
	if p.client == nil {
		return
	}
	var m client.Message
	err := w.call(func(ctx context.Context) (err error) {
		m, err = p.client.SendDraft(ctx, q.id, client.Draft{Text: text, Timer: timer})
		return err
	})
	if err != nil {
		w.history.Add(history.Event{At: w.now(), Kind: history.Unsure, Who: p.name, Peer: q.name, Text: text})
		return
	}
	w.history.Add(history.Event{At: w.now(), Kind: history.Accepted, Who: p.name, Peer: q.name, ID: m.ID.String(), Text: text, After: timer})
	p.sent = append(p.sent, sent{q, m.ID})
}

// pick returns one of the last messages of a person's.
func (p *person) pick(rng *rand.Rand) (i int, s sent, ok bool) {
	if p.client == nil || len(p.sent) == 0 {
		return 0, s, false
	}
	i = len(p.sent) - 1 - rng.IntN(min(len(p.sent), 10))
	return i, p.sent[i], true
}

func (w *world) edit(p *person) {
	text := w.text()
	w.views.hide("the text "+text[:13], []byte(text[:min(len(text), 24)]))
	_, s, ok := p.pick(w.rng)
	if !ok {
		return
	}
	// A wish that fails may come true all the same: said before it is made.
	e := history.Event{At: w.now(), Kind: history.Edited, Who: p.name, Peer: s.to.name, ID: s.id.String(), Text: text}
	err := w.call(func(ctx context.Context) error {
		_, err := p.client.Edit(ctx, s.to.id, s.id, text)
		return err
	})
	switch {
	case err == nil:
		w.history.Add(e)
	case errors.Is(err, client.ErrNoMessage):
	default:
		e.Kind = history.MaybeEdited
		w.history.Add(e)
	}
}

func (w *world) remove(p *person) {
	i, s, ok := p.pick(w.rng)
	if !ok {
		return
	}
	everywhere := w.rng.IntN(3) > 0
	e := history.Event{At: w.now(), Kind: history.Removed, Who: p.name, Peer: s.to.name, ID: s.id.String()}
	if everywhere {
		e.Kind = history.Deleted
	}
	err := w.call(func(ctx context.Context) error {
		return p.client.Delete(ctx, s.to.id, []client.MessageID{s.id}, everywhere)
	})
	if err != nil && !errors.Is(err, client.ErrNoMessage) {
		e.Kind = history.MaybeDeleted
	}
	w.history.Add(e)
	p.sent = append(p.sent[:i:i], p.sent[i+1:]...)
}

func (w *world) react(p *person) {
	_, s, ok := p.pick(w.rng)
	if !ok || s.to.client == nil {
		return
	}
	if err := w.call(func(ctx context.Context) error {
		_, err := s.to.client.React(ctx, p.id, s.id, "👍")
		return err
	}); err != nil {
		w.note(s.to.name, "did not react: %v", err)
	}
}

func (w *world) read(p *person) {
	q := w.other(p)
	if p.client == nil {
		return
	}
	share := true
	if err := w.call(func(ctx context.Context) error {
		_, err := p.client.SetContact(ctx, q.id, client.ContactSettings{ShareRead: &share})
		return errors.Join(err, p.client.MarkRead(ctx, q.id, false))
	}); err != nil {
		w.note(p.name, "did not read: %v", err)
	}
}

// file sends a file, which is a message with the file's name.
func (w *world) file(p *person) {
	q := w.other(p)
	if p.client == nil {
		return
	}
	p.files++
	w.texts++
	name := fmt.Sprintf("sim%08x-%d.bin", w.rng.Uint32(), w.texts)
	w.views.hide("the file "+name, []byte(name))
	b := make([]byte, w.rng.IntN(300_000))
	for i := 0; i+24 < len(b); i += 1000 {
		copy(b[i:], name)
	}
	path := filepath.Join(w.t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	var m client.Message
	err := w.call(func(ctx context.Context) (err error) {
		m, err = p.client.SendFile(ctx, q.id, client.FileDraft{Path: path})
		return err
	})
	if err != nil {
		w.history.Add(history.Event{At: w.now(), Kind: history.Unsure, Who: p.name, Peer: q.name, Text: name})
		return
	}
	w.history.Add(history.Event{At: w.now(), Kind: history.Accepted, Who: p.name, Peer: q.name, ID: m.ID.String(), Text: m.Text})
	w.sentFiles = append(w.sentFiles, sentFile{p, q, m.ID, b})
}

// away has a person come back later.
func (w *world) away(p *person, most time.Duration) {
	p.back = w.now() + time.Duration(w.rng.Int64N(int64(most)))
}

func (w *world) move(p *person) {
	s := w.sites[w.rng.IntN(len(w.sites))]
	w.net.change(func() { p.host.at = s })
	w.note(p.name, "moves to %s", s.name)
}

// sleep is a machine without a network for a while; its programs go on.
func (w *world) sleep(p *person) {
	w.net.change(func() { p.host.off = true })
	w.away(p, 2*time.Hour)
	w.note(p.name, "has no network until %v", p.back.Round(time.Second))
}

func (w *world) quit(p *person) {
	if p.client == nil {
		return
	}
	p.close()
	w.away(p, time.Hour)
	w.note(p.name, "is closed until %v", p.back.Round(time.Second))
}

func (w *world) cut(p *person) {
	if p.client == nil {
		return
	}
	p.kill()
	w.away(p, 10*time.Minute)
	w.note(p.name, "the power fails until %v", p.back.Round(time.Second))
}

func (w *world) cutIn(p *person) {
	n, after := 1+w.rng.IntN(6), w.rng.IntN(2) == 0
	if p.client == nil {
		return
	}
	p.dieIn(n, after)
	w.note(p.name, "the power will fail in transaction %d, durable %v", n, after)
	w.send(p)
	if q := w.other(p); q.client != nil && w.rng.IntN(2) == 0 {
		w.send(q)
	}
}

func (w *world) backup(p *person) {
	if p.client == nil {
		return
	}
	b := backup{file: filepath.Join(w.t.TempDir(), "backup"), n: len(p.backups) + 1}
	at := w.now()
	if err := w.call(func(ctx context.Context) error { return p.client.Backup(ctx, b.file) }); err != nil {
		w.note(p.name, "wrote no backup: %v", err)
		return
	}
	p.backups = append(p.backups, b)
	w.history.Add(history.Event{At: at, Kind: history.BackedUp, Who: p.name, N: b.n})
	f, err := os.ReadFile(b.file)
	if err != nil {
		w.t.Fatal(err)
	}
	w.views.search("who has a backup of "+p.name, f)
}

func (w *world) restore(p *person) {
	if len(p.backups) == 0 || p.died.Load() {
		return
	}
	if wait := p.behind(); wait > 0 {
		if p.lost {
			p.back = w.now() + wait
		}
		w.note(p.name, "does not restore: its clock is behind that of the restore before")
		return
	}
	b := p.backups[len(p.backups)-1]
	w.views.mu.Lock()
	w.views.joining = p
	w.views.mu.Unlock()
	if err := p.restore(b); err != nil {
		w.t.Fatalf("%s: restoring: %v", p.name, err)
	}
	p.back = 0
	w.net.change(func() { p.host.off = false })
}

func (w *world) rotate(p *person) {
	if p.client == nil {
		return
	}
	err := w.call(func(ctx context.Context) error { return p.client.RotateKeys(ctx) })
	w.note(p.name, "rotates its keys: %v", err)
}

func (w *world) clock(p *person) {
	skew := time.Duration(w.rng.Int64N(int64(6*time.Hour))) - 3*time.Hour
	if w.rng.IntN(2) == 0 {
		skew = 0
	}
	w.setClock(p, skew)
}

func (w *world) setClock(p *person, skew time.Duration) {
	if p.skew.Swap(int64(skew)) != int64(skew) {
		w.history.Add(history.Event{At: w.now(), Kind: history.Clock, Who: p.name, After: skew})
	}
}

func (w *world) breakDisk(p *person) {
	full := w.rng.IntN(2) == 0
	p.stopped()
	p.disk.breaks(full)
	if p.back == 0 {
		w.away(p, 10*time.Minute)
	}
	w.note(p.name, "the disk is full (%v) or fails until %v", full, p.back.Round(time.Second))
}

func (w *world) breakServer(*person) {
	if s := w.servers[w.rng.IntN(len(w.servers))]; s.running != nil && !s.disk.breaks(s) {
		s.kill()
	}
}

// part cuts the internet in two for a while, or joins it.
func (w *world) part(*person) {
	apart := w.rng.IntN(2) == 0
	w.net.change(func() {
		for _, s := range w.net.sites {
			s.island = 0
		}
		if apart {
			for _, s := range w.sites[:1+w.rng.IntN(len(w.sites)-1)] {
				s.island = 1
			}
		}
	})
	w.note("", "the internet is in two parts: %v", apart)
}

// otherRelay has a person use a further server.
func (w *world) otherRelay(p *person) {
	s := w.servers[w.rng.IntN(len(w.servers))]
	if p.client != nil && !p.servers[s] {
		w.join(p, s)
	}
}
