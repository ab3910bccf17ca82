package rendezvous

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A namedLimit is one limit as Set takes it; value points to an int, a
// time.Duration or a Rate.
type namedLimit struct {
	name  string
	value any
}

// named lists all limits in the order of [Limits].
func (l *Limits) named() []namedLimit {
	return []namedLimit{
		{"max_ttl", &l.MaxTTL},
		{"max_records", &l.MaxRecords},
		{"max_conns", &l.MaxConns},
		{"max_conns_per_prefix", &l.MaxConnsPerPrefix},
		{"max_names", &l.MaxNames},
		{"max_listed", &l.MaxListed},
		{"max_subscriptions", &l.MaxSubscriptions},
		{"max_pending", &l.MaxPending},
		{"max_pending_target", &l.MaxPendingTarget},
		{"intro_timeout", &l.IntroTimeout},
		{"hello_timeout", &l.HelloTimeout},
		{"prefix_factor", &l.PrefixFactor},
		{"register", &l.Register},
		{"renew", &l.Renew},
		{"lookup", &l.Lookup},
		{"browse", &l.Browse},
		{"introduce", &l.Introduce},
		{"offer", &l.Offer},
	}
}

// DefaultLimits returns the limits of spec §7.7.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

// Texts returns the name and the value of each limit, as Set takes them, in the
// order of [Limits].
func (l Limits) Texts() (all [][2]string) {
	for _, n := range l.named() {
		var text string
		switch v := n.value.(type) {
		case *int:
			text = strconv.Itoa(*v)
		case *time.Duration:
			text = v.String()
		case *Rate:
			text = fmt.Sprintf("%d/%v", v.Burst, v.Every)
		}
		all = append(all, [2]string{n.name, text})
	}
	return all
}

// Set changes one limit by its name: a number, a duration such as 24h, or a rate
// such as 16/10s, which is 16 at once and one more every 10 s.
func (l *Limits) Set(name, value string) error {
	for _, n := range l.named() {
		if n.name != name {
			continue
		}
		switch v := n.value.(type) {
		case *int:
			x, err := strconv.ParseInt(value, 10, 32)
			if err != nil || x <= 0 {
				return fmt.Errorf("rendezvous: limit %s takes a whole number above 0, not %q", name, value)
			}
			*v = int(x)
		case *time.Duration:
			x, err := time.ParseDuration(value)
			if err != nil || x < time.Second {
				return fmt.Errorf("rendezvous: limit %s takes a duration of at least 1s, such as 24h, not %q", name, value)
			}
			*v = x
		case *Rate:
			burst, every, _ := strings.Cut(value, "/")
			n, err := strconv.ParseInt(burst, 10, 32)
			d, durationErr := time.ParseDuration(every)
			if err != nil || durationErr != nil || n <= 0 || d <= 0 {
				return fmt.Errorf("rendezvous: limit %s takes a rate such as 16/10s, not %q", name, value)
			}
			*v = Rate{int(n), d}
		}
		return nil
	}
	return fmt.Errorf("rendezvous: there is no limit named %q", name)
}
