package rendezvous

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// delayed is the far end, d away.
func delayed(far net.Conn, d time.Duration) net.Conn {
	near, mid := net.Pipe()
	pump := func(from, to net.Conn) {
		type part struct {
			b  []byte
			at time.Time
		}
		parts := make(chan part, 64)
		go func() {
			defer to.Close()
			for p := range parts {
				time.Sleep(time.Until(p.at))
				if _, err := to.Write(p.b); err != nil {
					from.Close()
				}
			}
		}()
		defer close(parts)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			parts <- part{b[:n], time.Now().Add(d)}
		}
	}
	go pump(mid, far)
	go pump(far, mid)
	return near
}

// An offer is with its receiver after one server round trip, and its answer with
// the offerer after another, at the moment at which the receiver is told to begin
// (spec §7.5).
func TestIntroductionRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = 100 * time.Millisecond
		f := newFixture(t, ServerConfig{})
		client := func() *Client {
			t.Helper()
			p := f.connect()
			p.Conn = delayed(p.Conn, rtt/2)
			c, err := newClient(t.Context(), f.key.ID(), p, p.Conn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		owner, seeker := client(), client()
		l := newPerson(t, "Ada")
		if err := owner.Register(t.Context(), time.Now(), l, [32]byte{1}, testContent(t, l), 0); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		offered, told := make(chan time.Duration, 1), make(chan time.Duration, 1)
		go func() {
			in := <-owner.Introductions()
			offered <- time.Since(began)
			if err := in.Answer(t.Context(), in.Sealed); err != nil {
				t.Error(err)
			}
			told <- time.Since(began)
		}()
		if _, err := seeker.Introduce(t.Context(), time.Now(), l.PeerID(), [32]byte{1}, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		answered := time.Since(began)
		if got := <-offered; got != rtt {
			t.Errorf("the offer took %v, want one round trip, %v", got, rtt)
		}
		if got := <-told; answered != 2*rtt || got != answered {
			t.Errorf("answered after %v, told to begin after %v, want %v", answered, got, 2*rtt)
		}
	})
}
