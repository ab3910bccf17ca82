package rpc

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSocket(t *testing.T) {
	for _, tt := range []struct{ name, sub string }{
		{"short path", "p"},
		{"path longer than a socket address", strings.Repeat("deep/", 30)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), tt.sub)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "socket")
			if _, err := Dial(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("dial without a socket: got %v, want %v", err, fs.ErrNotExist)
			}

			l, err := Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error)
			go func() { served <- Serve(ctx, l, &fake{}) }()
			c, err := Dial(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.WhoAmI(t.Context()); err != nil || got.Name != me.Name {
				t.Errorf("got %q, %v, want %q", got.Name, err, me.Name)
			}

			cancel() // with the connection open
			if err := <-served; err != nil {
				t.Errorf("Serve: got %v, want nil", err)
			}
			<-c.Done()
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after Serve: got %v, want the socket's file gone", err)
			}
		})
	}
}

// A program that was killed leaves its socket behind.
func TestLeftOverSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := Dial(t.Context(), path); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want %v", err, syscall.ECONNREFUSED)
	}
	again, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestMalformedRequests(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"no JSON", "hello", `"code":-32700`},
		{"another version", `{"jsonrpc":"1.0","id":1,"method":"who_am_i"}`, `"code":-32700`},
		{"too long", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", maxRequest) + `"}`, `"code":-32700`},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"nonsense"}`, `"id":1,"error":{"code":-32601`},
		{"wrong parameters", `{"jsonrpc":"2.0","id":1,"method":"send","params":{"to":"nobody"}}`, `"id":1,"error":{"code":-32602`},
		{"no parameters", `{"jsonrpc":"2.0","id":1,"method":"add","params":7}`, `"id":1,"error":{"code":-32602`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			ended := make(chan struct{})
			go func() { ServeConn(context.Background(), far, &fake{}); close(ended) }()
			go func() { near.Write([]byte(tt.line + "\n")) }()
			got, err := bufio.NewReader(near).ReadString('\n')
			if err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, %v, want %s", got, err, tt.want)
			}
			near.Close()
			<-ended
		})
	}
}
