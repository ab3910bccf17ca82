package transport

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// Two peers without any server meet by their candidates alone.
func TestConnectDirect(t *testing.T) {
	for _, test := range []struct {
		name  string
		known bool
	}{{"XX", false}, {"IK", true}} {
		t.Run(test.name, func(t *testing.T) {
			ctx := withTimeout(t)
			ann, bob := pair(t)
			ea, eb := endpoint(t, Config{Identity: ann}), endpoint(t, Config{Identity: bob})
			key := [32]byte{7}
			aa := Attempt{Peer: bob.PeerID(), ProbeKey: key, Remote: eb.Gather(ctx, nil)}
			ab := Attempt{Peer: ann.PeerID(), ProbeKey: key, Remote: ea.Gather(ctx, nil)}
			want := alpnXX
			if test.known {
				aa.Record, ab.Record, want = bob.Record(), ann.Record(), alpnIK
			}
			a, b := connect(t, ctx, ea, aa, eb, ab)
			if got := a.ALPN(); got != want {
				t.Errorf("protocol: got %s, want %s", got, want)
			}
			if a.Peer().Identity != bob.PeerID() || b.Peer().Identity != ann.PeerID() {
				t.Error("peers are not each other's")
			}
			if a.Binding() != b.Binding() {
				t.Error("the two ends have different bindings")
			}
			exchange(t, ctx, a, b)
			for _, p := range []*PeerConn{a, b} {
				if got := p.Path(); got.Kind != PathDirect || !got.Remote.IsValid() {
					t.Errorf("path: got %+v, want a direct one", got)
				}
			}
		})
	}
}

// Bob knows an old key of Ann's that she has destroyed: IK fails, XX follows by
// itself, and Bob learns the new record.
func TestNeedXX(t *testing.T) {
	ctx := withTimeout(t)
	now := time.Unix(1_800_000_000, 0)
	ann, bob := pair(t)
	rotated, err := ann.Rotate(now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	rotated = rotated.Expire(now.Add(60 * 24 * time.Hour))
	ea, eb := endpoint(t, Config{Identity: rotated}), endpoint(t, Config{Identity: bob})
	key := [32]byte{7}
	a, b := connect(t, ctx,
		ea, Attempt{Peer: bob.PeerID(), Record: bob.Record(), ProbeKey: key, Remote: eb.Gather(ctx, nil)},
		eb, Attempt{Peer: ann.PeerID(), Record: ann.Record(), ProbeKey: key, Remote: ea.Gather(ctx, nil)})
	if got := a.ALPN(); got != alpnXX {
		t.Errorf("protocol: got %s, want %s", got, alpnXX)
	}
	if got, want := b.Peer().Hash(), rotated.Record().Hash(); got != want {
		t.Error("the new record did not arrive")
	}
	exchange(t, ctx, a, b)
}

// A peer that nobody waits for is asked about, and comes out of Accept.
func TestAccept(t *testing.T) {
	ctx := withTimeout(t)
	ann, bob := pair(t)
	var allowed error
	ea := endpoint(t, Config{Identity: ann})
	eb := endpoint(t, Config{Identity: bob, Allow: func(r *identity.Record) error {
		if r.Identity != ann.PeerID() {
			t.Errorf("asked about %v, want %v", r.Identity, ann.PeerID())
		}
		return allowed
	}})
	dial := func() (*PeerConn, error) { return dialDirect(ctx, ea, bob, eb.LocalAddr(), alpnXX) }
	a, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	b, err := eb.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, ctx, a, b)
	if got, want := b.Path(), ea.LocalAddr(); got.Kind != PathDirect || got.Remote != want {
		t.Errorf("path: got %+v, want a direct one to %v", got, want)
	}

	allowed = errors.New("blocked")
	if a, err = dial(); err == nil {
		<-a.Done()
		err = a.Err()
	}
	if !errors.Is(err, ErrRefused) {
		t.Errorf("a blocked peer got %v, want ErrRefused", err)
	}
}

// dialDirect dials without a path search.
func dialDirect(ctx context.Context, e *Endpoint, peer *identity.Local, to netip.AddrPort, protocols ...string) (*PeerConn, error) {
	at := newAttempt(Attempt{Peer: peer.PeerID(), Record: peer.Record()}, func(error) {})
	e.begin(at, true)
	defer e.m.paths.release(at.link)
	defer e.withdraw(at)
	e.m.paths.know(at.link, to)
	at.needXX.Store(!slices.Contains(protocols, alpnIK))
	return e.dialSlot(ctx, at, slotDirect, to, true)
}

// Another peer than the one dialled answers.
func TestWrongPeer(t *testing.T) {
	ctx := withTimeout(t)
	ann, bob := pair(t)
	_, eve := pair(t)
	ea := endpoint(t, Config{Identity: ann})
	ee := endpoint(t, Config{Identity: eve})
	if _, err := dialDirect(ctx, ea, bob, ee.LocalAddr(), alpnIK, alpnXX); !errors.Is(err, ErrAuthentication) {
		t.Errorf("got %v, want ErrAuthentication", err)
	}
}

// Spec §5.2.3: whoever terminates TLS in between fails with both, in every
// pattern, although it passes every Noise message on unchanged.
func TestManInTheMiddle(t *testing.T) {
	ctx := withTimeout(t)
	for _, alpn := range []string{alpnIK, alpnXX} {
		t.Run(alpn, func(t *testing.T) {
			ann, bob := pair(t)
			ea, eb := endpoint(t, Config{Identity: ann}), endpoint(t, Config{Identity: bob})
			mitm := newMITM(t, eb.LocalAddr(), alpn)
			// Bob expects Ann from that address, so that IK is offered.
			waiting := newAttempt(Attempt{Peer: ann.PeerID(), Record: ann.Record()}, func(error) {})
			eb.begin(waiting, false)
			defer eb.m.paths.release(waiting.link)
			eb.m.paths.know(waiting.link, mitm.addr())
			if _, err := dialDirect(ctx, ea, bob, mitm.addr(), alpn); err == nil {
				t.Error("the dialling side accepted a man in the middle")
			}
			mitm.wait(ctx)
			select {
			case <-waiting.result:
				t.Error("the dialled side accepted a man in the middle")
			case <-eb.accepted:
				t.Error("the dialled side accepted a man in the middle")
			default:
			}
		})
	}
	t.Run("server", func(t *testing.T) {
		key := serverKey(t, 1)
		entered := make(chan struct{}, 1)
		server := endpoint(t, Config{ServerKey: key, Services: map[string]func(context.Context, *Conn){
			testALPN: func(context.Context, *Conn) { entered <- struct{}{} },
		}})
		mitm := newMITM(t, server.LocalAddr(), testALPN)
		client := endpoint(t, Config{})
		if _, err := client.DialServer(ctx, serverAddr(key.ID(), mitm.addr()), testALPN); !errors.Is(err, ErrServerKey) {
			t.Errorf("got %v, want ErrServerKey", err)
		}
		mitm.wait(ctx)
		select {
		case <-entered:
			t.Error("the service was entered through a man in the middle")
		default:
		}
	})
}
