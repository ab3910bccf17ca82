package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sremp/sremp/identity"
)

// Spec §3.3: three messages, the initiator speaks first and last. So a side
// that speaks second has authenticated the other half a round trip after it.
func TestPatterns(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		t.Run(pattern.String(), func(t *testing.T) {
			i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
			if i.Turn() != Write || r.Turn() != Read {
				t.Fatalf("turns at the start: %d, %d", i.Turn(), r.Turn())
			}
			transcript, err := exchange(i, r, func(n int, msg []byte) []byte {
				// The one who reads has no result yet; who wrote the last has.
				reader, writer := r, i
				if n%2 == 1 {
					reader, writer = i, r
				}
				if reader.Turn() == Done || reader.Result() != (Result{}) {
					t.Errorf("message %d: done before it was read", n+1)
				}
				if got, want := writer.Turn() == Done, n == 2; got != want {
					t.Errorf("message %d: writer done = %v, want %v", n+1, got, want)
				}
				return msg
			})
			if err != nil || len(transcript) != 3 {
				t.Fatalf("%d messages, %v; want 3", len(transcript), err)
			}
			a, b := i.Result(), r.Result()
			if a.ChannelKey != b.ChannelKey || a.ChannelKey == [32]byte{} {
				t.Error("the channel keys differ")
			}
			if pattern == NX {
				if a.ServerID != p.server.ID() || b.ServerID != (identity.ServerID{}) || a.Peer != nil || b.Peer != nil {
					t.Error("wrong result")
				}
			} else if !a.Peer.Equal(p.bob.Record()) || !b.Peer.Equal(p.alice.Record()) {
				t.Error("wrong peer")
			}
			// Another handshake of the same two has another key.
			i2, r2 := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
			mustFinish(t, i2, r2)
			if i2.Result().ChannelKey == a.ChannelKey {
				t.Error("two handshakes have one key")
			}
			if _, err := i.WriteMessage(); err == nil || i.Turn() != Failed || i.Result() != (Result{}) {
				t.Errorf("write after the end: %v", err)
			}
			if err := r.ReadMessage(transcript[2]); err == nil || r.Turn() != Failed {
				t.Errorf("read after the end: %v", err)
			}
		})
	}
}

func first(c, _ Config) Config  { return c }
func second(_, c Config) Config { return c }

// Message 1 says nothing of who sends it: its size shows that only keys are in it.
func TestMessageSizes(t *testing.T) {
	p := newPeople(t)
	for _, tt := range []struct {
		pattern Pattern
		first   int
	}{{XX, 32}, {IK, 32 + 48 + 16}, {NX, 32}} {
		i, r := pair(t, first(p.configs(tt.pattern)), second(p.configs(tt.pattern)))
		transcript := mustFinish(t, i, r)
		if got := len(transcript[0]); got != tt.first {
			t.Errorf("%v: message 1 has %d bytes, want %d", tt.pattern, got, tt.first)
		}
		for n, msg := range transcript {
			for who, l := range map[string]*identity.Local{"Alice": p.alice, "Bob": p.bob} {
				id := l.PeerID()
				if bytes.Contains(msg, id[:]) || bytes.Contains(msg, []byte(who)) {
					t.Errorf("%v: message %d shows who %s is", tt.pattern, n+1, who)
				}
			}
		}
	}
}

// Spec §3.5: old keys answer for 30 days, then XX is needed.
func TestRotatedKeys(t *testing.T) {
	p := newPeople(t)
	oldBob, oldAlice := p.bob.Record(), p.alice.Record()
	var err error
	if p.bob, err = p.bob.Rotate(testNow); err != nil {
		t.Fatal(err)
	}
	if p.alice, err = p.alice.Rotate(testNow); err != nil {
		t.Fatal(err)
	}
	ci, cr := p.configs(IK)
	ci.Remote, cr.Remote = oldBob, oldAlice
	i, r := pair(t, ci, cr)
	mustFinish(t, i, r)
	if got := i.Result().Peer; !got.Equal(p.bob.Record()) {
		t.Errorf("initiator has version %d, want the new record", got.Version)
	}
	if got := r.Result().Peer; !got.Equal(p.alice.Record()) {
		t.Errorf("responder has version %d, want the new record", got.Version)
	}

	cr.Local = p.bob.Expire(testNow.Add(identity.OldKeyLifetime))
	i, r = pair(t, ci, cr)
	if _, err := exchange(i, r, nil); !errors.Is(err, ErrNeedXX) || r.Turn() != Failed {
		t.Errorf("after 30 days: got %v, want ErrNeedXX", err)
	}
	xi, xr := p.configs(XX)
	xi.Remote, xr.Local = oldBob, cr.Local
	i, r = pair(t, xi, xr)
	mustFinish(t, i, r)
	if !i.Result().Peer.Equal(p.bob.Record()) {
		t.Error("XX does not bring the new record")
	}
}

