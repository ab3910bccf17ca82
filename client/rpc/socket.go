package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// maxSocketPath is what fits into sockaddr_un, with its closing zero.
const maxSocketPath = 107

// Listen listens on a unix socket at path, mode 0600. A socket that a killed
// program left there is removed: the caller holds the profile's lock, so nobody
// listens on it.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		release()
		return nil, fmt.Errorf("rpc: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		release()
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return &listener{l, release}, nil
}

type listener struct {
	net.Listener
	release func()
}

// Close also removes the socket's file.
func (l *listener) Close() error {
	err := l.Listener.Close() // removes the file, for which it needs the short path
	l.release()
	return err
}

// Dial connects to the client that listens at path. If there is none, the error
// is [fs.ErrNotExist] or [syscall.ECONNREFUSED].
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := DialConn(ctx, path)
	if err != nil {
		return nil, err
	}
	return NewClient(conn), nil
}

// DialConn is Dial for those who speak something else.
func DialConn(ctx context.Context, path string) (net.Conn, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return conn, nil
}

// shorten returns a name for path that fits into a socket address. Profiles may
// be deep in a file tree; their directory's descriptor is a short way to them.
func shorten(path string) (short string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, fmt.Errorf("rpc: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
