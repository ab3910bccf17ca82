//go:build linux

package natlab

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Conditions are what happens to packets on their way. The zero value harms none.
type Conditions struct {
	Delay   time.Duration // one way
	Jitter  time.Duration // up to this more, in order
	Loss    float64       // 0 to 1
	Reorder float64       // 0 to 1: held back for another Delay/2
	Rate    int           // bits a second of each destination, 0: no limit
	MTU     int           // longer packets are lost, 0: none
}

// maxQueue bounds what waits for a limited rate, as time.
const maxQueue = 100 * time.Millisecond

// A Forwarder carries the packets between the numbers of a World, as the
// internet does.
type Forwarder struct {
	sites  [256]atomic.Pointer[os.File]
	filter atomic.Pointer[func(from, to byte, packet []byte) bool]
	wake   chan struct{} // holds one token after an earlier packet came to queue
	ended  chan struct{}
	wg     sync.WaitGroup

	mu    sync.Mutex
	c     Conditions
	queue delayed
	seq   uint64
	free  [256]time.Time // when the destination's link is idle
	last  [256]time.Time // when the last packet in order arrives there
}

type delayedPacket struct {
	at  time.Time
	seq uint64
	to  *os.File
	b   []byte
}

// delayed is a heap by time.
type delayed []delayedPacket

func (d delayed) Len() int { return len(d) }
func (d delayed) Less(i, j int) bool {
	return d[i].at.Before(d[j].at) || d[i].at.Equal(d[j].at) && d[i].seq < d[j].seq
}
func (d delayed) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *delayed) Push(x any)   { *d = append(*d, x.(delayedPacket)) }
func (d *delayed) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	(*d)[last] = delayedPacket{}
	*d = (*d)[:last]
	return x
}

func newForwarder(c Conditions) *Forwarder {
	f := &Forwarder{c: c, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	f.wg.Go(f.deliver)
	return f
}

// openTUN makes the TUN device "wan" in a site.
func openTUN(s *Site) (f *os.File, err error) {
	err = s.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		req, err := unix.NewIfreq("wan")
		if err == nil {
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
		f = os.NewFile(uintptr(fd), "tun")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("making a TUN device: %w", err)
	}
	return f, nil
}

func (f *Forwarder) attach(n byte, tun *os.File) {
	f.sites[n].Store(tun)
	f.wg.Go(func() {
		b := make([]byte, 1<<16)
		for {
			k, err := tun.Read(b)
			if err != nil {
				return // closed
			}
			f.carry(n, b[:k])
		}
	})
}

// Set changes the conditions for packets from now on.
func (f *Forwarder) Set(c Conditions) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.c = c
}

// Filter shows every packet (IP header first) with the numbers of its sender
// and its destination to pass, which decides whether it goes on. pass must not
// keep it, and is called by several goroutines. nil ends that.
func (f *Forwarder) Filter(pass func(from, to byte, packet []byte) bool) {
	if pass == nil {
		f.filter.Store(nil)
		return
	}
	f.filter.Store(&pass)
}

// destination returns a packet's number, 0 if it has none.
func destination(b []byte) byte {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[16] == 11:
		return b[18]
	case len(b) >= 40 && b[0]>>4 == 6 && b[24] == 0x2a && b[25] == 0x0e:
		return b[29]
	}
	return 0
}

// internetHops is how many routers the forwarder stands for.
const internetHops = 8

// age takes the hops off a packet's life. It reports whether it is still alive.
func age(b []byte) bool {
	if b[0]>>4 == 6 {
		if b[7] <= internetHops {
			return false
		}
		b[7] -= internetHops
		return true
	}
	if b[8] <= internetHops {
		return false
	}
	b[8] -= internetHops
	sum := uint32(b[10])<<8 | uint32(b[11])
	sum += internetHops << 8 // RFC 1624
	sum = sum&0xffff + sum>>16
	b[10], b[11] = byte(sum>>8), byte(sum)
	return true
}

// schedule says when a packet of some length arrives at a number, if it does.
func (f *Forwarder) schedule(now time.Time, to byte, length int) (at time.Time, ok bool) {
	c := f.c
	if c.Loss > 0 && rand.Float64() < c.Loss || c.MTU > 0 && length > c.MTU {
		return at, false
	}
	at = now
	if c.Rate > 0 {
		if f.free[to].Before(now) {
			f.free[to] = now
		}
		if f.free[to].Sub(now) > maxQueue {
			return at, false
		}
		f.free[to] = f.free[to].Add(time.Duration(length) * 8 * time.Second / time.Duration(c.Rate))
		at = f.free[to]
	}
	at = at.Add(c.Delay)
	if c.Jitter > 0 {
		at = at.Add(rand.N(c.Jitter))
		if at.Before(f.last[to]) {
			at = f.last[to]
		}
		f.last[to] = at
	}
	if c.Reorder > 0 && rand.Float64() < c.Reorder {
		at = at.Add(c.Delay / 2)
	}
	return at, true
}

func (f *Forwarder) carry(from byte, b []byte) {
	to := destination(b)
	tun := f.sites[to].Load()
	if tun == nil || !age(b) {
		return
	}
	if pass := f.filter.Load(); pass != nil && !(*pass)(from, to, b) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.schedule(time.Now(), to, len(b))
	if !ok {
		return
	}
	f.seq++
	heap.Push(&f.queue, delayedPacket{at, f.seq, tun, append([]byte(nil), b...)})
	if f.queue[0].seq == f.seq {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func (f *Forwarder) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		wait := time.Hour
		f.mu.Lock()
		for len(f.queue) > 0 {
			if d := f.queue[0].at.Sub(now); d > 0 {
				wait = d
				break
			}
			p := heap.Pop(&f.queue).(delayedPacket)
			_, _ = p.to.Write(p.b) // a host that is gone loses packets
		}
		f.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-f.wake:
		case <-f.ended:
			return
		}
	}
}

// Close ends the forwarder and its devices.
func (f *Forwarder) Close() {
	close(f.ended)
	for i := range f.sites {
		if tun := f.sites[i].Load(); tun != nil {
			_ = tun.Close() // nothing is lost
		}
	}
	f.wg.Wait()
}

// UDP returns source and destination of a UDP packet, and its payload.
func UDP(packet []byte) (src, dst netip.AddrPort, payload []byte, ok bool) {
	var s, d netip.Addr
	var head int
	switch {
	case len(packet) >= 28 && packet[0]>>4 == 4 && packet[9] == unix.IPPROTO_UDP:
		head = int(packet[0]&15) * 4
		s, d = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
	case len(packet) >= 48 && packet[0]>>4 == 6 && packet[6] == unix.IPPROTO_UDP:
		head = 40
		s, d = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
	default:
		return src, dst, nil, false
	}
	if len(packet) < head+8 {
		return src, dst, nil, false
	}
	u := packet[head:]
	src = netip.AddrPortFrom(s, uint16(u[0])<<8|uint16(u[1]))
	dst = netip.AddrPortFrom(d, uint16(u[2])<<8|uint16(u[3]))
	return src, dst, u[8:], true
}
