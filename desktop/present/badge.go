package present

import (
	"net/netip"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
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
		b.Text = tr.T("direct") + rtt(p.RTT)
		b.Tip = tr.T("Packets go straight to the other computer%s.", at(p.Remote))
		if isLocal(p.Remote) {
			b.Text = tr.T("direct, LAN") + rtt(p.RTT)
			b.Tip = tr.T("Packets go straight to the other computer%s, and do not leave the local network.", at(p.Remote))
		}
	case client.PathRelay:
		b.Text = tr.T("relay") + rtt(p.RTT)
		b.Tip = tr.T("Packets go through a relay%s, which cannot read them.", at(p.Remote))
	case client.PathMailbox:
		b.Text = tr.T("mailbox") + since(p.Since, now)
		b.Tip = tr.T("Not connected now. A relay keeps your messages, sealed, until they are fetched.")
	default:
		if p.Why == client.WhyUnverified {
			b.Text = tr.T("could not verify, not sent")
			b.Tip = tr.T("Could not verify, not sent. Messages wait here until the right keys are there.")
			break
		}
		b.Text = tr.T("offline")
		b.Tip = tr.T("Not reachable now%s. Messages wait here and will be sent.", since(p.Since, now))
	}
	if s := sentence(reason(p.Reason)); s != "" {
		b.Tip += "\n" + s
	}
	return b
}

// isLocal reports whether an address is one that routers of the internet do not
// carry (RFC 1918, RFC 4193, RFC 4291 section 2.5.6): its packets stay here.
func isLocal(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	ip := a.Addr().Unmap()
	return ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLoopback()
}

// rtt words a round-trip time with a space before it; empty if it is not known.
func rtt(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Millisecond:
		return " " + tr.T("<1 ms")
	}
	return " " + tr.T("%d ms", d.Round(time.Millisecond).Milliseconds())
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
	if days(t, now) == 1 {
		return " " + tr.T("since yesterday")
	}
	return " " + tr.T("since %s", listTime(t, now))
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
		return Tick{Sign: "✓", Tip: tr.T("Held: a relay has signed that it keeps this message until it is fetched")}
	case client.Delivered:
		return Tick{Sign: "✓✓", Tip: tr.T("Delivered: the other device has confirmed it")}
	case client.Read:
		return Tick{Sign: "✓✓", Tip: tr.T("Read"), Read: true}
	}
	return Tick{Sign: "◷", Tip: tr.T("Queued: stored on this computer, will be sent")}
}

func tickSaving() Tick { return Tick{Sign: "…", Tip: tr.T("Being stored"), Saving: true} }

func tickFailed() Tick { return Tick{Sign: "!", Tip: tr.T("Not sent")} }
