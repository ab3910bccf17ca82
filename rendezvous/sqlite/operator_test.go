package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

func endpoint(t *testing.T, ip byte, c transport.Config) *transport.Endpoint {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, ip)})
	if err != nil {
		t.Skipf("SKIPPED: only Linux gives every machine 127.0.0.0/8: %v", err)
	}
	c.PacketConn = pc
	ep, err := transport.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	return ep
}

// The files hold no identity, no lookup secret, no name and no address of those
// who registered, looked up and were introduced (spec §7.1).
func TestFilesTellNothing(t *testing.T) {
	dir := t.TempDir()
	store := open(t, filepath.Join(dir, "r.db"))
	key, err := identity.NewServerKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: key, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ep := endpoint(t, 1, transport.Config{ServerKey: key, Services: map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: s.Serve}})
	at := identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: ep.LocalAddr().Port()}

	const n = 12
	var secrets [][]byte
	var last *identity.Local
	for i := range byte(n) {
		l, _, err := identity.NewLocal(fmt.Sprintf("Citizen %d of many", i), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		lookup := [32]byte(bytes.Repeat([]byte{200 + i}, 32))
		own := endpoint(t, 100+i, transport.Config{})
		c, err := rendezvous.Dial(t.Context(), own, at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Register(t.Context(), time.Now(), l, lookup, rendezvous.Content{Record: l.Record()}, 0); err != nil {
			t.Fatal(err)
		}
		go func() {
			for in := range c.Introductions() {
				_ = in.Answer(context.Background(), in.Sealed)
			}
		}()
		if last != nil {
			before := [32]byte(bytes.Repeat([]byte{199 + i}, 32))
			if _, err := c.Introduce(t.Context(), time.Now(), last.PeerID(), before, []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		id := l.PeerID()
		secrets = append(secrets, id[:], lookup[:], []byte(l.Record().Name), []byte(id.Short()),
			[]byte(own.LocalAddr().Addr().String()), append(own.LocalAddr().Addr().AsSlice(), byte(own.LocalAddr().Port()>>8), byte(own.LocalAddr().Port())))
		last = l
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 { // the file and its log
		t.Fatalf("files %q, %v", files, err)
	}
	size := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		size += len(b)
		for _, secret := range secrets {
			if bytes.Contains(b, secret) {
				t.Errorf("%s has %q", filepath.Base(file), secret)
			}
		}
	}
	if size < 2*n*1024 {
		t.Errorf("%d bytes in all files: there was nothing to find", size)
	}
}
