package relay

import (
	"time"

	"github.com/sremp/sremp/wire"
)

// Constants of the protocol (spec §6.4): what one invite's knock is good for.
const (
	KnockBlobs = 16
	KnockBytes = 8 << 20
)

// Limits bounds what strangers and owners can make a relay hold and do. Zero
// fields mean the defaults of [DefaultLimits].
type Limits struct {
	Owners     int           // registered owners
	OwnerBytes int64         // stored blobs of one owner
	OwnerBlobs int           // their number
	InboxBytes int64         // of one inbox, so that no contact fills its owner's quota
	InboxBlobs int           // their number
	Inboxes    int           // of one owner
	Knocks     int           // open at a time for one knock inbox
	KnockTTL   time.Duration // longest life of a knock
	OneTime    int           // one-time prekeys of one inbox
	MaxBlob    int           // bytes of one blob, at most wire.MaxBlob
	TTL        time.Duration // life of a blob
	OwnerTTL   time.Duration // an owner not seen for so long is deleted with all its mail

	Conns          int           // open at a time
	ConnsPerPrefix int           // from one IPv4 address or one IPv6 /56
	Streams        int           // requests at a time on one connection
	Requests       float64       // a second on one connection,
	RequestBurst   float64       // and so many at once
	RequestTime    time.Duration // to read a request and to write its answer
	AnonymousIdle  time.Duration // an unauthenticated connection without requests is closed

	Sessions         int           // forwarding sessions
	SessionsPerOwner int           // that one owner takes part in
	TicketTTL        time.Duration // to join a session
	SessionIdle      time.Duration // a session without packets ends
	SessionLost      time.Duration // so does one whose side has had no owner connection for so long
	ForwardRate      float64       // bytes a second of one session, both directions
	ForwardBurst     float64       // bytes at once
	OwnerRate        float64       // bytes a second that one owner sends in all sessions
	OwnerBurst       float64
	PrefixRate       float64 // bytes a second from one IPv4 address or one IPv6 /56
	PrefixBurst      float64
	Challenges       float64 // a second to one prefix of which no session is known
	ChallengeBurst   float64
}

// DefaultLimits returns the limits of spec §6.7.
func DefaultLimits() Limits {
	return Limits{
		Owners:     100_000,
		OwnerBytes: 256 << 20,
		OwnerBlobs: 20_000,
		InboxBytes: 64 << 20,
		InboxBlobs: 5_000,
		Inboxes:    1_000,
		Knocks:     256,
		KnockTTL:   90 * 24 * time.Hour,
		OneTime:    256,
		MaxBlob:    wire.MaxBlob,
		TTL:        30 * 24 * time.Hour,
		OwnerTTL:   365 * 24 * time.Hour,

		Conns:          20_000,
		ConnsPerPrefix: 64,
		Streams:        16,
		Requests:       50,
		RequestBurst:   500,
		RequestTime:    30 * time.Second,
		AnonymousIdle:  2 * time.Minute,

		Sessions:         50_000,
		SessionsPerOwner: 64,
		TicketTTL:        30 * time.Second,
		SessionIdle:      10 * time.Minute,
		SessionLost:      30 * time.Second,
		ForwardRate:      8 << 20,
		ForwardBurst:     2 << 20,
		OwnerRate:        16 << 20,
		OwnerBurst:       4 << 20,
		PrefixRate:       64 << 20,
		PrefixBurst:      8 << 20,
		Challenges:       100,
		ChallengeBurst:   1000,
	}
}

// withDefaults fills zero fields.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	orDefault(&l.Owners, d.Owners)
	orDefault(&l.OwnerBytes, d.OwnerBytes)
	orDefault(&l.OwnerBlobs, d.OwnerBlobs)
	orDefault(&l.InboxBytes, d.InboxBytes)
	orDefault(&l.InboxBlobs, d.InboxBlobs)
	orDefault(&l.Inboxes, d.Inboxes)
	orDefault(&l.Knocks, d.Knocks)
	orDefault(&l.KnockTTL, d.KnockTTL)
	orDefault(&l.OneTime, d.OneTime)
	orDefault(&l.MaxBlob, d.MaxBlob)
	orDefault(&l.TTL, d.TTL)
	orDefault(&l.OwnerTTL, d.OwnerTTL)
	orDefault(&l.Conns, d.Conns)
	orDefault(&l.ConnsPerPrefix, d.ConnsPerPrefix)
	orDefault(&l.Streams, d.Streams)
	orDefault(&l.Requests, d.Requests)
	orDefault(&l.RequestBurst, d.RequestBurst)
	orDefault(&l.RequestTime, d.RequestTime)
	orDefault(&l.AnonymousIdle, d.AnonymousIdle)
	orDefault(&l.Sessions, d.Sessions)
	orDefault(&l.SessionsPerOwner, d.SessionsPerOwner)
	orDefault(&l.TicketTTL, d.TicketTTL)
	orDefault(&l.SessionIdle, d.SessionIdle)
	orDefault(&l.SessionLost, d.SessionLost)
	orDefault(&l.ForwardRate, d.ForwardRate)
	orDefault(&l.ForwardBurst, d.ForwardBurst)
	orDefault(&l.OwnerRate, d.OwnerRate)
	orDefault(&l.OwnerBurst, d.OwnerBurst)
	orDefault(&l.PrefixRate, d.PrefixRate)
	orDefault(&l.PrefixBurst, d.PrefixBurst)
	orDefault(&l.Challenges, d.Challenges)
	orDefault(&l.ChallengeBurst, d.ChallengeBurst)
	return l
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// A bucket lets rate units a second pass, and burst at once. It starts full.
type bucket struct {
	used float64   // of burst, at the time at
	at   time.Time // zero: never used
}

// take reports whether n units may pass now, and counts them if so.
func (b *bucket) take(now time.Time, n, rate, burst float64) bool {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.used = max(0, b.used-d*rate)
		b.at = now
	}
	if b.used+n > burst {
		return false
	}
	b.used += n
	return true
}
