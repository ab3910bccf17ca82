package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/client"
	clientsqlite "github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/internal/faults"
	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
)

// onSQLite reports whether the databases of the seed's world are SQLite's own, on
// disks that fail at any write or sync: every fifth one's are. In the others the
// persons have journals, which cost a tenth, and the relays' disks do not fail.
func (w *world) onSQLite() bool { return w.seed%5 == 0 }

// A drive is what a person's machine keeps its profile on.
type drive interface {
	// open reads what is there.
	open(context.Context) (client.Store, error)
	// breaks has the disk be full, or fail, until repair, which reports whether it
	// was broken.
	breaks(full bool)
	repair() bool
	// cutIn has the power fail at the op-th write or sync from now on, false if it
	// does not fail in the midst of a transaction.
	cutIn(op int) bool
	// powerFails forgets what was not synced, as far as rng says.
	powerFails(*rand.Rand)
	// image is what a thief copies.
	image() []byte
}

func (w *world) newDrive() drive {
	if w.onSQLite() {
		return &sqliteDrive{d: faults.New()}
	}
	return &disk{}
}

// A powerPlan is the transaction at which a machine dies.
type powerPlan struct {
	left  int  // transactions until then; 0: none
	after bool // the fatal one is durable
	op    int  // otherwise, the write or sync in it at which the power fails
	die   func()
}

// op is when in a transaction the power fails.
func (w *world) op(rng *rand.Rand) int {
	if !w.onSQLite() {
		return 0
	}
	return 1 + rng.IntN(8)
}

// A machine is a client.Store whose power can fail.
type machine struct {
	client.Store
	d       drive
	delay   func() time.Duration // of a transaction; called by who writes
	writing chan struct{}        // holds one: a transaction is being written

	mu   sync.Mutex
	dead bool
	plan powerPlan
}

// off ends the machine's power: nothing more is stored or read.
func (m *machine) off() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

// diesIn has the machine die at its n-th transaction from now.
func (m *machine) diesIn(p powerPlan) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plan = p
}

// newDelay returns how long a disk takes for a transaction, each time anew: most are
// as quick as a solid-state drive, some as slow as a memory card. While it writes
// all else on the machine goes on: what leaves it too early is out.
func newDelay(rng *rand.Rand) func() time.Duration {
	most := []time.Duration{2 * time.Millisecond, 10 * time.Millisecond, 80 * time.Millisecond}[rng.IntN(3)]
	return func() time.Duration { return most/10 + time.Duration(rng.Int64N(int64(most))) }
}

// commit runs a transaction. It takes as long as the disk takes, and the power may
// fail meanwhile.
func (m *machine) commit(do func() error) error {
	m.writing <- struct{}{}
	defer func() { <-m.writing }()
	m.mu.Lock()
	dead, fatal := m.dead, false
	if !dead && m.plan.left > 0 {
		m.plan.left--
		fatal = m.plan.left == 0
	}
	m.mu.Unlock()
	if !dead {
		time.Sleep(m.delay()) // not under mu: who waits for that stops the clock
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errOff
	}
	fatal = fatal && m.plan.die != nil // the plan may be off by now
	if fatal && !m.plan.after {
		if m.d.cutIn(m.plan.op) {
			_ = do() // as far as it comes
		}
		m.dieLocked()
		return errOff
	}
	if err := do(); err != nil {
		return err
	}
	if fatal {
		m.dieLocked()
		return errOff
	}
	return nil
}

func (m *machine) dieLocked() {
	m.dead = true
	m.plan.die()
}

// SetHeader implements client.Store.
func (m *machine) SetHeader(ctx context.Context, h []byte) error {
	return m.commit(func() error { return m.Store.SetHeader(ctx, h) })
}

// Apply implements client.Store.
func (m *machine) Apply(ctx context.Context, changes []client.Change) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return m.commit(func() error { return m.Store.Apply(ctx, changes) })
}

// Rows implements client.Store.
func (m *machine) Rows(ctx context.Context, q client.Query) ([]client.Row, error) {
	m.mu.Lock()
	dead := m.dead
	m.mu.Unlock()
	if dead {
		return nil, errOff
	}
	return m.Store.Rows(ctx, q)
}

// forEver is so many operations of a disk.
const forEver = 1 << 40

// A sqliteDrive has the client's own database on a disk that fails.
type sqliteDrive struct {
	d      *faults.Disk
	broken bool
}

