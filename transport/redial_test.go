package transport

import (
	"testing"
	"testing/synctest"
	"time"
)

// A server that is away for a moment is found within a minute, one that is gone for
// a day is dialled 200 times, and not 2900; whoever was away for a day is found
// within a quarter of an hour.
func TestRedial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Redial
		begin := time.Now()
		dials, longest := 0, time.Duration(0)
		for time.Since(begin) < 24*time.Hour {
			pause := r.Failed(time.Second)
			away := time.Since(begin)
			switch {
			case away < 4*time.Minute && pause > 45*time.Second:
				t.Errorf("after %v, a pause of %v", away, pause)
			case dials == 0 && pause > 1500*time.Millisecond:
				t.Errorf("the first pause is %v", pause)
			}
			longest = max(longest, pause)
			dials++
			time.Sleep(pause)
		}
		if dials < 140 || dials > 220 || longest > redialMax*3/2 {
			t.Errorf("%d dials in a day, the longest pause %v", dials, longest)
		}
		r.Answered()
		if pause := r.Failed(time.Second); pause > 1500*time.Millisecond {
			t.Errorf("after an answer, a pause of %v", pause)
		}
	})
}
