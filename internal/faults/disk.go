// Package faults is a disk in memory that fails as disks do, under SQLite: it
// loses power at any write, keeping all, none or some of what was not synced and
// half of a write; it reports errors; it is full. Only tests import it.
package faults

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/psanford/sqlite3vfs"
)

// VFS is the name under which SQLite finds the disks of this process.
const VFS = "faults"

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// A Loss says what becomes of writes that were not synced when the power fails.
type Loss int

// Losses.
const (
	LoseAll  Loss = iota // none of them arrived
	LoseSome             // any of them, in any order, did; the last one perhaps in part
	LoseNone             // all of them did
	losses
)

func (l Loss) String() string { return [losses]string{"all", "some", "none"}[l] }

// A Fault is what a disk does instead of an operation.
type Fault int

// Faults.
const (
	None     Fault = iota
	PowerOff       // nothing works any more; what is then left says [Disk.Image]
	IOError        // the operation fails; half of a write is done
	Full           // there is no space for what was written, as a sync learns
)

// A Disk holds files. Its operations that change something are numbered from 1:
// writes, syncs, truncations and deletions.
type Disk struct {
	name string

	mu    sync.Mutex // guards what follows
	files map[string]*file
	ops   int
	log   []Op // nil: not recorded
	keep  bool
	fault Fault
	from  int // the first operation that fails
	to    int // the last one
	off   bool
	dies  func() // called when the power fails; nil: nobody cares
}

type file struct {
	durable []byte // as of the last sync
	data    []byte // as a reader sees it
	pending []Op   // what was done since the last sync
}

// A Kind says what an Op is.
type Kind int

// Kinds of operations.
const (
	Write Kind = iota
	Truncate
	Sync
	Delete
)

// An Op is an operation on a file.
type Op struct {
	File string
	Kind Kind
	Off  int64 // Write: where; Truncate: the new size
	Data []byte
}

// disks are those that SQLite finds, by name; the VFS is registered with the first.
var (
	disks    sync.Map
	number   atomic.Int64
	register sync.Once
)

// New returns an empty disk.
func New() *Disk {
	register.Do(func() {
		if err := sqlite3vfs.RegisterVFS(VFS, vfs{}); err != nil {
			panic(err)
		}
	})
	d := &Disk{name: fmt.Sprintf("/disk%d/", number.Add(1)), files: map[string]*file{}}
	disks.Store(d.name, d)
	return d
}

// Path returns the name that SQLite has for a file of this disk.
func (d *Disk) Path(name string) string { return d.name + name }

// Remove makes the disk unknown to SQLite.
func (d *Disk) Remove() { disks.Delete(d.name) }

// Ops returns how many operations there were.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// Record begins to keep the operations, for [Disk.Log].
func (d *Disk) Record() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep = true
}

// Log returns the operations since Record.
func (d *Disk) Log() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log
}

// Fail has n operations fail after the next after-1 ones. A PowerOff lasts.
func (d *Disk) Fail(f Fault, after, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.from, d.to = f, d.ops+after, d.ops+after+n-1
}

// WhenOff has f called, once, when the power fails. It does nothing with the disk.
func (d *Disk) WhenOff(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dies = f
}

// Cut has the power fail now, between two operations.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.off {
		d.failLocked()
	}
}

func (d *Disk) failLocked() {
	d.off = true
	if d.dies != nil {
		d.dies()
	}
}

// Sync syncs a file as another than SQLite does, with the errors of a file system.
func (d *Disk) Sync(name string) error {
	err := d.do(Op{File: name, Kind: Sync})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqlite3vfs.FullError):
		return syscall.ENOSPC
	}
	return syscall.EIO
}

// Bytes returns all that is in the files, one after the other, as who copies the
// disk of a running machine has it.
func (d *Disk) Bytes() (b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		b = append(b, d.files[name].data...)
	}
	return b
}

// Off reports whether the power failed.
func (d *Disk) Off() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off
}

// Heal has no more operations fail. Power that is off stays off.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = None
}

// Image returns what a disk would hold whose power failed now. With one seed it
// is the same again.
func (d *Disk) Image(loss Loss, seed uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, uint64(loss)))
	img := New()
	for name, f := range d.files {
		b := append([]byte(nil), f.durable...)
		if loss == LoseNone {
			b = append([]byte(nil), f.data...)
		}
		if loss == LoseSome {
			for i, op := range f.pending {
				if i < len(f.pending)-1 && r.IntN(4) == 0 {
					continue
				}
				if i == len(f.pending)-1 { // whole sectors of it
					op.Data = op.Data[:min(len(op.Data), r.IntN(len(op.Data)/sector+2)*sector)]
				}
				b = op.on(b)
			}
		}
		img.files[name] = &file{durable: b, data: append([]byte(nil), b...)}
	}
	return img
}

// Replay does what another disk did.
func (d *Disk) Replay(op Op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(op)
}

// do is an operation that changes something.
func (d *Disk) do(op Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return sqlite3vfs.IOError
	}
	d.ops++
	if d.fault != None && d.from <= d.ops && d.ops <= d.to {
		switch d.fault {
		case PowerOff:
			d.failLocked()
			if op.Kind == Write { // it may have reached the disk
				d.apply(op)
			}
			return sqlite3vfs.IOError
		case Full:
			if op.Kind == Sync {
				return sqlite3vfs.FullError
			}
		default:
			if op.Kind == Write {
				op.Data = op.Data[:len(op.Data)/2]
				d.apply(op)
			}
			return sqlite3vfs.IOError
		}
	}
	if d.keep {
		d.log = append(d.log, op)
	}
	d.apply(op)
	return nil
}

func (d *Disk) apply(op Op) {
	if op.Kind == Delete { // names are durable at once: SQLite does not rely on the contrary
		delete(d.files, op.File)
		return
	}
	f := d.files[op.File]
	if f == nil {
		f = &file{}
		d.files[op.File] = f
	}
	if op.Kind != Sync {
		f.data = op.on(f.data)
		f.pending = append(f.pending, op)
		return
	}
	for _, p := range f.pending {
		f.durable = p.on(f.durable)
	}
	f.pending = nil
}

// on returns what a write or truncation makes of b.
func (op Op) on(b []byte) []byte {
	end := op.Off + int64(len(op.Data))
	if more := end - int64(len(b)); more > 0 {
		b = append(b, make([]byte, more)...)
	}
	if op.Kind == Truncate {
		return b[:op.Off]
	}
	copy(b[op.Off:], op.Data)
	return b
}
