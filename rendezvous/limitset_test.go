package rendezvous

import (
	"reflect"
	"testing"
	"time"
)

func TestLimitSet(t *testing.T) {
	l := DefaultLimits()
	if n, fields := len(l.named()), reflect.TypeFor[Limits]().NumField(); n != fields {
		t.Fatalf("%d limits have names, want all %d", n, fields)
	}
	// What Texts says, Set takes.
	var again Limits
	for _, x := range l.Texts() {
		if err := again.Set(x[0], x[1]); err != nil {
			t.Error(err)
		}
	}
	if again != l {
		t.Errorf("got %+v\nwant %+v", again, l)
	}
	for name, value := range map[string]string{"max_records": "5000000", "max_ttl": "48h", "lookup": "8/2s"} {
		if err := l.Set(name, value); err != nil {
			t.Error(err)
		}
	}
	if l.MaxRecords != 5_000_000 || l.MaxTTL != 48*time.Hour || l.Lookup != (Rate{8, 2 * time.Second}) {
		t.Errorf("got %+v", l)
	}
	before := l
	for _, x := range [][2]string{
		{"", "1"}, {"nothing", "1"}, {"max_records", "0"}, {"max_records", "-1"}, {"max_records", "1e9"}, {"max_records", "99999999999"},
		{"max_ttl", "24"}, {"max_ttl", "1ms"}, {"max_ttl", "-1h"}, {"lookup", "8"}, {"lookup", "8/"}, {"lookup", "/1s"}, {"lookup", "0/1s"}, {"lookup", "8/0s"}, {"lookup", "8/1s/"},
	} {
		if err := l.Set(x[0], x[1]); err == nil {
			t.Errorf("Set(%q, %q) is no error", x[0], x[1])
		}
	}
	if l != before {
		t.Errorf("errors changed the limits: %+v", l)
	}
}
