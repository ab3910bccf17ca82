package lan

import (
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Tuning and limits (spec §5.25.3).
const (
	// rotateEvery is how long an announcement keeps its name.
	rotateEvery = 15 * time.Minute
	// A query is answered after a moment, in which another's answer or query may
	// come (RFC 6762, section 6), and at most once in answerGap.
	minAnswerWait = 20 * time.Millisecond
	maxAnswerWait = 120 * time.Millisecond
	answerGap     = time.Second
	// Packets that are looked at on one link: rate a second, burst at a time.
	// changeSettle gathers changes of what is announced, or looked for.
	changeSettle = 100 * time.Millisecond
	packetRate   = 50
	packetBurst  = 100
	maxEntries   = 64 // remembered for each link
	maxOwn       = 20 // announcements on each link
	maxLinks     = 16
)

// announceAt and queryAt are when announcements and queries go out after the
// network, or what is announced, has changed: packets are lost.
var (
	announceAt = []time.Duration{0, time.Second}
	queryAt    = []time.Duration{0, time.Second, 4 * time.Second}
)

// A Link is one of this machine's networks.
type Link struct {
	Index    int
	Name     string
	Prefixes []netip.Prefix // our addresses, with the lengths of their networks
}

func (l Link) equal(o Link) bool {
	return l.Index == o.Index && slices.Equal(l.Prefixes, o.Prefixes)
}

// on reports whether an address is of this network.
func (l Link) on(a netip.Addr) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Masked().Contains(a) })
}

// Found is an announcement of somebody.
type Found struct {
	Announcement
	Interface string
	Addrs     []netip.AddrPort // as announced: sealed bodies are bound to them
	Near      []netip.AddrPort // of them, those on the network of the interface
	Gone      bool             // it is taken back, or has ended; Body is what it was
}

// core decides what is sent and what is told. One goroutine owns it.
type core struct {
	port     uint16
	announce func(addrs []netip.AddrPort) []Announcement
	found    func(Found)
	links    map[int]*linkState
	out      []packet
	changeAt time.Time // when update is due; zero: never
}

// A packet goes to the group on one link.
type packet struct {
	link int
	b    []byte
}

// A linkState is what is known of one link.
type linkState struct {
	Link
	own      []entry
	rotateAt time.Time
	say      []time.Time // when announcements are due, ascending
	ask      []time.Time // when queries are
	answerAt time.Time   // zero: nobody asked
	answered time.Time

	tokens  float64 // of packets to look at
	tokenAt time.Time
	seen    map[string]*seenEntry // by instance
}

type seenEntry struct {
	entry
	at    time.Time
	until time.Time
	doubt time.Time // if not announced again until then it is gone; zero: no doubt
}

func newCore(port uint16, announce func([]netip.AddrPort) []Announcement, found func(Found)) *core {
	return &core{port: port, announce: announce, found: found, links: map[int]*linkState{}}
}

// setLinks replaces the links. What is new or has other addresses is told of us,
// and asked.
func (c *core) setLinks(now time.Time, links []Link) {
	links = links[:min(len(links), maxLinks)]
	for i, s := range c.links {
		if !slices.ContainsFunc(links, s.equal) {
			c.drop(s)
			delete(c.links, i)
		}
	}
	for _, l := range links {
		if c.links[l.Index] != nil {
			continue
		}
		s := &linkState{Link: l, tokens: packetBurst, tokenAt: now, seen: map[string]*seenEntry{}}
		c.links[l.Index] = s
		c.rotate(now, s)
		s.ask = times(now, queryAt)
	}
}

// drop ends what was known of a link that is no longer there.
func (c *core) drop(s *linkState) {
	for _, e := range s.seen {
		c.lost(s, e)
	}
}

func times(now time.Time, after []time.Duration) (out []time.Time) {
	for _, d := range after {
		out = append(out, now.Add(d))
	}
	return out
}

// change has update follow in a moment: several changes are one.
func (c *core) change(now time.Time) {
	if c.changeAt.IsZero() {
		c.changeAt = now.Add(changeSettle)
	}
}

