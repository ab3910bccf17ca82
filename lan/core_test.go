package lan

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var home = Link{Index: 2, Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.5/24")}}

// A bench is a core with what it said and found.
type bench struct {
	t     testing.TB
	c     *core
	now   time.Time
	sent  []message
	bytes int
	found []Found
	say   []Announcement
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, now: noon, say: []Announcement{{Sealed, []byte("hello")}}}
	b.c = newCore(4444, func([]netip.AddrPort) []Announcement { return b.say }, func(f Found) { b.found = append(b.found, f) })
	return b
}

func (b *bench) drain() {
	for p, ok := b.c.poll(); ok; p, ok = b.c.poll() {
		m, err := parseMessage(p.b)
		if err != nil || p.link != home.Index {
			b.t.Fatalf("it sends %+v, %v", p, err)
		}
		b.sent = append(b.sent, m)
		b.bytes += len(p.b)
	}
}

// run lets time pass.
func (b *bench) run(d time.Duration) {
	end := b.now.Add(d)
	for b.drain(); ; b.drain() {
		next := b.c.next()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(b.now) {
			b.now = next
		}
		b.c.timeout(b.now)
	}
	b.now = end
}

// take counts what was sent since the last take.
func (b *bench) take() (queries, announced, gone int) {
	for _, m := range b.sent {
		if m.query {
			queries++
		}
		for _, e := range m.entries {
			if e.gone {
				gone++
			} else {
				announced++
			}
		}
	}
	b.sent, b.bytes = nil, 0
	return queries, announced, gone
}

func (b *bench) hear(from string, packet []byte) {
	b.c.handle(b.now, home.Index, at(from), packet)
}

func somebody(i int, addr string) entry {
	return entry{Announcement{Sealed, []byte(fmt.Sprint("body", i))}, fmt.Sprintf("%016x", i), []netip.AddrPort{at(addr)}, false}
}

func TestAnnounceAndRotate(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.run(10 * time.Second)
	if q, a, g := b.take(); q != len(queryAt) || a != len(announceAt) || g != 0 {
		t.Errorf("at the start %d queries, %d announcements, %d ends; want %d, %d, 0", q, a, g, len(queryAt), len(announceAt))
	}
	name := b.c.links[home.Index].own[0].instance
	b.run(rotateEvery)
	if _, a, g := b.take(); a != len(announceAt) || g != 1 {
		t.Errorf("within %v %d announcements and %d ends, want %d and 1", rotateEvery, a, g, len(announceAt))
	}
	if b.c.links[home.Index].own[0].instance == name {
		t.Error("the name stays")
	}
	b.run(24 * time.Hour)
	if b.bytes > 1<<20 {
		t.Errorf("%d bytes a day on an idle link, want at most 1 MiB", b.bytes)
	}
	b.take()
	b.c.close()
	b.drain()
	if _, _, g := b.take(); g != 1 {
		t.Errorf("%d ends at the end, want 1", g)
	}
}

