// Package history is what can be seen of a network of people who write to each
// other, and the laws that it must keep. It knows nothing of how the messages
// travel: it imports nothing of this module, and judges by what persons did and
// were shown.
//
// A [History] is written by whoever watches: the simulation of package sim, or a
// test of real programs that reads their events. [Check] returns every law that
// it breaks.
package history

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A Kind says what happened.
type Kind string

// The kinds of events. Who is the person at whose device it happened, Peer the
// other end of the conversation.
const (
	Accepted     Kind = "accepted" // Who's device took ID with Text for Peer; it disappears After, if that is not 0
	Unsure       Kind = "unsure"   // Who's device was asked to, and failed: Text may arrive
	Shown        Kind = "shown"    // Who was shown ID with Text of Peer, with Missing before it
	Ticked       Kind = "ticked"   // Who was told that ID reached State
	Edited       Kind = "edited"   // Who's device took Text as the new text of ID
	Deleted      Kind = "deleted"  // Who's device took the wish that ID goes on both sides
	Removed      Kind = "removed"  // Who removed ID from the device, or asked for it, here only
	BackedUp     Kind = "backup"   // Who wrote backup number N
	Restored     Kind = "restored" // Who lost the device and began from backup number N
	MaybeEdited  Kind = "edited?"  // the same, and it failed: it may have happened
	MaybeDeleted Kind = "deleted?" // Who wanted ID gone, and it failed: it may be gone
	Stopped      Kind = "stopped"  // Who's device ended, or had a broken disk: what it did just then it may not have told
	Clock        Kind = "clock"    // Who's clock is wrong by After from now on
	Lying        Kind = "lying"    // from now on a server may drop, forge and repeat what passes it
	Cheat        Kind = "cheat"    // Who is a contact of everybody's who lies, with another program
	Said         Kind = "said"     // Who, a cheat, sent Peer Text under ID, or as the new text of ID; without Text: that ID goes
	There        Kind = "there"    // Who's device has Peer's ID, and may have ended before it showed it
	Alone        Kind = "alone"    // for the last After Who's device and all servers were well, and nobody else was there
	Healed       Kind = "healed"   // from now on nothing is broken any more
	Final        Kind = "final"    // at the end Who's device shows ID, Mine or not, at Seq
	Note         Kind = "note"     // for readers
)

// A State is a step of the ticks.
type State int

// The states, in order.
const (
	Queued State = iota
	Held
	Delivered
	Read
)

// An Event is one thing that happened.
type Event struct {
	At      time.Duration `json:"at"` // since the beginning, by the true clock
	Kind    Kind          `json:"kind"`
	Who     string        `json:"who,omitempty"`
	Peer    string        `json:"peer,omitempty"`
	ID      string        `json:"id,omitempty"`
	Text    string        `json:"text,omitempty"`
	State   State         `json:"state,omitempty"`
	After   time.Duration `json:"after,omitempty"`
	Missing int           `json:"missing,omitempty"`
	Mine    bool          `json:"mine,omitempty"`
	Seq     int64         `json:"seq,omitempty"`
	N       int           `json:"n,omitempty"`
}

// String is one readable line.
func (e Event) String() string {
	s := fmt.Sprintf("%11.3fs %-8s %-6s", e.At.Seconds(), e.Kind, e.Who)
	if e.Peer != "" {
		s += fmt.Sprintf(" %-6s", e.Peer)
	}
	if e.ID != "" {
		s += " " + e.ID[:min(8, len(e.ID))]
	}
	if e.Kind == Ticked || e.Kind == Final && e.Mine {
		s += " " + [...]string{"queued", "held", "delivered", "read"}[e.State]
	}
	if e.Missing > 0 {
		s += fmt.Sprintf(" missing=%d", e.Missing)
	}
	if e.Kind == Clock {
		s += " is wrong by " + e.After.Round(time.Second).String()
	} else if e.After > 0 {
		s += " for " + e.After.String()
	}
	if e.N > 0 {
		s += fmt.Sprintf(" #%d", e.N)
	}
	if e.Text != "" {
		s += fmt.Sprintf(" %.60q", e.Text)
	}
	return s
}

// A History is what happened, in order. It is safe for concurrent use.
type History struct {
	mu     sync.Mutex
	events []Event
}

// Add appends an event.
func (h *History) Add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

// Events returns what happened so far.
func (h *History) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events[:len(h.events):len(h.events)]
}

// Write writes one line for each event.
func (h *History) Write(w io.Writer) error {
	for _, e := range h.Events() {
		if _, err := fmt.Fprintln(w, e); err != nil {
			return err
		}
	}
	return nil
}
