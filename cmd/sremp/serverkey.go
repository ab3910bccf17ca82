package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sremp/sremp/identity"
)

// serverKeyHeader is the first line of a server's key file; the second is the
// seed as 64 hexadecimal digits.
const serverKeyHeader = "sremp server key 1\n"

var errBadServerKey = errors.New("the server's key file is damaged; restore it from a backup, " +
	"or delete it to get a new key and a new address")

// loadServerKey reads the key at path, or makes one there.
func loadServerKey(path string) (*identity.ServerKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createServerKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the server's key: %w", err)
	}
	digits, ok := bytes.CutPrefix(text, []byte(serverKeyHeader))
	if !ok {
		return nil, fmt.Errorf("%w (%s)", errBadServerKey, path)
	}
	seed, err := hex.DecodeString(string(bytes.TrimSpace(digits)))
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", errBadServerKey, path)
	}
	key, err := identity.NewServerKey(seed)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", errBadServerKey, path)
	}
	return key, nil
}

func createServerKey(path string) (*identity.ServerKey, error) {
	seed := make([]byte, 32)
	rand.Read(seed) // never fails, see crypto/rand.Read
	key, err := identity.NewServerKey(seed)
	if err != nil {
		return nil, err
	}
	if err := writeFileAtomic(path, []byte(serverKeyHeader+hex.EncodeToString(seed)+"\n")); err != nil {
		return nil, fmt.Errorf("writing the server's key: %w", err)
	}
	return key, nil
}

// writeFileAtomic writes a file of mode 0600 that is there whole after a crash
// or power loss, or not at all.
func writeFileAtomic(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync() // the new name as well
}
