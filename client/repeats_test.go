package client

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sremp/sremp/wire"
)

// Whoever is stopped before it could acknowledge gets again what it has read, also
// what is of chains that are over. That is no sign of a lost session, before a
// restart and after it; what nobody ever sent is.
func TestRepeatsOfFinishedChains(t *testing.T) {
	p := newPostman(t)
	typing := func(from *Client) (msg []byte) {
		p.do(from, func(k *core) {
			var err error
			if msg, err = k.encryptNotice(p.other(k), wire.PayloadTyping, []byte{0}); err != nil {
				t.Fatal(err)
			}
		})
		return msg
	}
	var all [][]byte
	for range 100 { // each answer begins another chain
		msg := typing(p.a)
		p.deliver(p.b, msg)
		p.deliver(p.a, typing(p.b))
		all = append(all, msg)
	}
	again := func(when string) {
		t.Helper()
		for i, msg := range all {
			p.do(p.b, func(k *core) {
				c := p.other(k)
				c.flow.AckDue = false
				if err := k.incoming(c, msg); err != nil || c.renewal.failures > 0 || !c.flow.AckDue {
					t.Fatalf("%s, message %d of %d again: %v, %d failures, acknowledged: %v; want none, and it to be", when, i, len(all), err, c.renewal.failures, c.flow.AckDue)
				}
			})
		}
	}
	again("before a restart")
	p.do(p.b, func(k *core) {
		if err := k.load(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	again("after it")
	junk := bytes.Clone(all[0])
	junk[len(junk)-1] ^= 1
	p.do(p.b, func(k *core) {
		for range failuresBefore {
			if err := k.incoming(p.other(k), junk); err == nil {
				t.Fatal("a message was taken that nobody sent")
			}
		}
		if !p.other(k).renewal.asked {
			t.Error("the session is not renewed although nothing can be read")
		}
	})
	if strings.Count(p.logs.String(), `msg="a session began"`) != 2 {
		t.Errorf("want one session, which began at both:\n%s", p.logs.String())
	}
}

func TestRepeatsAreSoMany(t *testing.T) {
	var r repeats
	msg := func(n int) []byte { return []byte{9, 9, 1, 2, byte(n >> 8), byte(n)} }
	if r.has(nil) || r.has(make([]byte, 8)) {
		t.Error("an empty memory knows a message")
	}
	for n := range 2 * repeatsKept {
		r.add(msg(n))
	}
	b := r.append(nil)
	if r, err := parseRepeats(b); err != nil || r.has(msg(repeatsKept-1)) || !r.has(msg(repeatsKept)) || !r.has(msg(2*repeatsKept-1)) {
		t.Errorf("parsed: %v, not the newest %d of %d", err, repeatsKept, 2*repeatsKept)
	}
	for i := range b {
		if _, err := parseRepeats(b[:i]); err == nil {
			t.Fatalf("%d bytes are no memory of %d messages", i, repeatsKept)
		}
	}
	if r, err := parseRepeats(nil); err != nil || r != (repeats{}) {
		t.Errorf("of a contact without a row: %v", err)
	}
}

func FuzzRepeats(f *testing.F) {
	var r repeats
	f.Add(r.append(nil))
	r.add([]byte("a message"))
	f.Add(r.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRepeats(b)
		if err == nil && b != nil && !bytes.Equal(r.append(nil), b) {
			t.Errorf("%x is encoded as %x", b, r.append(nil))
		}
	})
}