func (v *sqliteDrive) open(ctx context.Context) (client.Store, error) {
	s, err := clientsqlite.OpenOn(ctx, faults.VFS, v.d.Path("client.db"))
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (v *sqliteDrive) breaks(full bool) {
	v.broken = true
	if full {
		v.d.Fail(faults.Full, 1, forEver)
		return
	}
	v.d.Fail(faults.IOError, 1, forEver)
}

func (v *sqliteDrive) repair() bool {
	was := v.broken
	v.broken = false
	v.d.Heal()
	return was
}

func (v *sqliteDrive) cutIn(op int) bool {
	v.d.Fail(faults.PowerOff, op, 1)
	return true
}

func (v *sqliteDrive) powerFails(rng *rand.Rand) {
	old := v.d
	old.Cut()
	v.d, v.broken = old.Image(anyLoss(rng), rng.Uint64()), false
	old.Remove()
}

func (v *sqliteDrive) image() []byte { return v.d.Bytes() }

func anyLoss(rng *rand.Rand) faults.Loss {
	return []faults.Loss{faults.LoseAll, faults.LoseSome, faults.LoseNone}[rng.IntN(3)]
}

// A serverDisk is what a relay keeps its database on.
type serverDisk interface {
	// open reads what is there.
	open() (relay.Store, error)
	// killed ends a life: the next one begins with what there is now. how is what
	// happened; forget is called when the old store is closed.
	killed() (forget func(), how string, err error)
	// breaks has something happen to the disk, false if only the process can die.
	breaks(*server) bool
	// tend has a disk break now and then, and somebody look after it; mend does that now.
	tend(*server)
	mend(*server)
}

func (w *world) newServerDisk(s *server, dir string) serverDisk {
	if !w.onSQLite() {
		return &serverFiles{dir: dir}
	}
	v := &serverDrive{s: s, signed: newLedger(), rng: source(w.seed, "disk "+s.name)}
	v.use(faults.New())
	return v
}

// serverFiles are files that lose nothing.
type serverFiles struct {
	dir  string
	life int
}

// database is the file of the relay's present life.
func (f *serverFiles) database() string { return filepath.Join(f.dir, fmt.Sprint(f.life), "relay.db") }

func (f *serverFiles) open() (relay.Store, error) {
	if err := os.MkdirAll(filepath.Dir(f.database()), 0o700); err != nil {
		return nil, err
	}
	return relaysqlite.Open(context.Background(), f.database())
}

func (f *serverFiles) killed() (forget func(), how string, err error) {
	old := f.database()
	f.life++
	if err := os.MkdirAll(filepath.Dir(f.database()), 0o700); err != nil {
		return nil, "", err
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(old + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(f.database()+suffix, b, 0o600)
		}
		if err != nil {
			return nil, "", err
		}
	}
	return func() { os.RemoveAll(filepath.Dir(old)) }, "killed", nil
}

func (*serverFiles) breaks(*server) bool { return false }
func (*serverFiles) tend(*server)        {}
func (*serverFiles) mend(*server)        {}

// A serverDrive has the relay's own database on a disk that fails.
type serverDrive struct {
	s      *server
	d      *faults.Disk
	signed *ledger
	rng    *rand.Rand
	broken bool
	died   atomic.Bool // the power failed; the process is to be buried
}

// use has the disk tell when its power fails: from then on nothing leaves the
// machine.
func (v *serverDrive) use(d *faults.Disk) {
	v.d, v.broken = d, false
	v.signed.next(nil)
	v.died.Store(false)
	d.WhenOff(func() {
		v.s.w.net.change(func() { v.s.host.off = true; v.s.host.epoch++ })
		v.died.Store(true)
	})
}

func (v *serverDrive) open() (relay.Store, error) {
	d := v.d
	s, err := relaysqlite.OpenOn(context.Background(), faults.VFS, d.Path("relay.db"), func() error { return d.Sync("relay.db-wal") })
	if err != nil {
		return nil, err
	}
	lost, held, err := v.signed.missing(context.Background(), s)
	if err == nil && lost > 0 {
		err = fmt.Errorf("it lost %d of %d messages that it has signed for", lost, held)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return bookedRelay{s, v.signed}, nil
}

func (v *serverDrive) killed() (forget func(), how string, err error) {
	old, loss, how := v.d, faults.LoseNone, "killed"
	if v.died.Load() || !v.broken && v.rng.IntN(2) == 0 {
		loss = anyLoss(v.rng)
		how = fmt.Sprintf("the power failed; of what was not synced is lost: %v", loss)
	}
	v.s.w.views.search("who has the disk of "+v.s.name, old.Bytes())
	old.Cut()
	v.use(old.Image(loss, v.rng.Uint64()))
	return old.Remove, how, nil
}

func (v *serverDrive) breaks(s *server) bool {
	if v.broken || v.died.Load() {
		return true
	}
	switch n := v.rng.IntN(8); n {
	case 0, 1:
		return false
	case 2:
		v.broken = true
		v.d.Fail(faults.Full, 1, forEver)
		s.w.note(s.name, "the disk is full")
	case 3:
		v.broken = true
		v.d.Fail(faults.IOError, 1, forEver)
		s.w.note(s.name, "the disk fails")
	case 4, 5:
		after := time.Duration(v.rng.IntN(100)) * time.Millisecond
		d := v.d
		v.signed.next(func() { time.AfterFunc(after, d.Cut) })
		s.w.note(s.name, "the power will fail %v after it has signed for mail", after)
	default:
		at := 1 + v.rng.IntN(40)
		v.d.Fail(faults.PowerOff, at, 1)
		s.w.note(s.name, "the power will fail at write or sync %d", at)
	}
	return true
}

func (v *serverDrive) tend(s *server) {
	switch {
	case v.died.Load() || v.broken && v.rng.IntN(10) == 0:
		v.mend(s)
	case s.running != nil && v.rng.IntN(12) == 0:
		v.breaks(s)
	}
}

// mend starts nothing again: a store whose log was not synced takes nothing any
// more, so the process ends too.
func (v *serverDrive) mend(s *server) {
	v.d.Heal()
	v.signed.next(nil)
	if v.died.Load() || v.broken {
		s.kill()
	}
}
