package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sremp/sremp/transfer"
)

// maxSameName is how many files of one name a folder may have.
const maxSameName = 10_000

// A folder is the download folder. Nothing outside it can be reached through it,
// whatever a name says and wherever its links point.
type folder struct{ root *os.Root }

// openFolder makes the folder if it is missing.
func openFolder(path string) (folder, error) {
	if path == "" {
		return folder{}, ErrNoDownloads
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return folder{}, fmt.Errorf("client: making the folder of received files: %w", noSpace(err))
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return folder{}, fmt.Errorf("client: opening the folder of received files: %w", err)
	}
	return folder{root}, nil
}

func (d folder) close() { d.root.Close() }

// partName is what a file is called until it is whole.
func partName(name string, id MessageID) string {
	return name + "." + hex.EncodeToString(id[:4]) + ".part"
}

// newPart makes an empty part for a file, under a name that nobody has.
func (d folder) newPart(part string) (f *os.File, name string, err error) {
	for n := range maxSameName {
		name = transfer.Numbered(part, n)
		f, err = d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, name, noSpace(err)
}

// openPart opens what there is of a file; fs.ErrNotExist says that it is gone, or
// something else now.
func (d folder) openPart(part string) (*os.File, error) {
	seen, err := d.root.Lstat(part)
	if err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !os.SameFile(seen, info)) {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// place gives a part that is whole its name, or the first free one with a number
// behind it. Nothing is ever overwritten. Where the file system has links the part
// stays as well, until the caller removes it: so that it may be repeated.
func (d folder) place(part, name string) (path string, modified time.Time, err error) {
	info, err := d.root.Stat(part)
	if err != nil {
		return "", modified, err
	}
	for n := range maxSameName {
		to := transfer.Numbered(name, n)
		switch err := d.move(part, to, info); {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return "", modified, noSpace(err)
		}
		if dir, err := d.root.Open("."); err == nil { // so that the new name is durable
			_ = dir.Sync() // not every file system can
			dir.Close()
		}
		return filepath.Join(d.root.Name(), to), info.ModTime(), nil
	}
	return "", modified, fs.ErrExist
}

// move is a rename that fails with fs.ErrExist where rename would overwrite.
func (d folder) move(part, to string, info fs.FileInfo) error {
	err := d.root.Link(part, to)
	if errors.Is(err, fs.ErrExist) {
		old, statErr := d.root.Lstat(to)
		if statErr != nil || !os.SameFile(old, info) {
			return err
		}
		err = nil // a crash came between the two steps
	}
	if err == nil {
		return nil
	}
	// A file system without links: take the name first, then replace ourselves.
	f, err := d.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	return d.root.Rename(part, to)
}

// removePart deletes what there is of a file that nobody wants any more.
func removePart(path, part string) error {
	if path == "" || part == "" {
		return nil
	}
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeReceived deletes a received file if it is as it was received.
func removeReceived(dir, path string, size uint64, modified time.Time) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	name := filepath.Base(path)
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || uint64(info.Size()) != size || !info.ModTime().Equal(modified) {
		return err
	}
	return root.Remove(name)
}

// noSpace makes a full disk the error that people can act on.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w (%w)", ErrDiskFull, err)
	}
	return err
}
