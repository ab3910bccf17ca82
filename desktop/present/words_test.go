package present

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

func TestLiteral(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"markup", "<b>&amp;</b>", "<b>&amp;</b>"},
		{"lines", "a\r\nb\tc", "a\nb\tc"},
		{"NUL", "a\x00b", "a␀b"},
		{"escape", "\x1b[2J", "␛[2J"},
		{"DEL", "\x7f", "␡"},
		{"C1", "a\u009bb", "a\ufffdb"},
		{"not UTF-8", "a\xff\xfeb", "a\ufffdb"},
		{"override", "photo\u202egpj.exe", "photogpj.exe"},
		{"embedding", "\u202aa\u202c", "a"},
		{"isolate kept", "\u2067x\u2069", "\u2067x\u2069"},
		{"isolate left open", "\u2067x", "\u2067x\u2069"},
		{"isolate closed twice", "x\u2069y", "xy"},
		{"paragraph separator", "a\u2029b", "a\nb"},
		{"emoji with joiners", "👩‍👩‍👧", "👩‍👩‍👧"},
		{"Arabic", "مرحبا", "مرحبا"},
	} {
		if got := Literal(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLine(t *testing.T) {
	if got, want := Line(" a\n\u2028b\t\u00a0 c "), "a b c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Isolate("x\u2069\u202ey"), "\u2068xy\u2069"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x00\u202e\u2066\u2069\u2069\n\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for name, got := range map[string]string{"Literal": Literal(s), "Line": Line(s), "Preview": Preview(s), "Initials": Initials(s)} {
			if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\u202a\u202b\u202c\u202d\u202e") {
				t.Errorf("%s(%q) = %q", name, s, got)
			}
			if name != "Initials" && strings.Count(got, "\u2066")+strings.Count(got, "\u2067")+strings.Count(got, "\u2068") != strings.Count(got, "\u2069") {
				t.Errorf("%s(%q) = %q: isolates are not matched", name, s, got)
			}
		}
		if strings.ContainsAny(Line(s), "\n\r\t") {
			t.Errorf("Line(%q) has several lines", s)
		}
	})
}

func TestPreview(t *testing.T) {
	if got, want := Preview("a\n\nb"), "a b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := strings.Repeat("ä", 1<<20)
	got := Preview(long)
	if n := utf8.RuneCountInString(got); n != previewLen+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("got %d characters, want %d and an ellipsis", n, previewLen)
	}
}

