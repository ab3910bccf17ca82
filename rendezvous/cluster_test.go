package rendezvous

import (
	"bytes"
	"testing"

	"github.com/sremp/sremp/wire"
)

// spec §7.15.
func TestClusterMessage(t *testing.T) {
	for _, x := range []clusterMessage{
		{kind: clusterRegistered, name: name1, node: "a"},
		{kind: clusterOffer, key: [16]byte{1}, name: name1, node: "a", blob: blob1},
		{kind: clusterAnswer, key: [16]byte{1}, node: "a", blob: blob2},
		{kind: clusterAnswer, key: [16]byte{1}, node: "a", status: wire.RendezvousTimeout},
	} {
		b := x.append(nil)
		if len(b) > MaxClusterMessage {
			t.Errorf("%d bytes, want at most %d", len(b), MaxClusterMessage)
		}
		got, ok := parseClusterMessage(b)
		if !ok || !bytes.Equal(got.append(nil), b) {
			t.Errorf("got %+v, %v, want %+v", got, ok, x)
		}
		for n := range b {
			if _, ok := parseClusterMessage(b[:n]); ok {
				t.Fatalf("the first %d bytes accepted", n)
			}
		}
	}
	for what, x := range map[string]clusterMessage{
		"unknown kind":       {kind: 9, node: "a"},
		"a short offer":      {kind: clusterOffer, node: "a", blob: []byte("x")},
		"a refusal with one": {kind: clusterAnswer, node: "a", status: wire.RendezvousTimeout, blob: blob1},
		"an answer without":  {kind: clusterAnswer, node: "a"},
		"nobody's":           {kind: clusterRegistered},
	} {
		if _, ok := parseClusterMessage(x.append(nil)); ok {
			t.Errorf("%s: accepted", what)
		}
	}
}

// A message about an introduction that is not waited for does nothing.
func TestStrayClusterMessages(t *testing.T) {
	c, id := members(t, Limits{}, 2)
	c.cluster = true
	c.registered(t0, id[1], Name{Blinded: name1}, 3600e9)
	introduceHere(c, t0, id[0], wire.RendezvousIntroduce{Request: 1, Blinded: name1, Offer: blob1})
	for key := range c.pending { // of this process
		if out := c.answeredElsewhere(clusterMessage{key: key, blob: blob2}); out != nil {
			t.Errorf("another process answered for ours: %v", out)
		}
	}
	if out := c.answeredElsewhere(clusterMessage{key: [16]byte{9}}); out != nil {
		t.Errorf("an answer to nothing: %v", out)
	}
	_, elsewhere := c.introduce(t0, id[0], wire.RendezvousIntroduce{Request: 2, Blinded: name2, Offer: blob1})
	if elsewhere == nil {
		t.Fatal("the other processes are not asked")
	}
	out, _ := c.expire(t0.Add(c.limits.IntroTimeout))
	expectSaid(t, "nobody answered", out, say(t, out)) // both ended
	if len(c.pending) != 0 || len(out) != 2 {
		t.Errorf("%d wait, %d told, want none and two", len(c.pending), len(out))
	}
}
