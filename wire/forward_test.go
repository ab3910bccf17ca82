package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

var forwardKey = [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func forwardPacket(side uint8, counter uint64) []byte {
	b := append(make([]byte, ForwardHeaderLen), "a QUIC packet"...)
	SealForward(b, side, 0x1122334455667788, counter, forwardKey)
	return b
}

func TestForwardVectors(t *testing.T) {
	var got strings.Builder
	got.WriteString("# spec 6.6: one key, one session\n")
	for _, v := range []struct {
		name  string
		bytes []byte
	}{
		{"key", forwardKey[:]},
		{"packet", []byte("a QUIC packet")},
		{"side_0_counter_0", forwardPacket(0, 0)},
		{"side_1_counter_66051", forwardPacket(1, 66051)},
		{"side_3_counter_1095216660481", forwardPacket(ForwardFromRelay|1, 1095216660481)},
		{"challenge", challenge(1)},
		{"answer", answer(1)},
	} {
		got.WriteString(v.name + " = " + hex.EncodeToString(v.bytes) + "\n")
	}
	const file = "testdata/forward.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got.String() != string(want) {
		t.Errorf("packets differ from %s (%v):\n%s", file, err, got.String())
	}
}

func TestForwardOpens(t *testing.T) {
	const counter = 0x3_fffffe
	b := forwardPacket(1, counter)
	if session, side, ok := ParseForward(b); !ok || session != 0x1122334455667788 || side != 1 {
		t.Errorf("ParseForward = %#x, %d, %v", session, side, ok)
	}
	for _, largest := range []uint64{counter - 1, counter, counter + 500, counter - 500} {
		got, payload, ok := OpenForward(b, 1, forwardKey, largest)
		if !ok || got != counter || string(payload) != "a QUIC packet" {
			t.Errorf("largest %#x: OpenForward = %#x, %q, %v", largest, got, payload, ok)
		}
	}
}

// Spec §6.6: forged, lengthened, reflected and transplanted packets are refused.
func TestForwardRefuses(t *testing.T) {
	good := forwardPacket(1, 7)
	refused := func(what string, b []byte, side uint8, key [16]byte, largest uint64) {
		t.Helper()
		if _, _, ok := OpenForward(b, side, key, largest); ok {
			t.Errorf("%s accepted", what)
		}
	}
	for i := range ForwardHeaderLen {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			refused("flipped header bit", b, 1, forwardKey, 0)
		}
	}
	for n := range good {
		refused("a prefix", good[:n], 1, forwardKey, 0)
	}
	refused("a longer packet", append(bytes.Clone(good), 0), 1, forwardKey, 0)
	refused("another key's packet", good, 1, [16]byte{1}, 0)
	refused("the other side's packet", good, 0, forwardKey, 0)
	refused("a reflected packet", good, 1|ForwardFromRelay, forwardKey, 0)
	reflected := bytes.Clone(good)
	reflected[0] |= ForwardFromRelay
	refused("a reflected packet with its type changed", reflected, 1|ForwardFromRelay, forwardKey, 0)
	refused("a packet 2^24 counters later", good, 1, forwardKey, 1<<24+7)
	for _, b := range [][]byte{nil, make([]byte, 15), make([]byte, 16), bytes.Repeat([]byte{0xff}, 40)} {
		if _, _, ok := ParseForward(b); ok {
			t.Errorf("ParseForward(%x) accepted", b)
		}
	}
}

func TestExpandCounter(t *testing.T) {
	for _, n := range []uint64{0, 1, 1<<23 - 1, 1 << 23, 1<<24 - 1, 1 << 24, 1<<24 + 1, 5<<24 - 1, 1<<40 + 9} {
		for _, d := range []int64{-1000, -1, 0, 1, 1000} {
			largest := uint64(int64(n) + d)
			if int64(n)+d < 0 {
				continue
			}
			if got := expandCounter(n&(1<<24-1), largest); got != n {
				t.Errorf("expandCounter(%#x, %#x) = %#x, want %#x", n&(1<<24-1), largest, got, n)
			}
		}
	}
}