// update announces anew, and tells again which sealed bodies were heard before: what
// is announced has changed, or for whom they are opened.
func (c *core) update(now time.Time) {
	c.changeAt = time.Time{}
	for _, s := range c.links {
		c.rotate(now, s)
		for _, e := range s.seen {
			if e.Kind == Sealed {
				c.tell(s, e.entry)
			}
		}
		s.ask = times(now, queryAt)
	}
}

func (c *core) tell(s *linkState, e entry) {
	c.found(Found{Announcement: e.Announcement, Interface: s.Name, Addrs: e.addrs, Near: s.near(e)})
}

// rotate replaces a link's announcements by others with new names.
func (c *core) rotate(now time.Time, s *linkState) {
	c.takeBack(s)
	s.own = nil
	var addrs []netip.AddrPort
	for _, p := range s.Prefixes {
		if a := p.Addr(); !a.IsLinkLocalUnicast() || a.Is4() {
			addrs = append(addrs, netip.AddrPortFrom(a, c.port))
		}
	}
	addrs = sorted(addrs)
	addrs = addrs[:min(len(addrs), maxAddrs)]
	s.rotateAt = now.Add(rotateEvery - mathrand.N(rotateEvery/4))
	if len(addrs) == 0 {
		return
	}
	for _, a := range c.announce(addrs) {
		if len(s.own) < maxOwn && len(a.Body) > 0 && len(a.Body) <= MaxBody {
			var name [instanceLen / 2]byte
			rand.Read(name[:])
			s.own = append(s.own, entry{Announcement: a, instance: hex.EncodeToString(name[:]), addrs: addrs})
		}
	}
	s.say = times(now, announceAt)
}

// takeBack says that the announcements of a link end.
func (c *core) takeBack(s *linkState) {
	for _, e := range s.own {
		e.gone = true
		if b, err := appendEntry(nil, e); err == nil {
			c.out = append(c.out, packet{s.Index, b})
		}
	}
}

// query asks everybody. Who was known and does not answer within wait is gone;
// wait 0 leaves them.
func (c *core) query(now time.Time, wait time.Duration) {
	for _, s := range c.links {
		s.ask = []time.Time{now, now.Add(wait / 2)}
		for _, e := range s.seen {
			if wait > 0 && e.doubt.IsZero() {
				e.doubt = now.Add(wait)
			}
		}
	}
}

// close takes everything back.
func (c *core) close() {
	for _, s := range c.links {
		c.takeBack(s)
		s.own = nil
	}
}

// handle takes a packet that came on a link.
func (c *core) handle(now time.Time, link int, from netip.AddrPort, b []byte) {
	s := c.links[link]
	// Others than multicast DNS itself ask from another port, and want an answer
	// for themselves: they get none. Nobody of another network is heard.
	if s == nil || from.Port() != mdnsPort || !s.on(from.Addr()) && !from.Addr().IsLinkLocalUnicast() || !s.spend(now) {
		return
	}
	m, err := parseMessage(b)
	if err != nil {
		return
	}
	if m.query && len(s.own) > 0 && s.answerAt.IsZero() &&
		slices.ContainsFunc(s.own, func(e entry) bool { return !slices.Contains(m.known, e.instance) }) {
		s.answerAt = now.Add(minAnswerWait + mathrand.N(maxAnswerWait-minAnswerWait))
		if at := s.answered.Add(answerGap); s.answerAt.Before(at) {
			s.answerAt = at
		}
	}
	for _, e := range m.entries {
		c.learn(now, s, e)
	}
}

