package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/sim/history"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// A world is everything, in one bubble.
type world struct {
	t       *testing.T
	seed    uint64
	start   time.Time
	rng     *rand.Rand // of the workload
	fate    *rand.Rand // of devices
	net     *network
	history history.History
	people  []*person
	servers []*server
	sites   []*site // where people can be
	views   *views
	cheat   *cheat // nil: all are honest

	tasks sync.WaitGroup // clients that are ending
	texts int

	sentFiles []sentFile
}

// source returns a source of random numbers for one purpose.
func source(seed uint64, purpose string) *rand.Rand {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	copy(s[8:], purpose)
	return rand.New(rand.NewChaCha8(s))
}

// epoch is when worlds begin. A bubble's clock starts in 2000, and quic-go counts
// time from the start of the process: before that its times are negative, and a
// path probe, whose stand-in has the time zero, stops the loss timer for ever.
var epoch = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, seed uint64) *world {
	time.Sleep(time.Until(epoch))
	w := &world{t: t, seed: seed, start: time.Now(), rng: source(seed, "load"), fate: source(seed, "fate"), net: newNetwork(source(seed, "network"))}
	w.views = newViews(w)
	w.net.tap = w.views.packet
	return w
}

// now is the true time since the beginning.
func (w *world) now() time.Duration { return time.Since(w.start) }

func (w *world) note(who, format string, args ...any) {
	w.history.Add(history.Event{At: w.now(), Kind: history.Note, Who: who, Text: fmt.Sprintf(format, args...)})
}

