package present

import (
	"time"

	"github.com/sremp/sremp/desktop/tr"
)

// clock returns the time of day in which t lies, like 14:02.
func clock(t time.Time) string { return t.Format("15:04") }

// days returns by how many midnights now is later than t, both in now's zone.
func days(t, now time.Time) int {
	t = t.In(now.Location())
	// Midday of both dates in UTC: a zone's short and long days do not matter.
	noon := func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC)
	}
	return int(noon(now).Sub(noon(t)) / (24 * time.Hour))
}

// dayName returns the heading of a day: Today, Yesterday, a weekday of the last
// six days, else the date.
func dayName(t, now time.Time) string {
	t = t.In(now.Location())
	switch d := days(t, now); {
	case d == 0:
		return tr.T("Today")
	case d == 1:
		return tr.T("Yesterday")
	case d > 1 && d < 7:
		return tr.Text(t.Weekday().String())
	case t.Year() == now.Year():
		return tr.Date(t, tr.Mark("2 January"))
	}
	return tr.Date(t, tr.Mark("2 January 2006"))
}

// listTime returns the short time for a list: a clock time today, else the day.
func listTime(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(now.Location())
	switch d := days(t, now); {
	case d == 0:
		return clock(t)
	case d == 1:
		return tr.T("Yesterday")
	case d > 1 && d < 7:
		return tr.Date(t, tr.Mark("Mon"))
	case t.Year() == now.Year():
		return tr.Date(t, tr.Mark("2 Jan"))
	}
	return tr.Date(t, tr.Mark("2 Jan 2006"))
}

// midnight returns the start of the day after now's.
func midnight(now time.Time) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, now.Location())
}

// spans are the times after which messages can be made to disappear.
var spans = []struct {
	d    time.Duration
	name string
}{
	{0, ""}, {time.Minute, tr.Mark("1 minute")}, {time.Hour, tr.Mark("1 hour")}, {8 * time.Hour, tr.Mark("8 hours")}, {24 * time.Hour, tr.Mark("1 day")},
	{7 * 24 * time.Hour, tr.Mark("1 week")}, {30 * 24 * time.Hour, tr.Mark("30 days")},
}

// TimerNames are the choices of a conversation's timer, the first is never.
func TimerNames() []string {
	names := make([]string, len(spans))
	for i, s := range spans {
		names[i] = tr.Text(s.name)
	}
	names[0] = tr.T("Never")
	return names
}

// TimerIndex returns the place of Chat.Timer among TimerNames; 0 if it is another.
func TimerIndex(timer string) int {
	for i, s := range spans {
		if tr.Text(s.name) == timer {
			return i
		}
	}
	return 0
}

// span words a time after which messages disappear; empty is never.
func span(d time.Duration) string {
	for _, s := range spans {
		if s.d == d {
			return tr.Text(s.name)
		}
	}
	return d.String()
}
