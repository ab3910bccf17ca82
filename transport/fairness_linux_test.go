package transport

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oneWay routes each packet to the address that its first bytes number.
type oneWay struct{ unsent int }

func (*oneWay) Route(_ int, _ time.Time, _ netip.AddrPort, packet []byte) netip.AddrPort {
	return fairTarget(int(packet[0]))
}

func (r *oneWay) Unsent(_, packets int) { r.unsent += packets }

func fairTarget(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 1000)
}

// A socket that takes less than comes gives each session its share: one at full
// blast gets what the others leave, and they all of theirs.
func TestForwardIsFair(t *testing.T) {
	r := &oneWay{}
	m := newMux(listenIn(t, "udp4", "127.0.0.1:0"))
	f := newForwarder(-1, 0, r, m)
	const perRound, capacity = 1200, 24_000 // bytes: of each quiet session, of the socket
	room := 0
	sent := map[byte]int{}
	f.write = func(out []mmsghdr) (int, unix.Errno) {
		if room <= 0 {
			return 0, unix.EAGAIN
		}
		// The number of the session is the last byte of the address.
		addr := (*unix.RawSockaddrInet4)(unsafe.Pointer(out[0].hdr.Name))
		size := 0
		for _, v := range unsafe.Slice(out[0].hdr.Iov, out[0].hdr.Iovlen) {
			size += int(v.Len)
		}
		room -= size
		sent[addr.Addr[3]] += size
		return 1, 0
	}
	now := time.Now()
	packet := func(session byte, size int) []byte {
		b := make([]byte, size)
		b[0] = session
		return b
	}
	const rounds = 200
	for range rounds {
		now = now.Add(time.Millisecond)
		room = capacity
		f.segments, f.groups, f.index = f.segments[:0], f.groups[:0], noGroups()
		for range 100 { // the one at full blast comes first, with five times what the socket takes
			f.add(fairTarget(99), packet(99, 1200))
		}
		for s := byte(1); s <= 10; s++ {
			f.add(fairTarget(int(s)), packet(s, perRound))
		}
		f.send(now)
	}
	for s := byte(1); s <= 10; s++ {
		// The first round does not know yet that the socket is too small.
		if got := float64(sent[s]) / (rounds * perRound); got < 0.99 {
			t.Errorf("session %d sent %.3f of its packets beside one at full blast", s, got)
		}
	}
	if sent[99] == 0 || r.unsent == 0 {
		t.Errorf("the one at full blast sent %d bytes, %d packets were dropped; want some of both", sent[99], r.unsent)
	}
}

// Without pressure nobody is sorted, and groups to one address keep their order.
func TestFairnessKeepsOrder(t *testing.T) {
	var f fairness
	now := time.Now()
	a, b := fairTarget(1), fairTarget(2)
	groups := []group{{to: a, bytes: 3000, first: 0}, {to: a, bytes: 10, first: 1}, {to: b, bytes: 500, first: 2}}
	check := func(want ...int32) {
		t.Helper()
		for i, g := range groups {
			if g.first != want[i] {
				t.Fatalf("order %v, want %v", groups, want)
			}
		}
	}
	f.order(now, groups)
	check(0, 1, 2)
	f.sent(a, 1)
	f.full = now
	f.order(now, groups)
	check(2, 0, 1)
	f.order(now.Add(fairSpan), groups)
	check(2, 0, 1) // as they stood
	if f.had[fairSlot(a)] != 0 {
		t.Error("old shares count")
	}
}

func BenchmarkFairness(b *testing.B) {
	var f fairness
	now := time.Now()
	groups := make([]group, 64)
	for i := range groups {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], uint32(i))
		groups[i] = group{to: netip.AddrPortFrom(netip.AddrFrom4(a), 1), bytes: 1200}
	}
	for b.Loop() {
		f.full = now
		f.order(now, groups)
	}
}
