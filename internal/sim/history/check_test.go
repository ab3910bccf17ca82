package history

import (
	"strings"
	"testing"
	"time"
)

// script reads a history of two persons, a and b, from lines
// "kind who peer id text [key=value]".
func script(t *testing.T, lines string) (out []Event) {
	t.Helper()
	at := time.Duration(0)
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		at += time.Minute
		e := Event{At: at, Kind: Kind(f[0]), Who: f[1]}
		for i, p := range []*string{&e.Peer, &e.ID, &e.Text} {
			if len(f) > i+2 {
				*p = strings.TrimPrefix(f[i+2], "-")
			}
		}
		for _, x := range f[min(5, len(f)):] {
			switch x {
			case "held":
				e.State = Held
			case "delivered":
				e.State = Delivered
			case "mine":
				e.Mine = true
			case "gap":
				e.Missing = 1
			case "hour", "ahead":
				e.After = time.Hour
			case "1":
				e.N = 1
			case "late":
				at += 10 * time.Hour
				e.At = at
			}
		}
		out = append(out, e)
	}
	return out
}

const good = `
	accepted a b 1 one
	ticked a b 1 - held
	shown b a 1 one
	ticked a b 1 - delivered
	healed -
	final a b 1 one mine delivered
	final b a 1 one`

