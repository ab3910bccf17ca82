package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/sremp/sremp/identity"
)

func contactOf(t *testing.T, seed byte, name, nick string) Contact {
	t.Helper()
	b := make([]byte, 32)
	b[0] = seed
	k, err := identity.NewSecretKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return Contact{ID: k.Public(), Name: name, Nick: nick}
}

func TestFindContact(t *testing.T) {
	cs := []Contact{
		contactOf(t, 1, "Ann", ""), contactOf(t, 2, "Bob", "robert"), contactOf(t, 3, "Ann", "annie"), contactOf(t, 4, "annie", ""),
	}
	for _, tt := range []struct {
		s    string
		want int
		err  error
	}{
		{"bob", 1, nil}, {"ROBERT", 1, nil}, {"annie", 2, nil}, // a nick goes before a name
		{"Ann", 0, ErrAmbiguous}, {"carol", 0, ErrUnknownContact}, {"", 0, ErrUnknownContact}, {" ", 0, ErrUnknownContact},
		{cs[3].ID.String(), 3, nil}, {cs[3].ID.Short(), 3, nil}, {cs[3].ID.Short()[:3], 0, ErrUnknownContact},
	} {
		got, err := FindContact(cs, tt.s)
		if !errors.Is(err, tt.err) || err == nil && got.ID != cs[tt.want].ID {
			t.Errorf("FindContact(%q) = %s, %v; want %s, %v", tt.s, got.Label(), err, cs[tt.want].Label(), tt.err)
		}
	}
}

// A subscriber that does not read gets what fits, then the end; others get all.
func TestSlowSubscriber(t *testing.T) {
	var h hub
	slow, err := h.subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fast, err := h.subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n = 3 * maxQueuedEvents
	for i := range n {
		h.emit(DeliveryEvent{ID: MessageID{byte(i >> 16), byte(i >> 8), byte(i)}})
		if e := (<-fast).(DeliveryEvent); e.ID != (MessageID{byte(i >> 16), byte(i >> 8), byte(i)}) {
			t.Fatalf("event %d is %v", i, e.ID)
		}
	}
	got := 0
	for range slow {
		got++
	}
	if got < maxQueuedEvents || got > 2*maxQueuedEvents {
		t.Errorf("the slow one got %d events, want about %d", got, maxQueuedEvents)
	}
	h.close()
	if _, open := <-fast; open {
		t.Error("an event after close")
	}
	if _, err := h.subscribe(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("subscribe after close = %v, want ErrClosed", err)
	}
}

// What happens between Open and the first Subscribe is not missed by who asked
// for that, and only the first gets it.
func TestKeptEvents(t *testing.T) {
	var h hub
	h.keep()
	h.emit(DeliveryEvent{ID: MessageID{1}})
	first, err := h.subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.emit(DeliveryEvent{ID: MessageID{2}})
	for _, want := range []byte{1, 2} {
		if e := (<-first).(DeliveryEvent); e.ID[0] != want {
			t.Errorf("first subscriber got %d, want %d", e.ID[0], want)
		}
	}
	if e := (<-second).(DeliveryEvent); e.ID[0] != 2 {
		t.Errorf("second subscriber got %d, want 2", e.ID[0])
	}
}

func TestSubscriptionEnds(t *testing.T) {
	var h hub
	ctx, cancel := context.WithCancel(t.Context())
	events, err := h.subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, open := <-events; open {
		t.Error("an event without one being emitted")
	}
	h.pumps.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) != 0 {
		t.Errorf("%d subscriptions are left", len(h.subs))
	}
}

func TestStatesAsText(t *testing.T) {
	type all struct {
		T TrustState
		D DeliveryState
		P PathKind
	}
	for i := range 3 {
		in := all{TrustState(i), DeliveryState(i), PathKind(i)}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out all
		if err := json.Unmarshal(b, &out); err != nil || out != in {
			t.Errorf("%s: %+v, %v", b, out, err)
		}
	}
	var out all
	for _, field := range []string{"T", "D", "P"} {
		if err := json.Unmarshal(fmt.Appendf(nil, `{%q:"no such"}`, field), &out); err == nil {
			t.Errorf("%s: accepted", field)
		}
	}
}
