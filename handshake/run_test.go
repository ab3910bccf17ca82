package handshake

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

var testNow = time.Unix(1_800_000_000, 0).UTC()

func newLocal(t testing.TB, name string) (*identity.Local, identity.SecretKey) {
	t.Helper()
	l, recovery, err := identity.NewLocal(name, testNow)
	if err != nil {
		t.Fatal(err)
	}
	return l, recovery
}

func newServer(t testing.TB, seed byte) *identity.ServerKey {
	t.Helper()
	k, err := identity.NewServerKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// people are the parties of every test.
type people struct {
	alice, bob, mallory *identity.Local
	server              *identity.ServerKey
}

func newPeople(t testing.TB) people {
	t.Helper()
	var p people
	p.alice, _ = newLocal(t, "Alice")
	p.bob, _ = newLocal(t, "Bob")
	p.mallory, _ = newLocal(t, "Mallory")
	p.server = newServer(t, 1)
	return p
}

// configs returns both sides of a handshake that succeeds: Alice initiates, and
// knows whom she wants; in NX she is nobody.
func (p people) configs(pattern Pattern) (initiator, responder Config) {
	c := Config{Pattern: pattern, ALPN: "sremp-test/1", Exporter: [32]byte{1}}
	initiator, responder = c, c
	initiator.Initiator = true
	switch pattern {
	case XX:
		initiator.Local, initiator.RemoteID = p.alice, p.bob.PeerID()
		responder.Local = p.bob
	case IK:
		initiator.Local, initiator.Remote = p.alice, p.bob.Record()
		responder.Local, responder.Remote = p.bob, p.alice.Record()
	case NX:
		initiator.RemoteServer = p.server.ID()
		responder.Server = p.server
	}
	return initiator, responder
}

var patterns = []Pattern{XX, IK, NX}

func start(t testing.TB, c Config) *Handshake {
	t.Helper()
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pair(t testing.TB, initiator, responder Config) (i, r *Handshake) {
	t.Helper()
	return start(t, initiator), start(t, responder)
}

// exchange carries messages, each through change, until nobody can go on.
func exchange(i, r *Handshake, change func(n int, msg []byte) []byte) (transcript [][]byte, err error) {
	for n := 0; ; n++ {
		from, to := i, r
		if n%2 == 1 {
			from, to = r, i
		}
		if from.Turn() != Write {
			return transcript, nil
		}
		msg, err := from.WriteMessage()
		if err != nil {
			return transcript, fmt.Errorf("write %d: %w", n+1, err)
		}
		transcript = append(transcript, bytes.Clone(msg))
		if change != nil {
			msg = change(n, msg)
		}
		if err := to.ReadMessage(msg); err != nil {
			return transcript, fmt.Errorf("read %d: %w", n+1, err)
		}
	}
}

// mustFinish carries a handshake through.
func mustFinish(t testing.TB, i, r *Handshake) [][]byte {
	t.Helper()
	transcript, err := exchange(i, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if i.Turn() != Done || r.Turn() != Done {
		t.Fatalf("turns %d and %d, want Done", i.Turn(), r.Turn())
	}
	return transcript
}