func TestInitials(t *testing.T) {
	for in, want := range map[string]string{
		"": "?", "  ": "?", "alice": "A", "Bob Builder": "BB", "anna maria van der berg": "AB",
		"jean-luc": "JL", "👩‍👩‍👧 family": "👩‍👩‍👧F", "élan": "É", "é": "É", "\u2067مرحبا\u2069": "م",
	} {
		if got := Initials(in); got != want {
			t.Errorf("Initials(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestColour(t *testing.T) {
	seen := map[int]bool{}
	for i := range 100 {
		c := Colour(identity.PeerID{byte(i)})
		if c < 0 || c >= Colours {
			t.Fatalf("colour %d", c)
		}
		seen[c] = true
	}
	if len(seen) != Colours {
		t.Errorf("100 people have %d colours, want all %d", len(seen), Colours)
	}
}

func TestTimes(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 23, 0, 30, 0, 0, berlin) // a Monday; still Sunday in UTC
	for _, tt := range []struct {
		at        time.Time
		day, list string
	}{
		{now, "Today", "00:30"},
		{now.Add(-31 * time.Minute).UTC(), "Yesterday", "Yesterday"},
		{now.AddDate(0, 0, -2), "Saturday", "Sat"},
		{now.AddDate(0, 0, -6), "Tuesday", "Tue"},
		{now.AddDate(0, 0, -7), "16 November", "16 Nov"},
		{now.AddDate(-1, 0, 0), "23 November 2025", "23 Nov 2025"},
		{now.AddDate(0, 0, 1), "24 November", "24 Nov"},
	} {
		if got := dayName(tt.at, now); got != tt.day {
			t.Errorf("dayName(%v) = %q, want %q", tt.at, got, tt.day)
		}
		if got := listTime(tt.at, now); got != tt.list {
			t.Errorf("listTime(%v) = %q, want %q", tt.at, got, tt.list)
		}
	}
	if got := listTime(time.Time{}, now); got != "" {
		t.Errorf("listTime of no time: %q", got)
	}
	if got, want := midnight(now), time.Date(2026, 11, 24, 0, 0, 0, 0, berlin); !got.Equal(want) {
		t.Errorf("midnight: got %v, want %v", got, want)
	}
}

func TestBadge(t *testing.T) {
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	at := time.Date(2026, 11, 23, 14, 2, 0, 0, time.UTC)
	for _, tt := range []struct {
		p    client.Path
		want string
	}{
		{client.Path{Kind: client.PathDirect, RTT: 24 * time.Millisecond}, "direct 24 ms"},
		{client.Path{Kind: client.PathDirect, RTT: 300 * time.Microsecond}, "direct <1 ms"},
		{client.Path{Kind: client.PathDirect}, "direct"},
		{client.Path{Kind: client.PathDirect, RTT: 3 * time.Millisecond, Remote: "192.168.1.7:4433"}, "direct, LAN 3 ms"},
		{client.Path{Kind: client.PathDirect, Remote: "[fe80::1%eth0]:9"}, "direct, LAN"},
		{client.Path{Kind: client.PathDirect, Remote: "[::ffff:10.0.0.1]:9"}, "direct, LAN"},
		{client.Path{Kind: client.PathDirect, Remote: "203.0.113.7:9"}, "direct"},
		{client.Path{Kind: client.PathRelay, Remote: "10.0.0.1:9"}, "relay"},
		{client.Path{Kind: client.PathRelay, RTT: 60600 * time.Microsecond}, "relay 61 ms"},
		{client.Path{Kind: client.PathMailbox, Since: at}, "mailbox since 14:02"},
		{client.Path{Kind: client.PathMailbox, Since: at.AddDate(0, 0, -1)}, "mailbox since yesterday"},
		{client.Path{Kind: client.PathMailbox}, "mailbox"},
		{client.Path{}, "offline"},
		{client.Path{Why: client.WhyUnverified}, "could not verify, not sent"},
	} {
		b := badge(tt.p, now)
		if b.Text != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.p, b.Text, tt.want)
		}
		if b.Kind != tt.p.Kind || !strings.HasSuffix(b.Tip, ".") {
			t.Errorf("%+v: got %+v", tt.p, b)
		}
	}
	b := badge(client.Path{Kind: client.PathDirect, Remote: "192.0.2.1:9", Reason: "both sides sent at once"}, now)
	if want := "Packets go straight to the other computer (\u2068192.0.2.1:9\u2069).\nBoth sides sent at once."; b.Tip != want {
		t.Errorf("got tip %q, want %q", b.Tip, want)
	}
}

func TestTicks(t *testing.T) {
	seen := map[Tick]bool{}
	for _, s := range []client.DeliveryState{client.Queued, client.Held, client.Delivered, client.Read} {
		k := tick(s)
		if k.Sign == "" || k.Tip == "" || seen[k] {
			t.Errorf("%v: got %+v, want its own sign and words", s, k)
		}
		seen[k] = true
	}
}

func TestProblem(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("client: %w", client.ErrWrongPassphrase), "Wrong passphrase; try again, nothing was changed."},
		{client.ErrUnknownContact, "This contact does not exist any more."},
		{errors.New("boom\nbang"), "It failed: boom bang."},
	} {
		if got := problem("It failed", tt.err); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestSpoken(t *testing.T) {
	r := Row{Kind: MessageRow, Author: you(), Mine: true, Time: "14:02", Text: "hi", Tick: tick(client.Read)}
	if got, want := r.Spoken(), "You, 14:02: hi (Read)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (Row{Kind: DayRow, Text: "Today"}).Spoken(), "Today"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNetwork(t *testing.T) {
	up, down := client.Server{Connected: true}, client.Server{}
	for want, servers := range map[string][]client.Server{
		"No server":                 nil,
		"Server connected":          {up},
		"2 servers connected":       {up, up},
		"1 of 2 servers connected":  {up, down},
		"Connecting to the server":  {down},
		"Server not connected: why": {{Problem: "why"}},
	} {
		if got := network(servers); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