// A restored peer is found again through XX; its old device is not.
func TestRecoveredPeer(t *testing.T) {
	p := newPeople(t)
	bob, recovery := newLocal(t, "Bob")
	back, err := bob.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	p.bob = back
	ci, cr := p.configs(IK)
	ci.Remote = bob.Record()
	i, r := pair(t, ci, cr)
	if _, err := exchange(i, r, nil); !errors.Is(err, ErrNeedXX) {
		t.Errorf("IK to the old record: got %v, want ErrNeedXX", err)
	}
	ci, cr = p.configs(XX)
	ci.Remote = bob.Record()
	i, r = pair(t, ci, cr)
	mustFinish(t, i, r)
	if got := i.Result().Peer.Epoch; got != back.Record().Epoch {
		t.Errorf("epoch %d, want %d", got, back.Record().Epoch)
	}

	// The stolen device still has every key of the old epoch.
	cr.Local, ci.Remote = bob, back.Record()
	i, r = pair(t, ci, cr)
	if _, err := exchange(i, r, nil); !errors.Is(err, ErrWrongPeer) || !errors.Is(err, identity.ErrOldRecord) {
		t.Errorf("old device: got %v, want ErrWrongPeer, ErrOldRecord", err)
	}
}

// The old device of a restored person holds the old Noise key, and the new
// record is no secret. Together they authenticate nobody.
func TestOldKeyWithRecordOfNewEpoch(t *testing.T) {
	p := newPeople(t)
	bob, recovery := newLocal(t, "Bob")
	back, err := bob.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	p.bob = bob
	i, r := pair(t, first(p.configs(IK)), second(p.configs(IK)))
	r.c.Local = back // message 2 shows the new record
	if _, err := exchange(i, r, nil); !errors.Is(err, ErrHandshake) || i.Turn() != Failed {
		t.Errorf("got %v, want ErrHandshake", err)
	}
}

func TestConfigErrors(t *testing.T) {
	p := newPeople(t)
	for name, c := range map[string]Config{
		"nothing":     {},
		"no pattern":  {ALPN: "a", Exporter: [32]byte{1}, Local: p.alice},
		"no exporter": {Pattern: XX, ALPN: "a", Local: p.alice},
		"no ALPN":     {Pattern: XX, Exporter: [32]byte{1}, Local: p.alice},
		"long ALPN":   {Pattern: XX, ALPN: strings.Repeat("a", 256), Exporter: [32]byte{1}, Local: p.alice},
		"XX, nobody":  {Pattern: XX, ALPN: "a", Exporter: [32]byte{1}},
		"IK initiator without record": {
			Pattern: IK, ALPN: "a", Exporter: [32]byte{1}, Initiator: true, Local: p.alice},
		"IK responder without record": {Pattern: IK, ALPN: "a", Exporter: [32]byte{1}, Local: p.alice},
		"NX without key":              {Pattern: NX, ALPN: "a", Exporter: [32]byte{1}},
		"NX without server":           {Pattern: NX, ALPN: "a", Exporter: [32]byte{1}, Initiator: true},
		"id and record of two people": {
			Pattern: XX, ALPN: "a", Exporter: [32]byte{1}, Local: p.alice, Remote: p.bob.Record(), RemoteID: p.mallory.PeerID()},
	} {
		if h, err := New(c); !errors.Is(err, ErrConfig) || h != nil {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// Out of turn is as final as anything else.
func TestOutOfTurn(t *testing.T) {
	p := newPeople(t)
	for _, pattern := range patterns {
		i, r := pair(t, first(p.configs(pattern)), second(p.configs(pattern)))
		if _, err := r.WriteMessage(); !errors.Is(err, ErrHandshake) || r.Turn() != Failed {
			t.Errorf("%v: responder writes first: %v", pattern, err)
		}
		if err := i.ReadMessage(make([]byte, 100)); !errors.Is(err, ErrHandshake) || i.Turn() != Failed {
			t.Errorf("%v: initiator reads first: %v", pattern, err)
		}
		if _, err := i.WriteMessage(); !errors.Is(err, ErrHandshake) {
			t.Errorf("%v: write after a failure: %v", pattern, err)
		}
	}
}

func TestHandshakeNeverPrints(t *testing.T) {
	p := newPeople(t)
	i, r := pair(t, first(p.configs(XX)), second(p.configs(XX)))
	key := p.alice.NoiseKey().Seed()
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "%v %+v %#v %x", i, i, i, i)
	mustFinish(t, i, r)
	res := i.Result()
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "result", res, "handshake", r)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
		fmt.Fprintf(&buf, verb+verb, res, struct{ R Result }{res})
	}
	for _, leak := range [][]byte{key[:8], res.ChannelKey[:8]} {
		for _, s := range []string{string(leak), fmt.Sprintf("%x", leak), strings.Trim(fmt.Sprint(leak), "[]")} {
			if strings.Contains(buf.String(), s) {
				t.Errorf("leaked %q", s)
			}
		}
	}
}
