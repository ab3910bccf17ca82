package rendezvous

import (
	"net/netip"
	"time"
)

// Limits bound what one server spends on its clients (spec §7.7). Zero fields
// mean the defaults.
type Limits struct {
	MaxTTL            time.Duration // of a registration; 24 h
	MaxRecords        int           // stored; 1,000,000
	MaxConns          int           // open connections; 10,000
	MaxConnsPerPrefix int           // from one IPv4 address or IPv6 /56; 64
	MaxNames          int           // blinded keys registered by one connection; 8
	MaxListed         int           // entries of the public list; 100,000
	MaxSubscriptions  int           // of one connection; 512
	MaxPending        int           // introductions that one connection waits for; 16
	MaxPendingTarget  int           // introductions that wait for one blinded key; 16
	IntroTimeout      time.Duration // for the answer to an offer; 20 s
	HelloTimeout      time.Duration // for the first frame; 5 s

	// PrefixFactor is how many times the rates of one connection all those of
	// one IPv4 address or IPv6 /56 may use; 8.
	PrefixFactor int

	Register  Rate // per connection; 16, then one in 10 s
	Renew     Rate // per connection; 8, then one in 10 s
	Lookup    Rate // per connection; 64, then one in 1 s
	Browse    Rate // per connection; 32, then one in 1 s
	Introduce Rate // per connection; 16, then one in 2 s
	Offer     Rate // per blinded key, from everybody; 16, then one in 2 s
}

// A Rate is a token bucket: Burst at once, and one more every Every.
type Rate struct {
	Burst int
	Every time.Duration
}

func (l Limits) withDefaults() Limits {
	def(&l.MaxTTL, 24*time.Hour)
	def(&l.MaxRecords, 1_000_000)
	def(&l.MaxConns, 10_000)
	def(&l.MaxConnsPerPrefix, 64)
	def(&l.MaxNames, 8)
	def(&l.MaxListed, 100_000)
	def(&l.MaxSubscriptions, 512)
	def(&l.MaxPending, 16)
	def(&l.MaxPendingTarget, 16)
	def(&l.IntroTimeout, 20*time.Second)
	def(&l.HelloTimeout, 5*time.Second)
	def(&l.Register, Rate{16, 10 * time.Second})
	def(&l.Lookup, Rate{64, time.Second})
	def(&l.PrefixFactor, 8)
	def(&l.Renew, Rate{8, 10 * time.Second})
	def(&l.Browse, Rate{32, time.Second})
	def(&l.Introduce, Rate{16, 2 * time.Second})
	def(&l.Offer, Rate{16, 2 * time.Second})
	return l
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// A bucket is the state of one [Rate]. Its zero value is full.
type bucket struct {
	used int
	last time.Time // when used was brought up to date
}

// take reports whether one more is allowed, and counts it.
func (b *bucket) take(now time.Time, r Rate) bool {
	if n := now.Sub(b.last) / r.Every; b.used > 0 && n > 0 {
		b.used = max(0, b.used-int(min(n, time.Duration(b.used))))
		b.last = b.last.Add(n * r.Every)
	}
	if b.used == 0 {
		b.last = now
	}
	if b.used >= r.Burst {
		return false
	}
	b.used++
	return true
}

// prefixOf returns what counts as one place: an IPv4 address, an IPv6 /56.
func prefixOf(a netip.Addr) netip.Prefix {
	bits := 56
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