// Questions get one answer a second, to the group, whatever their number; none
// if the asker knows it, asks by unicast, or is of another network.
func TestNoAmplification(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.run(10 * time.Second)
	b.take()
	q, err := appendQuery(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 * 40 {
		b.hear("192.168.1.9:5353", q)
		b.run(25 * time.Millisecond)
	}
	if _, a, _ := b.take(); a < 5 || a > 11 {
		t.Errorf("%d answers to 10 s of questions, want one a second", a)
	}
	b.run(2 * time.Second)
	b.take()
	b.hear("192.168.1.9:40000", q)
	b.hear("11.0.0.1:5353", q)
	known, err := appendQuery(nil, []string{b.c.links[home.Index].own[0].instance})
	if err != nil {
		t.Fatal(err)
	}
	b.hear("192.168.1.9:5353", known)
	b.run(5 * time.Second)
	if _, a, _ := b.take(); a != 0 {
		t.Errorf("%d answers, want 0", a)
	}
}

func TestFindAndLose(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.run(time.Minute)
	x := somebody(1, "192.168.1.9:5")
	b.hear("192.168.1.9:5353", encode(t, x))
	b.hear("192.168.1.9:5353", encode(t, x)) // again: no news
	if len(b.found) != 1 || b.found[0].Gone || !bytes.Equal(b.found[0].Body, x.Body) || !slices.Equal(b.found[0].Near, x.addrs) {
		t.Fatalf("found %+v", b.found)
	}
	b.hear("192.168.1.9:5353", encode(t, entry{x.Announcement, x.instance, []netip.AddrPort{at("192.168.1.77:5")}, false}))
	if len(b.found) != 2 || b.found[1].Near[0].Addr() != netip.MustParseAddr("192.168.1.77") {
		t.Errorf("another address: found %+v", b.found)
	}
	gone := x
	gone.gone = true
	b.hear("192.168.1.9:5353", encode(t, gone))
	if len(b.found) != 3 || !b.found[2].Gone {
		t.Errorf("a goodbye: found %+v", b.found)
	}
	b.hear("192.168.1.9:5353", encode(t, x))
	b.run(entryTTL)
	if len(b.found) != 5 || !b.found[4].Gone {
		t.Errorf("after its time: found %+v", b.found)
	}
	// Asked for and not there any more.
	b.hear("192.168.1.9:5353", encode(t, x))
	b.hear("192.168.1.8:5353", encode(t, somebody(2, "192.168.1.8:5")))
	b.c.query(b.now, 2*time.Second)
	b.run(time.Second)
	b.hear("192.168.1.8:5353", encode(t, somebody(2, "192.168.1.8:5")))
	b.run(5 * time.Second)
	if n := len(b.c.links[home.Index].seen); n != 1 {
		t.Errorf("%d are there after a query that one answered", n)
	}
}

// Addresses of other networks are not believed: nobody is sent elsewhere.
func TestForeignAddresses(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.hear("192.168.1.9:5353", encode(t, somebody(1, "11.0.0.1:53")))
	if len(b.found) != 0 {
		t.Errorf("found %+v", b.found)
	}
	two := somebody(2, "192.168.1.9:5")
	two.addrs = sorted(append(two.addrs, at("11.0.0.1:5")))
	b.hear("192.168.1.9:5353", encode(t, two))
	if len(b.found) != 1 || !slices.Equal(b.found[0].Near, []netip.AddrPort{at("192.168.1.9:5")}) {
		t.Errorf("found %+v, want the near one of its addresses", b.found)
	}
}

// A flood is bounded in work and memory, and pushes nobody out.
func TestFlood(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.run(time.Minute)
	b.hear("192.168.1.9:5353", encode(t, somebody(1, "192.168.1.9:5")))
	b.found = nil
	for i := range 20000 {
		b.hear("192.168.1.66:5353", encode(t, somebody(1000+i, "192.168.1.66:5")))
		b.run(time.Millisecond)
	}
	s := b.c.links[home.Index]
	if len(s.seen) > maxEntries {
		t.Errorf("%d remembered, want at most %d", len(s.seen), maxEntries)
	}
	looked := 0
	for _, f := range b.found {
		if !f.Gone {
			looked++
		}
	}
	if most := packetBurst + 20*packetRate + 1; looked > most {
		t.Errorf("%d of 20000 in 20 s were looked at, want at most %d", looked, most)
	}
	if s.seen[fmt.Sprintf("%016x", 1)] == nil {
		t.Error("the flood pushed somebody out")
	}
}

// Spec §5.25.3: other addresses are announced at once, under another name.
func TestLinkChange(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.run(time.Minute)
	b.hear("192.168.1.9:5353", encode(t, somebody(1, "192.168.1.9:5")))
	b.take()
	moved := home
	moved.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.7.0.3/16")}
	b.c.setLinks(b.now, []Link{moved})
	b.c.timeout(b.now)
	b.drain()
	if q, a, _ := b.take(); q != 1 || a != 1 {
		t.Errorf("at once %d queries and %d announcements, want 1 and 1", q, a)
	}
	if n := len(b.found); n != 2 || !b.found[1].Gone {
		t.Errorf("who was found on the old network stays: %+v", b.found)
	}
	b.c.setLinks(b.now, nil)
	b.c.timeout(b.now)
	b.drain()
	if next := b.c.next(); !next.IsZero() {
		t.Errorf("without a link it wakes at %v", next)
	}
}

func TestOwnIsNotFound(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.hear("192.168.1.5:5353", encode(t, b.c.links[home.Index].own[0]))
	if len(b.found) != 0 {
		t.Errorf("it finds itself: %+v", b.found)
	}
}

// What was heard before anybody looked for it is told when somebody does, and what
// has changed is announced: many changes at a time are one (spec §5.25.3).
func TestChange(t *testing.T) {
	b := newBench(t)
	b.c.setLinks(b.now, []Link{home})
	b.run(time.Minute)
	packet, err := appendEntry(nil, somebody(1, "192.168.1.9:1"))
	if err != nil {
		t.Fatal(err)
	}
	b.hear("192.168.1.9:5353", packet)
	if len(b.found) != 1 {
		t.Fatalf("got %d found, want 1", len(b.found))
	}
	b.take()
	for range 50 {
		b.c.change(b.now)
	}
	b.run(time.Minute)
	queries, announced, gone := b.take()
	if len(b.found) != 2 || fmt.Sprint(b.found[0]) != fmt.Sprint(b.found[1]) {
		t.Errorf("got %+v, want the same twice", b.found)
	}
	if queries != len(queryAt) || announced != len(announceAt) || gone != 1 {
		t.Errorf("got %d queries, %d announcements, %d taken back, want %d, %d, 1", queries, announced, gone, len(queryAt), len(announceAt))
	}
}
