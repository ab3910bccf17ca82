package ratchet

import (
	"bytes"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// agreeOn exchanges messages and checks that both send on one session.
func agreeOn(t *testing.T, a, b *side) *session {
	t.Helper()
	for range 2 {
		b.expect(a.encrypt("to b"), "to b")
		a.expect(b.encrypt("to a"), "to a")
	}
	x, y := a.peer.s.sessions[0], b.peer.s.sessions[0]
	if x.id != y.id {
		t.Fatal("the devices send on two sessions")
	}
	return x
}

func TestSimultaneousInitiation(t *testing.T) {
	low, high := newSides(t, 1)
	low.initiate(high, [32]byte{})
	high.initiate(low, [32]byte{})
	fromLow, fromHigh := low.encrypt("from low"), high.encrypt("from high")
	low.expect(fromHigh, "from high")
	high.expect(fromLow, "from low")
	// Both answer on the session that is known to work, and meet on the lower's.
	fromLow, fromHigh = low.encrypt("again"), high.encrypt("again")
	low.expect(fromHigh, "again")
	high.expect(fromLow, "again")
	if s := agreeOn(t, low, high); !s.has(flagLower) {
		t.Error("the higher key's session was chosen")
	}
	if n := len(low.peer.s.sessions); n != 2 {
		t.Fatalf("%d sessions, want 2", n)
	}
	// The other one goes when it was quiet.
	msg := high.encrypt("much later")
	if _, err := low.peer.Decrypt(start.Add(QuietAfter+time.Hour), low.local, low.store, [32]byte{}, msg); err != nil {
		t.Fatal(err)
	}
	if n := len(low.peer.s.sessions); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	high.expect(low.encrypt("fine"), "fine")
}

// The initial message of one side is held back until the other's session has
// worked both ways: the two sides must not end on different sessions.
func TestDelayedInitialMessage(t *testing.T) {
	for _, name := range []string{"lower's", "higher's"} {
		t.Run(name, func(t *testing.T) {
			late, other := newSides(t, 1)
			if name == "higher's" {
				late, other = other, late
			}
			late.initiate(other, [32]byte{})
			other.initiate(late, [32]byte{})
			held := late.encrypt("held")
			late.expect(other.encrypt("q"), "q")
			agreeOn(t, late, other)
			other.expect(held, "held")
			agreeOn(t, other, late)
			agreeOn(t, late, other)
		})
	}
}

// A device that lost everything begins anew and is understood.
func TestLostState(t *testing.T) {
	for _, name := range []string{"initiator", "responder"} {
		t.Run(name, func(t *testing.T) {
			loser, other := established(t)
			if name == "responder" {
				loser, other = other, loser
			}
			agreeOn(t, loser, other)
			last := loser.encrypt("before")
			lost := other.encrypt("never read")
			store, err := newPrekeyStore(loser.local, start.Add(time.Hour), 1, seeded(t, "new"))
			if err != nil {
				t.Fatal(err)
			}
			loser.store, loser.peer = store, nil
			p, err := initiatePeer(start.Add(time.Hour), loser.local, other.bundle(start), nil, [32]byte{}, loser.rnd)
			if err != nil {
				t.Fatal(err)
			}
			loser.peer = p
			other.expect(loser.encrypt("again"), "again")
			other.expect(last, "before") // an old message does not lead back
			loser.refuse(lost, ErrDecrypt)
			agreeOn(t, other, loser)
			if other.peer.s.sessions[0].has(flagInitiator) {
				t.Error("the device that lost nothing sends on its own session")
			}
		})
	}
}

// Renew heals from the other side: the device that kept its state begins anew.
func TestRenew(t *testing.T) {
	low, high := established(t)
	agreeOn(t, low, high)
	before := low.peer.s.sessions[0].id
	inFlight := high.encrypt("in flight")
	if err := high.peer.Renew(start.Add(time.Hour), high.local, low.bundle(start), nil, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	msg := high.encrypt("renewed")
	if !IsInitial(msg) || high.peer.Overhead() != len(msg)-len("renewed") {
		t.Error("the first message of a renewed session is not an initial one of the length that Overhead says")
	}
	low.expect(msg, "renewed")
	low.expect(inFlight, "in flight")
	if s := agreeOn(t, low, high); s.id == before {
		t.Error("the session was not replaced")
	}
}

// Both sides renew at once: at once they agree, on the lower's.
func TestRenewAtOnce(t *testing.T) {
	low, high := established(t)
	agreeOn(t, low, high)
	for i, s := range []*side{low, high} {
		now := start.Add(time.Duration(i+1) * time.Hour)
		other := []*side{high, low}[i]
		if err := s.peer.renew(now, s.local, other.bundle(start), nil, [32]byte{}, s.rnd); err != nil {
			t.Fatal(err)
		}
	}
	fromLow, fromHigh := low.encrypt("from low"), high.encrypt("from high")
	low.expect(fromHigh, "from high")
	high.expect(fromLow, "from low")
	fromLow, fromHigh = low.encrypt("again"), high.encrypt("again")
	low.expect(fromHigh, "again")
	high.expect(fromLow, "again")
	if s := agreeOn(t, low, high); !s.has(flagLower) || !s.has(flagSupersedes) {
		t.Error("not the lower key's new session")
	}
}

// Where the generations that the sides count disagree, both come to send on the
// session that was begun later, and never on an older one.
func TestFollowLaterSession(t *testing.T) {
	low, high := established(t)
	agreeOn(t, low, high)
	before := low.peer.s.sessions[0].id
	if err := low.peer.renew(start.Add(time.Hour), low.local, high.bundle(start), nil, [32]byte{}, low.rnd); err != nil {
		t.Fatal(err)
	}
	high.expect(low.encrypt("anew"), "anew")
	agreeOn(t, low, high)
	for _, s := range high.peer.s.sessions {
		if s.id == before {
			s.generation = 9 // as after an old copy came back
		}
	}
	high.peer.s.settle()
	for i := range strays {
		if high.peer.s.sessions[0].id != before {
			t.Fatalf("followed after %d messages, want %d", i, strays)
		}
		low.restart()
		high.restart()
		high.expect(low.encrypt("on the new"), "on the new")
		low.expect(high.encrypt("on the old"), "on the old")
	}
	if s := agreeOn(t, low, high); s.id == before {
		t.Error("the older session was followed")
	}
}

func TestSessionsAreLimited(t *testing.T) {
	low, high := established(t)
	for i := range MaxSessions + 2 {
		now := start.Add(time.Duration(i+1) * time.Hour)
		if err := high.peer.Renew(now, high.local, low.bundle(start), nil, [32]byte{}); err != nil {
			t.Fatal(err)
		}
		msg := high.encrypt("new")
		if got, err := low.peer.Decrypt(now, low.local, low.store, [32]byte{}, msg); err != nil || string(got) != "new" {
			t.Fatalf("session %d: %q, %v", i, got, err)
		}
		if n := len(low.peer.s.sessions); n > MaxSessions {
			t.Fatalf("%d sessions, the most is %d", n, MaxSessions)
		}
		agreeOn(t, low, high)
	}
}

// The hashes of accepted agreements outlive their sessions.
func TestReplayAfterSessionIsGone(t *testing.T) {
	low, high := newSides(t, 0) // no one-time pair: the last-resort key would accept it again
	low.initiate(high, [32]byte{})
	first := low.encrypt("first")
	high.accept(first, [32]byte{})
	for i := range MaxSessions + 1 {
		if err := low.peer.Renew(start.Add(time.Duration(i+1)*time.Hour), low.local, high.bundle(start), nil, [32]byte{}); err != nil {
			t.Fatal(err)
		}
		high.expect(low.encrypt("new"), "new")
		agreeOn(t, low, high)
	}
	for range maxRecent {
		high.expect(low.encrypt("x"), "x")
	}
	high.restart()
	high.refuse(first, ErrDecrypt)
	// Without the hash it would be accepted: that is what it is kept for.
	high.peer.s.accepted = nil
	if got, err := high.decrypt(first); err != nil || got != "first" {
		t.Errorf("without the hash: %q, %v; the test proves nothing", got, err)
	}
}

func TestAcceptedHashesAreForgotten(t *testing.T) {
	low, high := newSides(t, 0)
	low.initiate(high, [32]byte{})
	high.accept(low.encrypt("first"), [32]byte{})
	if n := len(high.peer.s.accepted); n != 1 {
		t.Fatalf("%d hashes, want 1", n)
	}
	later := start.Add(BundleLifetime + mailLifetime + time.Hour)
	if _, err := high.store.Replenish(high.local, later, 0); err != nil {
		t.Fatal(err)
	}
	low.refuse(high.encrypt("x")[:20], ErrDecrypt)
	b, err := ParseBundle(high.store.Bundle(), high.local.PeerID(), later)
	if err != nil {
		t.Fatal(err)
	}
	if err := low.peer.Renew(later, low.local, b, nil, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	if _, err := high.peer.Decrypt(later, high.local, high.store, [32]byte{}, low.encrypt("new")); err != nil {
		t.Fatal(err)
	}
	if n := len(high.peer.s.accepted); n != 1 {
		t.Errorf("%d hashes after the first last-resort key was destroyed, want 1", n)
	}
}

// A recovered identity, in a higher epoch, ends what the holder of its old keys
// could use.
func TestHigherEpoch(t *testing.T) {
	for _, name := range []string{"begins", "is renewed"} {
		t.Run(name, func(t *testing.T) {
			low, high := established(t)
			agreeOn(t, low, high)
			thief := high.stolen()
			key, err := identity.NewSecretKey(bytes.Repeat([]byte{high.local.Device()[0], 2}, 16))
			if err != nil {
				t.Fatal(err)
			}
			oldBundle := high.bundle(start)
			recovered, err := high.local.Recover(key, start.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			// Recovery makes a new device; the rule holds for one that kept its id, too.
			device := high.local.Device()
			secret := recovered.MarshalSecret()
			copy(secret[1:], device[:])
			if high.local, err = identity.ParseLocal(secret); err != nil {
				t.Fatal(err)
			}
			if _, err := high.store.Replenish(high.local, start.Add(time.Hour), 0); err != nil {
				t.Fatal(err)
			}
			if name == "begins" {
				high.initiate(low, [32]byte{})
				low.expect(high.encrypt("I am back"), "I am back")
			} else {
				if err := low.peer.Renew(start, low.local, high.bundle(start), nil, [32]byte{}); err != nil {
					t.Fatal(err)
				}
				high.peer = nil
				high.accept(low.encrypt("are you back?"), [32]byte{})
			}
			agreeOn(t, low, high)
			low.refuse(thief.encrypt("it is me"), ErrDecrypt)
			if got, err := thief.decrypt(low.encrypt("for the owner")); err == nil {
				t.Errorf("the stolen state read %q", got)
			}
			thief.initiate(low, [32]byte{})
			low.refuse(thief.encrypt("it is me"), ErrDecrypt)
			if err := low.peer.Renew(start, low.local, oldBundle, nil, [32]byte{}); !is(err, ErrBundle) {
				t.Errorf("Renew with a bundle of the old epoch: %v, want ErrBundle", err)
			}
		})
	}
}

// Between peers that know each other an invite's secret may be mixed in or not;
// the message says which, and both sides must have it.
func TestSecretBetweenPeers(t *testing.T) {
	low, high := established(t)
	psk := [32]byte{3}
	if err := high.peer.Renew(start.Add(time.Minute), high.local, low.bundle(start), nil, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	if got, err := low.peer.Decrypt(start, low.local, low.store, psk, high.encrypt("without")); err != nil || string(got) != "without" {
		t.Errorf("%q, %v; want the text", got, err)
	}
	if err := high.peer.Renew(start.Add(time.Hour), high.local, low.bundle(start), nil, psk); err != nil {
		t.Fatal(err)
	}
	msg := high.encrypt("with")
	low.refuse(msg, ErrDecrypt) // without the secret
	if got, err := low.peer.Decrypt(start, low.local, low.store, psk, msg); err != nil || string(got) != "with" {
		t.Errorf("%q, %v; want the text", got, err)
	}
}

// An initial message that was overtaken by a later one of the same device is
// read, but nobody answers in its session.
func TestOvertakenInitialMessage(t *testing.T) {
	low, high := newSides(t, 2)
	high.initiate(low, [32]byte{})
	late := high.encrypt("late")
	p, err := initiatePeer(start.Add(time.Minute), high.local, low.bundle(start), low.oneTime(), [32]byte{}, high.rnd)
	if err != nil {
		t.Fatal(err)
	}
	high.peer = p // it lost its state
	low.accept(high.encrypt("anew"), [32]byte{})
	agreeOn(t, low, high)
	low.expect(late, "late")
	agreeOn(t, low, high)
}