func TestReplayWindow(t *testing.T) {
	var w ReplayWindow
	take := func(n uint64) bool {
		ok := w.Check(n)
		if ok {
			w.Commit(n)
		}
		return ok
	}
	for _, tt := range []struct {
		n    uint64
		want bool
	}{
		{0, true}, {0, false}, {1, true}, {5, true}, {5, false}, {3, true}, {3, false},
		{1023, true}, {1024, true}, {0, false}, {2, true}, {2, false}, {1024 + 63, true}, {63, false}, {64, true},
		{1 << 30, true}, {1 << 30, false}, {1<<30 - 1023, true}, {1<<30 - 1024, false}, {1<<30 + 1, true}, {1<<30 - 1023, false},
	} {
		if got := take(tt.n); got != tt.want {
			t.Errorf("counter %d accepted = %v, want %v", tt.n, got, tt.want)
		}
	}
	before := w
	w.Commit(3) // far behind: no trace
	if w != before {
		t.Error("a counter behind the window changed it")
	}
}

func FuzzForward(f *testing.F) {
	f.Add(forwardPacket(0, 9), uint64(8))
	f.Fuzz(func(t *testing.T, b []byte, largest uint64) {
		session, side, ok := ParseForward(b)
		if !ok {
			return
		}
		counter, payload, ok := OpenForward(b, side, forwardKey, largest)
		if !ok {
			return
		}
		again := append(make([]byte, ForwardHeaderLen), payload...)
		SealForward(again, side, session, counter, forwardKey)
		if !bytes.Equal(again, b) {
			t.Errorf("sealed again = %x, want %x", again, b)
		}
	})
}

func challenge(side uint8) []byte {
	return ForwardChallenge{Side: side, Session: 0x1122334455667788, Cookie: [16]byte{1, 15: 2}}.Append(nil, forwardKey)
}

func answer(side uint8) []byte {
	return ForwardAnswer{
		Side: side, Session: 0x1122334455667788, Cookie: [16]byte{1, 15: 2}, Sent: 1 << 33, Received: 7,
		Grant: [ForwardGrantLen]byte{0: 3, 79: 4},
	}.Append(nil, forwardKey)
}

// Spec §6.6.5: control packets are what they were sealed as, for one side, or
// nothing; neither is a packet to forward.
func TestForwardControl(t *testing.T) {
	for side := range uint8(2) {
		c, a := challenge(side), answer(side)
		if x, ok := OpenForwardChallenge(c, side, forwardKey); !ok || !bytes.Equal(x.Append(nil, forwardKey), c) {
			t.Errorf("challenge = %+v, %v", x, ok)
		}
		if x, ok := ParseForwardAnswer(a); !ok || !ForwardAnswerHolds(a, forwardKey) || !bytes.Equal(x.Append(nil, forwardKey), a) {
			t.Errorf("answer = %+v, %v", x, ok)
		}
		for _, b := range [][]byte{c, a} {
			if _, _, ok := ParseForward(b); ok {
				t.Error("a control packet passes as one to forward")
			}
		}
		if _, ok := OpenForwardChallenge(c, 1-side, forwardKey); ok {
			t.Error("a challenge to the other side accepted")
		}
		if len(c) > ForwardHeaderLen+21 { // QUIC's shortest packet, RFC 9000, section 10.3
			t.Errorf("a challenge has %d bytes: more than what may ask for it", len(c))
		}
		for i := range c {
			forged := bytes.Clone(c)
			forged[i] ^= 1
			if _, ok := OpenForwardChallenge(forged, side, forwardKey); ok {
				t.Errorf("byte %d of a challenge changed: accepted", i)
			}
			if _, ok := OpenForwardChallenge(c[:i], side, forwardKey); ok {
				t.Errorf("%d bytes of a challenge accepted", i)
			}
		}
		for i := range a {
			forged := bytes.Clone(a)
			forged[i] ^= 1
			if _, ok := ParseForwardAnswer(forged); ok && ForwardAnswerHolds(forged, forwardKey) {
				t.Errorf("byte %d of an answer changed: accepted", i)
			}
			if _, ok := ParseForwardAnswer(a[:i]); ok {
				t.Errorf("%d bytes of an answer accepted", i)
			}
		}
	}
}

func FuzzForwardControl(f *testing.F) {
	for side := range uint8(2) {
		f.Add(challenge(side))
		f.Add(answer(side))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseForwardControl(b)
		for side := range uint8(2) {
			if x, ok := OpenForwardChallenge(b, side, forwardKey); ok && !bytes.Equal(x.Append(nil, forwardKey), b) {
				t.Errorf("%x parsed as %+v", b, x)
			}
		}
		if x, ok := ParseForwardAnswer(b); ok && ForwardAnswerHolds(b, forwardKey) && !bytes.Equal(x.Append(nil, forwardKey), b) {
			t.Errorf("%x parsed as %+v", b, x)
		}
	})
}
