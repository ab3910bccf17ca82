package ratchet

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// thief holds a copy of a device's state.
func (s *side) stolen() *side {
	store, peer := s.stored()
	return &side{s.t, s.local, store, seeded(s.t, "thief"), peer}
}

// A stolen state reads nothing that was read before it was stolen.
func TestForwardSecrecy(t *testing.T) {
	low, high := established(t)
	var past [][]byte
	for range 3 {
		past = append(past, low.encrypt("past"), low.encrypt("past"))
		high.expect(past[len(past)-1], "past")
		high.expect(past[len(past)-2], "past")
		low.expect(high.encrypt("y"), "y")
	}
	for _, thief := range []*side{high.stolen(), low.stolen()} {
		for _, msg := range past {
			if got, err := thief.decrypt(msg); err == nil {
				t.Errorf("a stolen state read %q", got)
			}
		}
	}
	// Nor do its bytes hold the keys of the chains that were read.
	if s := high.peer.s.sessions[0]; s.stored() != 0 || len(s.old) != 0 {
		t.Error("keys of messages that were read are stored")
	}
	// Nor does its memory keep what a receiving step replaces.
	high.expect(low.encrypt("a step"), "a step")
	s := high.peer.s.sessions[0]
	for name, k := range map[string][32]byte{
		"private key": s.dh.private, "sending chain": s.sendChain, "header key": s.send.key, "next header key": s.nextRecv.key,
	} {
		if k != [32]byte{} {
			t.Errorf("the %s outlives the step", name)
		}
	}
	if s.dh.key != nil || s.send.aead != nil {
		t.Error("a parsed key outlives the step")
	}
}

// After one message each way the stolen state reads nothing more, although its thief
// sees every message and does with it all that its owner does with his: what is missing
// is the fresh keys alone. One thief only reads; without a Diffie-Hellman agreement in
// the root keys the other, who steps as well, would follow for ever.
func TestHealing(t *testing.T) {
	low, high := established(t)
	for _, victim := range []string{"low", "high"} {
		t.Run(victim, func(t *testing.T) {
			v, o := low, high
			if victim == "high" {
				v, o = high, low
			}
			v.expect(o.encrypt("before"), "before")
			o.expect(v.encrypt("before"), "before")
			reader, actor := v.stolen(), v.stolen()
			seen := o.encrypt("seen")
			reader.expect(seen, "seen") // the theft is real
			actor.expect(seen, "seen")
			v.expect(seen, "seen")
			for range 4 {
				o.expect(v.encrypt("a new key"), "a new key")
				actor.encrypt("a new key")
				msg := o.encrypt("healed")
				for name, thief := range map[string]*side{"reads": reader, "acts": actor} {
					if got, err := thief.decrypt(msg); err == nil {
						t.Errorf("the stolen state of a thief who %s read %q", name, got)
					}
				}
				v.expect(msg, "healed")
			}
		})
	}
}

// A responder's prekeys, stolen after the session was accepted with a one-time
// pair, do not open its first message.
func TestPrekeysStolenLater(t *testing.T) {
	low, high := newSides(t, 1)
	low.initiate(high, [32]byte{})
	msg := low.encrypt("first")
	high.accept(msg, [32]byte{})
	thief := high.stolen()
	thief.peer = nil
	if _, _, _, err := Accept(start, thief.local, thief.store, [32]byte{}, msg); !is(err, ErrNoPrekey) {
		t.Errorf("Accept with stolen prekeys: %v, want ErrNoPrekey", err)
	}
}

// A message that differs is never sealed with a key and nonce that sealed
// another header, even if a state goes back in time.
func TestHeaderNonceDependsOnTheBody(t *testing.T) {
	low, _ := established(t)
	copied := low.stolen()
	low.encrypt("step")
	copied.peer.s.sessions[0].fixed = low.peer.s.sessions[0].fixed
	a, b := low.encrypt("one"), copied.encrypt("two")
	if string(a[2:2+52]) == string(b[2:2+52]) {
		t.Error("two messages with one number have one sealed header")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	low, high := established(t)
	low.encrypt("so that there is a sending chain")
	high.expect(low.encrypt("a gap"), "a gap")
	s := high.peer.s.sessions[0]
	secrets := map[string][]byte{
		"root": s.root[:], "receiving chain": s.recvChain[:], "header key": s.recv.header.key[:],
		"skipped key": s.recv.keys[0][:], "signed prekey": high.store.s.generations[0].signed[:],
	}
	type nested struct {
		Peer  *Peer
		Store *PrekeyStore
		inner struct{ peer Peer }
	}
	n := nested{Peer: high.peer, Store: high.store}
	n.inner.peer = *high.peer
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, n, &n, high.peer, *high.store)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "n", n, "peer", high.peer)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "n", n, "peer", *high.peer)
	j, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	for name, k := range secrets {
		for _, verb := range []string{"%x", "%X", "%d", "%v", "%q"} {
			text := strings.Trim(fmt.Sprintf(verb, k[:8]), "[]\"")
			if strings.Contains(out.String(), text) {
				t.Errorf("the %s is printed with %s", name, verb)
			}
		}
	}
}
