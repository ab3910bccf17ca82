package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHello(t *testing.T) {
	ctx := withTimeout(t)
	a, b := endpoint(t, Config{}), endpoint(t, Config{})
	key := [32]byte{1}
	var calls atomic.Int64
	remove := b.OnHello(key, func(from netip.AddrPort, payload []byte) []byte {
		calls.Add(1)
		if from != a.LocalAddr() {
			t.Errorf("hello from %v, want %v", from, a.LocalAddr())
		}
		return append([]byte("re: "), payload...)
	})
	for range 3 {
		from, reply, err := a.SendHello(ctx, key, []netip.AddrPort{b.LocalAddr()}, []byte("it is me"))
		if err != nil || from != b.LocalAddr() || string(reply) != "re: it is me" {
			t.Fatalf("got %q from %v, %v", reply, from, err)
		}
	}
	if got := calls.Load(); got != 1 {
		t.Errorf("handler called %d times for one payload, want 1", got)
	}
	if _, _, err := a.SendHello(ctx, key, nil, make([]byte, MaxHello+1)); err == nil {
		t.Error("a hello too long was sent")
	}
	remove()
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, _, err := a.SendHello(short, key, []netip.AddrPort{b.LocalAddr()}, []byte("again")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after remove: got %v, want ErrUnreachable", err)
	}
}

// Spec §5.5.2: a stranger gets nothing; a replay from another address gets a
// cookie, does not reach the handler, and is answered with no more bytes than it
// has.
func TestHelloReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newSimNet(t)
		victim := n.endpoint("11.0.0.1:1", Config{})
		evil := n.conn("11.0.0.66:1")
		defer evil.Close()
		key := [32]byte{1}
		var calls atomic.Int64
		victim.OnHello(key, func(netip.AddrPort, []byte) []byte { calls.Add(1); return []byte{} })
		read := func() []byte {
			b := make([]byte, 2000)
			evil.SetReadDeadline(time.Now().Add(time.Second))
			n, _, _ := evil.ReadFrom(b)
			return b[:n]
		}
		to := net.UDPAddrFromAddrPort(victim.LocalAddr())

		// What an honest sender's packet looks like, with the cookie it earned.
		honest := netip.MustParseAddrPort("11.0.0.2:1")
		keys := newHelloKeys(key)
		m := helloMessage{kind: kindHello, cookie: victim.hello.cookie(honest, cookieEpoch(time.Now())), payload: []byte("x")}
		packet := sealHello(keys.request, helloRequest, m)
		for range 10 {
			evil.WriteTo(packet, to)
			got := read()
			if len(got) == 0 || len(got) > len(packet) {
				t.Fatalf("a replay of %d bytes was answered with %d", len(packet), len(got))
			}
			if r, ok := openHello(keys.reply, got); !ok || r.kind != kindCookie {
				t.Errorf("a replay was answered with kind %d, want a cookie", r.kind)
			}
		}
		wrong := sealHello(newHelloKeys([32]byte{2}).request, helloRequest, m)
		evil.WriteTo(wrong, to)
		evil.WriteTo(wrong[:len(wrong)-1], to)
		reflected := sealHello(keys.reply, helloReply, m)
		evil.WriteTo(reflected, to)
		if got := read(); len(got) > 0 {
			t.Errorf("garbage was answered with %d bytes", len(got))
		}
		if got := calls.Load(); got != 0 {
			t.Errorf("handler called %d times, want 0", got)
		}
	})
}