// spend takes one packet off the rate.
func (s *linkState) spend(now time.Time) bool {
	s.tokens = min(s.tokens+max(now.Sub(s.tokenAt), 0).Seconds()*packetRate, packetBurst)
	s.tokenAt = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// learn takes an announcement. Addresses of other networks are dropped: whoever
// is here has one of this network.
func (c *core) learn(now time.Time, s *linkState, e entry) {
	if slices.ContainsFunc(s.own, func(o entry) bool { return o.instance == e.instance }) {
		return
	}
	old := s.seen[e.instance]
	if e.gone {
		if old != nil {
			delete(s.seen, e.instance)
			c.lost(s, old)
		}
		return
	}
	if len(s.near(e)) == 0 {
		return
	}
	if old != nil && old.Kind == e.Kind && slices.Equal(old.Body, e.Body) && slices.Equal(old.addrs, e.addrs) {
		old.at, old.until, old.doubt = now, now.Add(entryTTL), time.Time{}
		return
	}
	if old == nil && len(s.seen) >= maxEntries {
		c.evict(s)
	}
	s.seen[e.instance] = &seenEntry{entry: e, at: now, until: now.Add(entryTTL)}
	c.tell(s, e)
}

func (s *linkState) near(e entry) (out []netip.AddrPort) {
	for _, a := range e.addrs {
		if s.on(a.Addr()) {
			out = append(out, a)
		}
	}
	return out
}

// evict makes room: of the address with the most announcements, the oldest goes,
// so that one machine cannot push out the others.
func (c *core) evict(s *linkState) {
	count := map[netip.Addr]int{}
	for _, e := range s.seen {
		count[e.addrs[0].Addr()]++
	}
	var worst *seenEntry
	for _, e := range s.seen {
		n := count[e.addrs[0].Addr()]
		if worst == nil || n > count[worst.addrs[0].Addr()] || n == count[worst.addrs[0].Addr()] && e.at.Before(worst.at) {
			worst = e
		}
	}
	delete(s.seen, worst.instance)
	c.lost(s, worst)
}

func (c *core) lost(s *linkState, e *seenEntry) {
	c.found(Found{Announcement: e.Announcement, Interface: s.Name, Addrs: e.addrs, Near: s.near(e.entry), Gone: true})
}

// timeout does what is due.
func (c *core) timeout(now time.Time) {
	if !c.changeAt.IsZero() && !now.Before(c.changeAt) {
		c.update(now)
	}
	for _, s := range c.links {
		if !now.Before(s.rotateAt) {
			c.rotate(now, s)
		}
		said := due(&s.say, now)
		if !s.answerAt.IsZero() && !now.Before(s.answerAt) || said {
			s.answerAt, s.answered = time.Time{}, now
			for _, e := range s.own {
				if b, err := appendEntry(nil, e); err == nil && len(b) <= maxMessage {
					c.out = append(c.out, packet{s.Index, b})
				}
			}
		}
		if due(&s.ask, now) {
			if b, err := appendQuery(nil, s.certain()); err == nil {
				c.out = append(c.out, packet{s.Index, b})
			}
		}
		for i, e := range s.seen {
			if !now.Before(e.until) || !e.doubt.IsZero() && !now.Before(e.doubt) {
				delete(s.seen, i)
				c.lost(s, e)
			}
		}
	}
}

// certain returns the instances that need not be told again.
func (s *linkState) certain() (out []string) {
	for i, e := range s.seen {
		if e.doubt.IsZero() {
			out = append(out, i)
		}
	}
	return out
}

// due takes all moments that have come off a list.
func due(ts *[]time.Time, now time.Time) (any bool) {
	for len(*ts) > 0 && !now.Before((*ts)[0]) {
		*ts, any = (*ts)[1:], true
	}
	return any
}

// next returns when timeout has something to do; zero: never.
func (c *core) next() (next time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(c.changeAt)
	for _, s := range c.links {
		earlier(s.rotateAt)
		earlier(s.answerAt)
		for _, l := range [][]time.Time{s.say, s.ask} {
			if len(l) > 0 {
				earlier(l[0])
			}
		}
		for _, e := range s.seen {
			earlier(e.until)
			earlier(e.doubt)
		}
	}
	return next
}

// poll returns the next packet to send.
func (c *core) poll() (packet, bool) {
	if len(c.out) == 0 {
		return packet{}, false
	}
	p := c.out[0]
	c.out = c.out[1:]
	return p, true
}
