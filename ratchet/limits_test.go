package ratchet

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/sremp/sremp/wire"
)

func TestSkippedKeysOfAChain(t *testing.T) {
	low, high := established(t)
	var msgs [][]byte
	for i := range MaxSkip + 501 {
		msgs = append(msgs, low.encrypt(fmt.Sprint(i)))
	}
	last := len(msgs) - 1
	high.expect(msgs[last], fmt.Sprint(last))
	s := high.peer.s.sessions[0]
	if n := s.recv.live; n != MaxSkip {
		t.Fatalf("%d stored keys, want %d", n, MaxSkip)
	}
	high.restart()
	high.refuse(msgs[499], ErrDecrypt) // its key was the newest that was left out
	high.expect(msgs[500], "500")
	high.refuse(msgs[500], ErrDuplicate)
	// The order does not matter.
	for _, i := range []int{last - 1, 501, 1000, 999, 1001} {
		high.expect(msgs[i], fmt.Sprint(i))
	}
	for i := 502; i < 900; i++ {
		high.expect(msgs[i], fmt.Sprint(i))
	}
	high.refuse(msgs[501], ErrDuplicate) // too long ago for the tags, known by its number
	high.refuse(msgs[0], ErrDecrypt)
	high.expect(low.encrypt("on"), "on")
}

// Keys are evicted one by one, too, when messages are lost in small gaps.
func TestSkippedKeysOldestOut(t *testing.T) {
	low, high := established(t)
	var lost [][]byte
	for range 30 {
		for range 50 {
			lost = append(lost, low.encrypt("lost"))
		}
		high.expect(low.encrypt("x"), "x")
	}
	if n := high.peer.s.sessions[0].recv.live; n != MaxSkip {
		t.Fatalf("%d stored keys, want %d", n, MaxSkip)
	}
	high.refuse(lost[499], ErrDecrypt)
	high.expect(lost[500], "lost")
	high.expect(lost[1499], "lost")
}

func TestSkippedKeysInTotal(t *testing.T) {
	low, high := established(t)
	var lost [][]byte
	for range 5 {
		for range 600 {
			lost = append(lost, low.encrypt("lost"))
		}
		high.expect(low.encrypt("x"), "x")
		low.expect(high.encrypt("y"), "y")
	}
	s := high.peer.s.sessions[0]
	if n := s.stored(); n != MaxSkipTotal {
		t.Errorf("%d stored keys, want %d", n, MaxSkipTotal)
	}
	high.restart()
	high.refuse(lost[999], ErrDecrypt)
	high.expect(lost[1000], "lost")
	for _, msg := range slices.Backward(lost[1001:]) {
		high.expect(msg, "lost")
	}
	if n := high.peer.s.sessions[0].stored(); n != 0 {
		t.Errorf("%d stored keys, want 0", n)
	}
}

func (s *session) stored() int {
	n := s.recv.live
	for _, c := range s.old {
		n += c.live
	}
	return n
}

func TestOldChainsAreLimited(t *testing.T) {
	low, high := established(t)
	var lost [][]byte
	for range MaxOldChains + 10 {
		lost = append(lost, low.encrypt("lost"))
		high.expect(low.encrypt("x"), "x")
		low.expect(high.encrypt("y"), "y")
	}
	if n := len(high.peer.s.sessions[0].old); n != MaxOldChains {
		t.Errorf("%d old chains, want %d", n, MaxOldChains)
	}
	high.restart()
	high.refuse(lost[8], ErrDecrypt)
	high.expect(lost[len(lost)-1], "lost")
	high.expect(lost[20], "lost")
}

func TestJump(t *testing.T) {
	low, high := established(t)
	s := low.peer.s.sessions[0]
	high.expect(low.encrypt("0"), "0")
	for range MaxJump {
		s.sendChain, _ = kdfChain(&s.sendChain)
		s.sendN++
	}
	before, err := low.peer.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	low.encrypt("one ahead")
	high.refuse(low.encrypt("one too far"), ErrDecrypt)
	if low.peer, err = ParsePeer(before); err != nil {
		t.Fatal(err)
	}
	high.expect(low.encrypt("just"), "just")
}

func TestChainExhausted(t *testing.T) {
	low, high := established(t)
	high.expect(low.encrypt("0"), "0")
	low.peer.s.sessions[0].sendN = maxChainCount
	before := low.state()
	if _, err := low.peer.Encrypt(nil, nil); !is(err, ErrExhausted) {
		t.Errorf("Encrypt at the last number: %v, want ErrExhausted", err)
	}
	if !bytes.Equal(before, low.state()) {
		t.Error("a failed Encrypt changed the state")
	}
	if _, err := low.peer.Encrypt(nil, make([]byte, MaxPlaintext+1)); !is(err, ErrTooLarge) {
		t.Errorf("Encrypt of too much: %v, want ErrTooLarge", err)
	}
}

func TestSizes(t *testing.T) {
	low, high := newSides(t, 1)
	low.initiate(high, [32]byte{})
	record := len(low.local.Record().Bytes())
	if got, want := low.peer.Overhead(), wire.InitialFixedLen+record+wire.RatchetOverhead; got != want {
		t.Errorf("an initial message adds %d bytes, want %d", got, want)
	}
	high.accept(low.encrypt(""), [32]byte{})
	low.expect(high.encrypt(""), "")
	msg := low.encrypt("")
	if got := len(msg); got != 86 || got != low.peer.Overhead() {
		t.Errorf("a message adds %d bytes, want 86", got)
	}
	high.expect(msg, "")
	for range 3 * maxRecent {
		high.expect(low.encrypt("x"), "x")
		low.expect(high.encrypt("y"), "y")
	}
	for _, s := range []*side{low, high} {
		b, err := s.peer.MarshalBinary()
		if err != nil || len(b) > 400 || len(b) > s.peer.s.size() {
			t.Errorf("the state has %d bytes, want at most 400 and at most %d, %v", len(b), s.peer.s.size(), err)
		}
	}
}
