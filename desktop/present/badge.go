package present

import (
	"fmt"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
)

// A Badge says how a contact is reached.
type Badge struct {
	Kind client.PathKind
	Text string // "direct 24 ms"
	Tip  string // the reason, in whole sentences
}

// badge words a path. The zero Path is offline.
func badge(p client.Path, now time.Time) Badge {
	b := Badge{Kind: p.Kind}
	switch p.Kind {
	case client.PathDirect:
		b.Text = "direct" + rtt(p.RTT)
		b.Tip = "Packets go straight to the other computer" + at(p.Remote) + "."
	case client.PathRelay:
		b.Text = "relay" + rtt(p.RTT)
		b.Tip = "Packets go through a relay" + at(p.Remote) + ", which cannot read them."
	case client.PathMailbox:
		b.Text = "mailbox" + since(p.Since, now)
		b.Tip = "Not connected now. A relay keeps your messages, sealed, until they are fetched."
	default:
		b.Text = "offline"
		b.Tip = "Not reachable now" + since(p.Since, now) + ". Messages wait here and will be sent."
	}
	if s := sentence(p.Reason); s != "" {
		b.Tip += "\n" + s
	}
	return b
}

// rtt words a round-trip time with a space before it; empty if it is not known.
func rtt(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Millisecond:
		return " <1 ms"
	}
	return fmt.Sprintf(" %d ms", d.Round(time.Millisecond).Milliseconds())
}

func at(remote string) string {
	if remote = Line(remote); remote == "" {
		return ""
	}
	return " (" + Isolate(remote) + ")"
}

func since(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	s := listTime(t, now)
	if s == "Yesterday" {
		s = "yesterday"
	}
	return " since " + s
}

// sentence makes a whole sentence of a part: a capital and a full stop.
func sentence(s string) string {
	s = Line(s)
	if s == "" {
		return ""
	}
	r := []rune(s)
	r[0] = []rune(strings.ToUpper(string(r[0])))[0]
	if s = string(r); !strings.ContainsRune(".!?", r[len(r)-1]) {
		s += "."
	}
	return s
}

// A Tick is the fate of one of our messages, in signs and in words.
type Tick struct {
	Sign   string
	Tip    string
	Read   bool // drawn in the accent colour
	Saving bool // it was written just now
}

// tick words a step of the delivery ladder.
func tick(s client.DeliveryState) Tick {
	switch s {
	case client.Held:
		return Tick{Sign: "✓", Tip: "Held: a relay has signed that it keeps this message until it is fetched"}
	case client.Delivered:
		return Tick{Sign: "✓✓", Tip: "Delivered: the other device has confirmed it"}
	case client.Read:
		return Tick{Sign: "✓✓", Tip: "Read", Read: true}
	}
	return Tick{Sign: "◷", Tip: "Queued: stored on this computer, will be sent"}
}

var (
	tickSaving = Tick{Sign: "…", Tip: "Being stored", Saving: true}
	tickFailed = Tick{Sign: "!", Tip: "Not sent"}
)