// TestCheck: every law has a history that breaks it, and one beside it that does not.
func TestCheck(t *testing.T) {
	for _, tt := range []struct{ name, history, want string }{
		{"all well", good, ""},
		{"lost", `accepted a b 1 one
			final a b 1 one mine delivered`, "never shown"},
		{"false tick", `accepted a b 1 one
			ticked a b 1 - delivered
			final a b 1 one mine delivered`, "ticked as delivered and never shown"},
		{"tick before its time", `accepted a b 1 one
			ticked a b 1 - delivered
			shown b a 1 one
			final a b 1 one mine delivered
			final b a 1 one`, "before it was shown"},
		{"tick, and the reader's device ended", `accepted a b 1 one
			ticked a b 1 - delivered
			stopped b
			shown b a 1 one
			final a b 1 one mine delivered
			final b a 1 one`, ""},
		{"twice", good + `
			shown b a 1 one`, "shown twice"},
		{"twice in the end", good + `
			final b a 1 one`, "there 2 times"},
		{"to another", strings.Replace(good, "shown b a", "shown c a", 1), "wrong person"},
		{"of another", strings.Replace(good, "shown b a", "shown b c", 1), "wrong person"},
		{"invented", good + `
			shown b a 2 two`, "nobody sent it"},
		{"invented in the end", good + `
			final b a 2 two`, "nobody sent"},
		{"unsure", good + `
			unsure a b - two
			shown b a 2 two
			final b a 2 two`, ""},
		{"changed on the way", strings.Replace(good, "shown b a 1 one", "shown b a 1 won", 1), "another text"},
		{"tick goes back", good + `
			ticked a b 1 - held`, "went back"},
		{"not delivered", strings.Replace(good, "mine delivered", "mine held", 1), "not delivered"},
		{"reader lost it", strings.Replace(good, "final b a 1 one", "", 1), "reader does not have it"},
		{"sender lost it", strings.Replace(good, "final a b 1 one mine delivered", "", 1), "sender does not have it"},
		{"deleted", good + `
			deleted a b 1`, "deleted and still there"},
		{"removed", good + `
			removed b a 1`, "removed and still there"},
		{"expired", strings.Replace(good, "healed -", "healed - - - - late", 1) + `
			accepted a b 2 two hour`, "never shown"},
		{"expired and there", `accepted a b 1 one hour
			shown b a 1 one
			final b a 1 one late`, "expired and still there"},
		{"expired before it came", `accepted a b 1 one hour
			ticked a b 1 - held
			healed - - - - late`, "never shown"},
		{"expired before it came, dropped by a liar", `lying -
			accepted a b 1 one hour
			ticked a b 1 - held
			healed - - - - late`, ""},
		{"expired before any server had it", `lying -
			accepted a b 1 one hour
			healed - - - - late`, "never shown"},
		{"expired after the liar's end", `lying -
			healed -
			accepted a b 1 one hour
			ticked a b 1 - held
			final a b 2 - - late`, "never shown"},
		{"made old by a clock, in a session that began anew", `stopped b
			accepted a b 1 one hour
			clock a - - - ahead
			healed -`, ""},
		{"made old by a clock, in a session that went on", `accepted a b 1 one hour
			clock a - - - ahead
			healed -`, "never shown"},
		{"made old by another's clock", `stopped b
			accepted a b 1 one hour
			clock b - - - ahead
			healed -`, "never shown"},
		{"made old by a clock that was as wrong before", `stopped b
			clock a - - - ahead
			accepted a b 1 one hour
			clock a - - - ahead
			healed -`, "never shown"},
		{"lost by a liar", `lying -
			accepted a b 1 one
			final a b 1 one mine held`, "never shown"},
		{"a liar's delivery, ticked", `lying -
			accepted a b 1 one
			ticked a b 1 - delivered
			final a b 1 one mine delivered`, "ticked as delivered and never shown"},
		{"edited", good + `
			edited a b 1 two`, "last text"},
		{"edited, seen", `accepted a b 1 one
			shown b a 1 one
			edited a b 1 two
			final a b 1 two mine delivered
			final b a 1 two`, ""},
		{"order", `accepted a b 1 one
			accepted a b 2 two
			shown b a 2 two
			shown b a 1 one
			final a b 1 one mine delivered
			final a b 2 two mine delivered
			final b a 1 one
			final b a 2 two`, "sent later"},
		{"order, and the device ended when it said the gap", `accepted a b 1 one
			accepted a b 2 two
			accepted a b 3 three
			stopped b
			shown b a 2 two
			shown b a 1 one
			final a b 1 one mine delivered
			final a b 2 two mine delivered
			final a b 3 three mine delivered
			final b a 1 one
			final b a 2 two
			final b a 3 three`, ""},
		{"order, of one that was over for its sender", `accepted a b 1 one hour
			accepted a b 2 two
			shown b a 2 two late
			shown b a 1 one
			final a b 2 two mine delivered
			final b a 2 two`, ""},
		{"order, of one that was not over", `accepted a b 1 one hour
			accepted a b 2 two
			shown b a 2 two
			shown b a 1 one
			final a b 2 two mine delivered
			final b a 2 two`, "no gap was said"},
		{"order with a gap, which a message says that its sender was unsure of", `accepted a b 1 one
			unsure a b - two
			accepted a b 3 three
			note - - - - late
			shown b a 2 two gap
			shown b a 3 three
			shown b a 1 one
			final a b 1 one mine delivered
			final b a 1 one
			final a b 2 two mine delivered
			final b a 2 two
			final a b 3 three mine delivered
			final b a 3 three`, ""},
		{"order without a gap, and a message that its sender was unsure of", `accepted a b 1 one
			unsure a b - two
			accepted a b 3 three
			note - - - - late
			shown b a 2 two
			shown b a 3 three
			shown b a 1 one
			final a b 1 one mine delivered
			final b a 1 one
			final a b 2 two mine delivered
			final b a 2 two
			final a b 3 three mine delivered
			final b a 3 three`, "no gap was said"},
		{"order with a gap", `accepted a b 1 one
			accepted a b 2 two
			shown b a 2 two gap
			shown b a 1 one
			final a b 1 one mine delivered
			final a b 2 two mine delivered
			final b a 1 one
			final b a 2 two`, ""},
		{"lost with the reader's device", `backup b - - - 1
			accepted a b 1 one
			shown b a 1 one
			ticked a b 1 - delivered
			restored b - - - 1
			final a b 1 one mine delivered`, ""},
		{"lost although the backup had it", `accepted a b 1 one
			shown b a 1 one
			backup b - - - 1
			restored b - - - 1
			final a b 1 one mine delivered`, "reader does not have it"},
		{"lost with the sender's device", `backup a - - - 1
			accepted a b 1 one
			restored a - - - 1`, ""},
		{"sent after the restore and lost", `backup a - - - 1
			restored a - - - 1
			accepted a b 1 one
			final a b 1 one mine`, "never shown"},
		{"held, and its reader alone", `accepted a b 1 one
			ticked a b 1 - held
			alone b - - - hour
			shown b a 1 one
			final a b 1 one mine delivered
			final b a 1 one`, ""},
		{"held for longer, and its reader alone", `accepted a b 1 one
			ticked a b 1 - held
			note -
			alone b - - - hour late`, "held by a relay"},
		{"held for longer, and there", `accepted a b 1 one
			ticked a b 1 - held
			there b a 1
			alone b - - - hour late
			final a b 1 one mine delivered
			final b a 1 one`, ""},
		{"arrived as its reader's device ended, and disappeared", `accepted a b 1 one hour
			ticked a b 1 - held
			ticked a b 1 - delivered
			alone b - - - hour late`, ""},
		{"arrived as its reader's device ended, disappeared, and acknowledged later", `accepted a b 1 one hour
			ticked a b 1 - held
			alone b - - - hour late
			ticked a b 1 - delivered`, ""},
		{"disappeared at its sender, and its reader alone", `accepted a b 1 one hour
			ticked a b 1 - held
			alone b - - - hour late`, "held by a relay"},
		{"dropped by a liar, and its reader alone", `lying -
			accepted a b 1 one hour
			ticked a b 1 - held
			alone b - - - hour late`, ""},
		{"a cheat's message", `cheat m
			said m b 1 lie
			shown b m 1 lie
			final b m 1 lie`, ""},
		{"what a cheat did not say", `cheat m
			said m b 1 lie
			shown b m 1 other`, "the cheat did not say so"},
		{"what a cheat said to another", `cheat m
			said m a 1 lie
			shown b m 1 lie`, "the cheat did not say so"},
		{"in the end what a cheat did not say", `cheat m
			final b m 1 lie`, "the cheat did not say so"},
		{"a cheat's name again, removed in between", `cheat m
			said m b 1 lie
			shown b m 1 lie
			removed b m 1
			said m b 1 other
			shown b m 1 other
			final b m 1 other`, ""},
		{"a cheat's name again, removed by another", `cheat m
			said m b 1 lie
			shown b m 1 lie
			removed c m 1
			said m b 1 other
			shown b m 1 other
			final b m 1 other`, "there twice"},
		{"a cheat's name twice", `cheat m
			said m b 1 lie
			said m b 1 again
			shown b m 1 lie
			shown b m 1 again`, "is there twice"},
		{"a cheat's name again, after it went", `cheat m
			said m b 1 lie
			said m b 1
			shown b m 1 lie
			shown b m 1 lie
			final b m 1 lie`, ""},
		{"a cheat's name twice in the end", `cheat m
			said m b 1 lie
			said m b 1
			final b m 1 lie
			final b m 1 lie`, "is there twice"},
		{"a cheat takes another's name", good + `
			cheat m
			said m b 1 lie
			shown b m 1 lie
			final b m 1 lie`, ""},
		{"a cheat's acknowledgement", `cheat m
			accepted a m 1 one
			ticked a m 1 - delivered
			final a m 1 one mine delivered`, ""},
		{"a cheat's acknowledgement of another's", `cheat m
			accepted a b 1 one
			ticked a m 1 - delivered`, "somebody else than its reader"},
		{"a cheat changes our message", `cheat m
			said m a 1 lie
			accepted a m 1 one
			final a m 1 lie mine delivered`, "last text"},
		{"a cheat removes our message", `cheat m
			accepted a m 1 one`, "sender does not have it"},
		{"our message in a cheat's conversation", `cheat m
			accepted a b 1 one
			final a m 1 one mine`, "in another conversation"},
	} {
		got := Check(script(t, tt.history))
		if tt.want == "" && len(got) > 0 || tt.want != "" && !strings.Contains(strings.Join(got, "\n"), tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
