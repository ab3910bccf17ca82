package transport

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"
)

// waitPath waits until a connection reports a kind of path.
func waitPath(t testing.TB, ctx context.Context, p *PeerConn, want PathKind) Path {
	t.Helper()
	if got := p.Path(); got.Kind == want {
		return got
	}
	for {
		select {
		case got, ok := <-p.PathChanges():
			if !ok {
				t.Fatalf("connection ended while waiting for path %v: %v", want, p.Err())
			}
			if got.Kind == want {
				return got
			}
		case <-ctx.Done():
			t.Fatalf("path is %+v, want %v", p.Path(), want)
		}
	}
}

// count sends 8-byte numbers from a to b until stop is closed, and checks that
// b gets each once and in order. It returns how many arrived. Virtual time needs
// a pace: its network has no bandwidth limit.
func count(t testing.TB, ctx context.Context, a, b *PeerConn, pace time.Duration, stop <-chan struct{}) uint64 {
	t.Helper()
	s, err := a.OpenStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan uint64, 1)
	go func() {
		n := uint64(0)
		for block := make([]byte, 0, 8<<10); ; n += 1 << 10 {
			block = block[:0]
			for i := range uint64(1 << 10) {
				block = binary.BigEndian.AppendUint64(block, n+i)
			}
			time.Sleep(pace)
			if _, err := s.Write(block); err != nil {
				t.Errorf("sending: %v", err)
				sent <- n
				return
			}
			select {
			case <-stop:
				s.Close()
				sent <- n + 1<<10
				return
			default:
			}
		}
	}()
	r, err := b.AcceptStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got := uint64(0)
	for b := make([]byte, 8); ; got++ {
		if _, err := io.ReadFull(r, b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("after %d numbers: %v", got, err)
		}
		if n := binary.BigEndian.Uint64(b); n != got {
			t.Fatalf("got number %d, want %d", n, got)
		}
	}
	if want := <-sent; got != want {
		t.Errorf("got %d numbers, want %d", got, want)
	}
	return got
}

// The connection is usable through the relay at once and moves to the direct
// path while bytes flow; none is lost or doubled, and both ends say so.
func TestMigration(t *testing.T) {
	ctx := withTimeout(t)
	ann, bob := pair(t)
	ea, eb := endpoint(t, Config{Identity: ann}), endpoint(t, Config{Identity: bob})
	relay := newTestRelay(t, udpConn(t), ea, eb)
	// No probe key: the candidates travel over the authenticated connection.
	a, b := connect(t, ctx,
		ea, Attempt{Peer: bob.PeerID(), Record: bob.Record(), Relay: relay.leg(0)},
		eb, Attempt{Peer: ann.PeerID(), Record: ann.Record(), Relay: relay.leg(1)})
	if got := a.ALPN(); got != alpnIK {
		t.Errorf("protocol: got %s, want %s", got, alpnIK)
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		waitPath(t, ctx, a, PathDirect)
		waitPath(t, ctx, b, PathDirect)
	}()
	// Migration may be over before the first number leaves: then the numbers
	// prove less, but TestFallback's do not.
	n := count(t, ctx, a, b, 0, stop)
	if n == 0 || relay.packets.Load() == 0 {
		t.Errorf("%d numbers, %d packets through the relay, want some", n, relay.packets.Load())
	}
	exchange(t, ctx, b, a)
	if got, want := a.Path().Remote, eb.LocalAddr(); got != want {
		t.Errorf("a's path leads to %v, want %v", got, want)
	}
	if got, want := b.Path().Remote, ea.LocalAddr(); got != want {
		t.Errorf("b's path leads to %v, want %v", got, want)
	}
}
