package ratchet

import (
	"errors"
	"fmt"
	"testing"
)

func is(err, want error) bool { return errors.Is(err, want) }

func TestConversation(t *testing.T) {
	for _, n := range []int{0, 1} {
		t.Run(fmt.Sprintf("%d one-time pairs", n), func(t *testing.T) {
			low, high := newSides(t, n)
			high.initiate(low, [32]byte{7})
			first := high.encrypt("hello")
			second := high.encrypt("are you there?")
			if !IsInitial(first) || !IsInitial(second) {
				t.Error("messages before the first answer are not initial ones")
			}
			if got := low.accept(second, [32]byte{7}); got != "are you there?" {
				t.Errorf("accepted %q", got)
			}
			if got := low.store.Count(); got != 0 {
				t.Errorf("%d one-time pairs left, want 0", got)
			}
			low.expect(first, "hello")
			low.refuse(first, ErrDuplicate)
			low.refuse(second, ErrDuplicate)
			for i := range 5 {
				for j := range i + 1 {
					text := fmt.Sprint("low ", i, j)
					msg := low.encrypt(text)
					if IsInitial(msg) {
						t.Error("an answer is an initial message")
					}
					high.expect(msg, text)
					high.refuse(msg, ErrDuplicate)
				}
				high.restart()
				low.restart()
				text := fmt.Sprint("high ", i)
				msg := high.encrypt(text)
				if IsInitial(msg) {
					t.Error("a message after the answer is an initial one")
				}
				low.expect(msg, text)
			}
		})
	}
}

func TestOutOfOrderAcrossSteps(t *testing.T) {
	low, high := established(t)
	var late [][]byte
	var texts []string
	for i := range 10 {
		for j := range 3 {
			texts = append(texts, fmt.Sprint("late ", i, j))
			late = append(late, low.encrypt(texts[len(texts)-1]))
		}
		high.expect(low.encrypt("now"), "now")
		low.expect(high.encrypt("yes"), "yes")
	}
	high.restart()
	for i := len(late) - 1; i >= 0; i-- {
		high.expect(late[i], texts[i])
		high.refuse(late[i], ErrDuplicate)
	}
	if n := len(high.peer.s.sessions[0].old); n != 0 {
		t.Errorf("%d old chains left, want 0", n)
	}
}