// log is what clients and servers say, if SREMP_TEST_LOG is set.
func (w *world) log(who string) *slog.Logger {
	if os.Getenv("SREMP_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("who", who)
}

type sentFile struct {
	from, to *person
	id       client.MessageID
	content  []byte
}

// A server is a relay and a rendezvous on one machine.
type server struct {
	w    *world
	name string
	host *host
	key  *identity.ServerKey
	addr identity.ServerAddr
	disk serverDisk              // of the relay's database
	memo *rendezvous.MemoryStore // a rendezvous remembers nothing that clients do not renew
	liar *liar                   // its operator; nil: an honest one

	running *running
}

// running is what one life of a server has open.
type running struct {
	ep    *transport.Endpoint
	relay *relay.Server
	store relay.Store
	rv    *rendezvous.Server
}

const serverPort = 4433

func (w *world) newServer(i int) *server {
	seed := sha(fmt.Sprintf("server %d of %d", i, w.seed))
	key, err := identity.NewServerKey(seed[:])
	if err != nil {
		w.t.Fatal(err)
	}
	public := netip.AddrFrom4([4]byte{11, 0, 0, byte(i + 1)})
	s := &server{w: w, name: fmt.Sprintf("server%d", i+1), key: key}
	s.disk = w.newServerDisk(s, filepath.Join(w.t.TempDir(), fmt.Sprint(i)))
	s.host = w.net.newHost(public, w.net.newSite(s.name, public, noNAT))
	s.addr = identity.ServerAddr{ID: key.ID(), Host: public.String(), Port: serverPort}
	s.host.at.rate = 50e6
	if w.lied(i) {
		s.liar = newLiar(w, s.name)
	}
	s.up()
	w.servers = append(w.servers, s)
	return s
}

func (s *server) up() {
	t := s.w.t
	sqlite, err := s.disk.open()
	if err != nil {
		t.Fatalf("%s does not start again: %v", s.name, err)
	}
	r := &running{store: &watchedRelay{Store: sqlite, v: s.w.views, s: s}}
	s.memo = &rendezvous.MemoryStore{}
	var records rendezvous.Store = &watchedRendezvous{Store: s.memo, v: s.w.views}
	if s.liar != nil {
		r.store, records = &lyingRelay{r.store, s.liar}, &lyingRendezvous{records, s.liar}
	}
	log := s.w.log(s.name)
	if r.relay, err = relay.NewServer(relay.ServerConfig{Key: s.key, Store: r.store, Logger: log}); err != nil {
		t.Fatal(err)
	}
	if r.rv, err = rendezvous.NewServer(rendezvous.ServerConfig{Key: s.key, Store: records, Logger: log}); err != nil {
		t.Fatal(err)
	}
	r.ep, err = transport.New(transport.Config{
		PacketConn: s.w.net.listen(s.host, serverPort), ServerKey: s.key, STUN: true, Forward: r.relay.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: r.relay.Serve, rendezvous.ALPN: r.rv.Serve},
		Logger:   log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.relay.SetSend(r.ep.WritePacket)
	s.w.net.change(func() { s.host.off = false })
	s.running = r
}

// kill ends a server's process at once. What its database had written then is
// what the next life begins with.
func (s *server) kill() {
	s.w.net.change(func() { s.host.off = true; s.host.epoch++ })
	synctest.Wait() // nobody is in the middle of a system call
	forget, how, err := s.disk.killed()
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.end()
	forget()
	s.w.note(s.name, "%s", how)
}

func (s *server) end() {
	if r := s.running; r != nil {
		s.running = nil
		r.ep.Close()
		r.relay.Close()
		r.rv.Close()
		r.store.Close()
	}
}

// A person has one device, which may be lost.
type person struct {
	w    *world
	name string
	id   identity.PeerID
	host *host
	kit  [32]byte
	rng  *rand.Rand // of the disk
	luck *rand.Rand // with starts

	disk   drive
	delay  func() time.Duration // of any disk of the person's
	store  *machine
	client *client.Client // nil: not running
	events chan struct{}  // closed when all events of the client were written down
	died   atomic.Bool    // the power failed in a transaction; the client is to be buried

	skew     atomic.Int64 // nanoseconds by which the clock is wrong
	restored time.Time    // by its clock; zero: never
	servers  map[*server]bool
	backups  []backup
	back     time.Duration // asleep or away until then
	lost     bool          // the device is; the next one begins from a backup
	sent     []sent
	files    int
}

type backup struct {
	file string
	n    int
}

// sent is a message of ours that the workload may still change.
type sent struct {
	to *person
	id client.MessageID
}

const (
	clientPort = 4433
	passphrase = "correct horse battery staple"
)

// weak is fast.
var weak = identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}

func (w *world) newPerson(i int, name string, at *site) *person {
	p := &person{
		w: w, name: name, rng: source(w.seed, "disk "+name), luck: source(w.seed, "luck "+name), servers: map[*server]bool{},
		delay: newDelay(source(w.seed, "delay "+name)), host: w.net.newHost(netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 2}), at),
	}
	p.disk = w.newDrive()
	p.store = p.openStore()
	if err := client.Create(w.t.Context(), p.config(), name); err != nil {
		w.t.Fatal(err)
	}
	w.people = append(w.people, p)
	p.open()
	me, err := p.client.WhoAmI(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	p.id = me.ID
	words, err := p.client.RecoveryKit(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if p.kit, err = identity.ParseKit(strings.Join(words, " ")); err != nil {
		w.t.Fatal(err)
	}
	w.views.person(p)
	return p
}

func (p *person) openStore() *machine {
	s, err := p.disk.open(p.w.t.Context())
	if err != nil {
		p.w.t.Fatalf("%s: reading the disk: %v", p.name, err)
	}
	return &machine{Store: s, d: p.disk, delay: p.delay, writing: make(chan struct{}, 1)}
}

func (p *person) config() client.Config {
	return client.Config{
		Store: p.store, Passphrase: []byte(passphrase), KDF: weak, KeepEvents: true, Logger: p.w.log(p.name),
		Listen: netip.AddrPortFrom(p.host.addr, clientPort).String(), Now: p.clock, ListenPacket: p.listen,
		Downloads: filepath.Join(p.w.t.TempDir(), "downloads"),
	}
}

func (p *person) clock() time.Time { return time.Now().Add(time.Duration(p.skew.Load())) }

// behind is how long a restore has to wait: under a clock that is behind that of the
// one before it would get the lower epoch, which contacts refuse (spec §2.6).
func (p *person) behind() time.Duration { return p.restored.Sub(p.clock()) }

func (p *person) listen(addr string) (net.PacketConn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var n uint16
	if _, err := fmt.Sscan(port, &n); err != nil {
		return nil, err
	}
	return p.w.net.listen(p.host, n), nil
}

// open starts the client on what is on the disk.
func (p *person) open() bool {
	c, err := client.Open(p.w.t.Context(), p.config())
	if err != nil {
		if errors.Is(err, errOff) || errors.Is(err, errDisk) || errors.Is(err, client.ErrDiskFull) {
			p.w.note(p.name, "did not start: %v", err)
			return false
		}
		p.w.t.Fatalf("%s does not start again: %v", p.name, err)
	}
	p.client, p.events = c, make(chan struct{})
	events, err := c.Subscribe(context.Background())
	if err != nil {
		p.w.t.Fatal(err)
	}
	go p.watch(events, p.events)
	return true
}

// close ends the client as a person does.
func (p *person) close() {
	p.stopped()
	c, done := p.client, p.events
	p.client = nil
	c.Close()
	<-done
	if p.died.Swap(false) { // the power failed in its last transaction
		p.disk.powerFails(p.rng)
	}
}

// kill cuts the power. What was not synced is lost.
func (p *person) kill() {
	p.store.off()
	p.w.net.change(func() { p.host.epoch++ })
	p.bury()
}

// stopped writes down that what the device did just now may not have been told.
func (p *person) stopped() {
	p.w.history.Add(history.Event{At: p.w.now(), Kind: history.Stopped, Who: p.name})
}

// bury lets go of a client whose machine is off, and has the disk forget.
func (p *person) bury() {
	p.died.Store(false)
	p.stopped()
	c, done := p.client, p.events
	p.client = nil
	p.disk.powerFails(p.rng)
	p.w.tasks.Go(func() {
		c.Close()
		<-done
	})
	synctest.Wait() // its events are written down
}

// dieIn has the power fail at a transaction.
func (p *person) dieIn(n int, after bool) {
	p.store.diesIn(powerPlan{left: n, after: after, op: p.w.op(p.rng), die: func() {
		// On the client's goroutine: from this moment nothing leaves the machine.
		p.w.net.change(func() { p.host.epoch++ })
		p.stopped()
		p.died.Store(true)
	}})
}

// restart opens the profile on the disk after the power came back.
func (p *person) restart() {
	p.stopped()
	p.store = p.openStore()
	p.open()
}

// lose takes the device away for ever and begins a new one from a backup.
func (p *person) restore(b backup) error {
	if p.client != nil {
		p.kill()
	}
	p.w.views.stolen(p)
	f, err := os.Open(b.file)
	if err != nil {
		return err
	}
	defer f.Close()
	p.disk = p.w.newDrive()
	p.store = p.openStore()
	cfg := p.config()
	cfg.Kit = &p.kit
	if _, err := client.Restore(p.w.t.Context(), cfg, f); err != nil {
		return err
	}
	p.w.history.Add(history.Event{At: p.w.now(), Kind: history.Restored, Who: p.name, N: b.n})
	p.sent, p.lost, p.restored = nil, false, p.clock()
	if !p.open() {
		return errors.New("the restored profile does not open")
	}
	return nil
}

// by returns the person with an id.
func (w *world) by(id identity.PeerID) string {
	for _, p := range w.people {
		if p.id == id {
			return p.name
		}
	}
	if w.cheat != nil && w.cheat.id == id {
		return w.cheat.name
	}
	return "?" + id.Short()
}

// watch writes down what the client tells.
func (p *person) watch(events <-chan client.Event, done chan<- struct{}) {
	defer close(done)
	for e := range events {
		switch e := e.(type) {
		case client.MessageEvent:
			if m := e.Message; !m.Mine {
				p.w.history.Add(history.Event{
					At: p.w.now(), Kind: history.Shown, Who: p.name, Peer: p.w.by(m.Contact),
					ID: m.ID.String(), Text: m.Text, Missing: m.Missing,
				})
			}
		case client.DeliveryEvent:
			p.w.views.ticked(p, e)
			p.w.history.Add(history.Event{
				At: p.w.now(), Kind: history.Ticked, Who: p.name, Peer: p.w.by(e.Contact), ID: e.ID.String(), State: history.State(e.State),
			})
		}
	}
}

// finals writes down every conversation.
func (w *world) finals() {
	for _, p := range w.people {
		others := slices.Clone(w.people)
		if w.cheat != nil {
			others = append(others, w.cheat.person)
		}
		for _, q := range others {
			if p == q {
				continue
			}
			h, err := p.client.History(w.t.Context(), q.id, client.HistoryQuery{Limit: 1 << 20})
			if errors.Is(err, client.ErrUnknownContact) {
				continue
			}
			if err != nil {
				w.t.Fatal(err)
			}
			for _, m := range h {
				w.history.Add(history.Event{
					At: w.now(), Kind: history.Final, Who: p.name, Peer: q.name, ID: m.ID.String(), Text: m.Text,
					Mine: m.Mine, State: history.State(m.State), Seq: m.Seq, Missing: m.Missing,
				})
			}
		}
	}
}

// end closes everything, so that the bubble can end.
func (w *world) end() {
	for _, p := range w.people {
		if p.client != nil {
			p.close()
		}
	}
	if w.cheat != nil {
		w.cheat.end()
	}
	for _, s := range w.servers {
		s.end()
	}
	w.tasks.Wait()
}

// text returns a text that was never used before, with its mark.
func (w *world) text() string {
	w.texts++
	mark := fmt.Sprintf("sim%08x-%d-", w.rng.Uint32(), w.texts)
	return mark + string(bytes.Repeat([]byte{'a' + byte(w.texts%26)}, w.rng.IntN(40)*w.rng.IntN(40)))
}
