package faults

import (
	"io"
	"strings"

	"github.com/psanford/sqlite3vfs"
)

// A vfs is what SQLite sees of all disks. A file's name says on which disk it is.
type vfs struct{}

func (vfs) disk(name string) *Disk {
	i := strings.LastIndexByte(name, '/')
	d, ok := disks.Load(name[:i+1])
	if !ok {
		return nil
	}
	return d.(*Disk)
}

func (v vfs) Open(name string, flags sqlite3vfs.OpenFlag) (sqlite3vfs.File, sqlite3vfs.OpenFlag, error) {
	d := v.disk(name)
	if d == nil {
		return nil, 0, sqlite3vfs.CantOpenError
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, 0, sqlite3vfs.CantOpenError
	}
	if d.files[name[len(d.name):]] == nil {
		if flags&sqlite3vfs.OpenCreate == 0 {
			return nil, 0, sqlite3vfs.CantOpenError
		}
		d.files[name[len(d.name):]] = &file{}
	}
	return handle{d, name[len(d.name):]}, flags, nil
}

func (v vfs) Delete(name string, _ bool) error {
	d := v.disk(name)
	if d == nil {
		return sqlite3vfs.IOError
	}
	return d.do(Op{File: name[len(d.name):], Kind: Delete})
}

func (v vfs) Access(name string, _ sqlite3vfs.AccessFlag) (bool, error) {
	d := v.disk(name)
	if d == nil {
		return false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[name[len(d.name):]] != nil, nil
}

func (vfs) FullPathname(name string) string { return name }

// A handle is an open file.
type handle struct {
	d    *Disk
	name string
}

func (h handle) Close() error { return nil }

func (h handle) ReadAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f := h.d.files[h.name]
	if h.d.off || f == nil {
		return 0, sqlite3vfs.IOErrorRead
	}
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h handle) WriteAt(p []byte, off int64) (int, error) {
	if err := h.d.do(Op{File: h.name, Kind: Write, Off: off, Data: append([]byte(nil), p...)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (h handle) Truncate(size int64) error {
	return h.d.do(Op{File: h.name, Kind: Truncate, Off: size})
}

func (h handle) Sync(sqlite3vfs.SyncType) error { return h.d.do(Op{File: h.name, Kind: Sync}) }

func (h handle) FileSize() (int64, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if f := h.d.files[h.name]; f != nil {
		return int64(len(f.data)), nil
	}
	return 0, sqlite3vfs.IOError
}

// Nobody else has a disk in memory: locks are for nothing.
func (handle) Lock(sqlite3vfs.LockType) error   { return nil }
func (handle) Unlock(sqlite3vfs.LockType) error { return nil }
func (handle) CheckReservedLock() (bool, error) { return false, nil }

func (handle) SectorSize() int64 { return sector }

// DeviceCharacteristics promise nothing: not even that a write leaves the bytes
// beside it alone.
func (handle) DeviceCharacteristics() sqlite3vfs.DeviceCharacteristic { return 0 }
