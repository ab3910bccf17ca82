//go:build linux

package natlab

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSchedule: what the conditions say about when packets arrive, exactly.
func TestSchedule(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	const n = 10_000
	// run gives the arrivals of n packets of 1000 bytes, 1 ms apart, and how many were lost.
	run := func(c Conditions, every time.Duration) (late []time.Duration, lost int) {
		f := &Forwarder{c: c}
		for i := range n {
			now := start.Add(time.Duration(i) * every)
			at, ok := f.schedule(now, 1, 1000)
			if !ok {
				lost++
				continue
			}
			late = append(late, at.Sub(now))
		}
		return late, lost
	}
	share := func(k int) float64 { return float64(k) / n }

	t.Run("delay", func(t *testing.T) {
		late, lost := run(Conditions{Delay: 20 * time.Millisecond}, time.Millisecond)
		if lost != 0 || slices.Min(late) != 20*time.Millisecond || slices.Max(late) != 20*time.Millisecond {
			t.Errorf("%v to %v, %d lost; want exactly 20ms, 0 lost", slices.Min(late), slices.Max(late), lost)
		}
	})
	t.Run("jitter", func(t *testing.T) {
		late, lost := run(Conditions{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}, 20*time.Millisecond)
		if lost != 0 || slices.Min(late) < 20*time.Millisecond || slices.Max(late) >= 30*time.Millisecond {
			t.Errorf("%v to %v, %d lost; want within 20ms to 30ms, 0 lost", slices.Min(late), slices.Max(late), lost)
		}
		var sum time.Duration
		for _, d := range late {
			sum += d
		}
		if mean := sum / n; mean < 24500*time.Microsecond || mean > 25500*time.Microsecond {
			t.Errorf("mean %v, want 25ms", mean)
		}
	})
	t.Run("jitter keeps the order", func(t *testing.T) {
		late, _ := run(Conditions{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}, time.Millisecond)
		for i := 1; i < len(late); i++ {
			if late[i] < late[i-1]-time.Millisecond {
				t.Fatalf("packet %d overtakes", i)
			}
		}
	})
	t.Run("loss", func(t *testing.T) {
		if _, lost := run(Conditions{Loss: 0.05}, time.Millisecond); share(lost) < 0.04 || share(lost) > 0.06 {
			t.Errorf("%g lost, want 0.05", share(lost))
		}
	})
	t.Run("reordering", func(t *testing.T) {
		late, _ := run(Conditions{Delay: 20 * time.Millisecond, Reorder: 0.1}, time.Millisecond)
		held := 0
		for _, d := range late {
			switch d {
			case 20 * time.Millisecond:
			case 30 * time.Millisecond:
				held++
			default:
				t.Fatalf("%v, want 20ms or 30ms", d)
			}
		}
		if share(held) < 0.08 || share(held) > 0.12 {
			t.Errorf("%g held back, want 0.1", share(held))
		}
	})
	t.Run("rate", func(t *testing.T) {
		// 1000 bytes a millisecond are 8 Mbit/s: half of it gets through, after
		// a queue of 100 ms.
		late, lost := run(Conditions{Rate: 4_000_000}, time.Millisecond)
		if share(lost) < 0.48 || share(lost) > 0.5 {
			t.Errorf("%g lost, want half", share(lost))
		}
		if first, last := late[0], late[len(late)-1]; first != 2*time.Millisecond || last < 98*time.Millisecond || last > 103*time.Millisecond {
			t.Errorf("%v for the first packet, %v for the last; want 2ms and the queue's 100ms", first, last)
		}
		late, lost = run(Conditions{Rate: 8_000_000}, time.Millisecond)
		if lost != 0 || slices.Max(late) != time.Millisecond {
			t.Errorf("%d lost, %v at most at the rate itself; want 0, 1ms", lost, slices.Max(late))
		}
	})
}

// TestForwarder sees each condition through the kernel, between two hosts. A busy
// machine is slow: what it asks is never that something is fast.
func TestForwarder(t *testing.T) {
	w := world(t, Conditions{})
	if w.Net == nil {
		t.Skip("NO DELAY HERE: no TUN device")
	}
	a, b := must[*Place](t)(w.Public(1)), must[*Place](t)(w.Public(1))
	ca, cb := listen(t, a.Site, ":1"), listen(t, b.Site, ":1")
	to := netip.AddrPortFrom(b.Addr, 1)
	if err := cb.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	const delay = 20 * time.Millisecond

	t.Run("delay", func(t *testing.T) {
		w.Net.Set(Conditions{Delay: delay})
		got := send(t, ca, cb, to, 10, 100, 5*time.Millisecond)
		if best := got.fastest(); len(got.took) != 10 || best < delay {
			t.Errorf("%d of 10 arrived, one after %v; want all, none before %v", len(got.took), best, delay)
		}
		t.Logf("%v set, %v measured at best", delay, got.fastest())
	})
	t.Run("jitter", func(t *testing.T) {
		w.Net.Set(Conditions{Delay: delay, Jitter: 2 * delay})
		// Far enough apart that they do not wait for each other: none overtakes.
		got := send(t, ca, cb, to, 30, 100, delay)
		if len(got.took) != 30 || got.fastest() < delay || got.spread() < delay/2 || got.overtaken != 0 {
			t.Errorf("%d of 30, from %v on, %v between the extremes, %d overtaken; want all, from %v, more than half of it, none",
				len(got.took), got.fastest(), got.spread(), got.overtaken, delay)
		}
	})
	t.Run("reordering", func(t *testing.T) {
		w.Net.Set(Conditions{Delay: delay, Reorder: 0.2})
		got := send(t, ca, cb, to, 200, 100, time.Millisecond)
		if len(got.took) != 200 || got.overtaken == 0 || got.fastest() < delay {
			t.Errorf("%d of 200, %d overtaken, from %v on; want all, some, from %v", len(got.took), got.overtaken, got.fastest(), delay)
		}
	})
	t.Run("loss", func(t *testing.T) {
		w.Net.Set(Conditions{Loss: 0.3})
		if got := send(t, ca, cb, to, 500, 100, 100*time.Microsecond); len(got.took) < 280 || len(got.took) > 420 {
			t.Errorf("%d of 500 arrived, want 350", len(got.took))
		}
		w.Net.Set(Conditions{Loss: 1})
		if reaches(t, ca, cb, to) {
			t.Error("a packet arrived although all are lost")
		}
	})
	t.Run("rate", func(t *testing.T) {
		// 100 packets of 1000 bytes and their headers at 16 Mbit/s are 51 ms.
		w.Net.Set(Conditions{Rate: 16_000_000})
		got := send(t, ca, cb, to, 100, 1000, 0)
		if want := 99 * 1028 * 8 * time.Second / 16_000_000; len(got.took) != 100 || got.last < want {
			t.Errorf("%d of 100 in %v, want all in no less than %v", len(got.took), got.last, want)
		}
		// What comes faster than that for longer than the queue is, is lost.
		w.Net.Set(Conditions{Rate: 1_600_000})
		if got := send(t, ca, cb, to, 200, 1000, 0); len(got.took) == 200 || len(got.took) < 10 {
			t.Errorf("%d of 200 packets got through a tenth of that, want some", len(got.took))
		}
	})
	t.Run("MTU", func(t *testing.T) {
		w.Net.Set(Conditions{MTU: 1000})
		_, _ = ca.WriteToUDPAddrPort([]byte(strings.Repeat("x", 1200)), to) // must not arrive
		if !reaches(t, ca, cb, to) {
			t.Error("a short packet was lost")
		}
		if got := send(t, ca, cb, to, 3, 1200, 0); len(got.took) != 0 {
			t.Errorf("%d long packets arrived", len(got.took))
		}
	})
	t.Run("capture", func(t *testing.T) {
		w.Net.Set(Conditions{})
		seen := make(chan struct{}, 1)
		w.Net.Filter(func(from, number byte, packet []byte) bool {
			if src, dst, payload, ok := UDP(packet); ok && dst == to && src.Addr() == a.Addr && len(payload) > 0 {
				select {
				case seen <- struct{}{}:
				default:
				}
			}
			return true
		})
		defer w.Net.Filter(nil)
		if !reaches(t, ca, cb, to) {
			t.Error("a packet was lost")
		}
		select {
		case <-seen:
		default:
			t.Error("the capture did not see the packet")
		}
		w.Net.Filter(func(byte, byte, []byte) bool { return false })
		if reaches(t, ca, cb, to) {
			t.Error("a packet passed the filter")
		}
	})
}

// arrivals are what of numbered packets arrived.
type arrivals struct {
	took      []time.Duration // each one's way, in the order of arrival
	overtaken int             // how many came after one that was sent later
	last      time.Duration   // from the first sending to the last arrival
}

func (a arrivals) fastest() time.Duration {
	if len(a.took) == 0 {
		return 0
	}
	return slices.Min(a.took)
}

func (a arrivals) spread() time.Duration {
	if len(a.took) == 0 {
		return 0
	}
	return slices.Max(a.took) - slices.Min(a.took)
}

// send sends n packets of a length, and reads until none has come for a while.
func send(t *testing.T, from, to *net.UDPConn, addr netip.AddrPort, n, length int, every time.Duration) (got arrivals) {
	t.Helper()
	sent := make([]time.Time, n)
	b := make([]byte, length)
	for { // what an earlier test left
		if err := to.SetReadDeadline(time.Now().Add(probePatient)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := to.ReadFromUDPAddrPort(b); err != nil {
			break
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, length)
		for i := range sent {
			binary.BigEndian.PutUint32(b, uint32(i))
			sent[i] = time.Now()
			_, _ = from.WriteToUDPAddrPort(b, addr) // what counts is what arrives
			time.Sleep(every)
		}
	}()
	type arrival struct {
		i  int
		at time.Time
	}
	var all []arrival
	for len(all) < n {
		if err := to.SetReadDeadline(time.Now().Add(probePatient + every)); err != nil {
			t.Fatal(err)
		}
		k, _, err := to.ReadFromUDPAddrPort(b)
		if err != nil {
			break
		}
		if k == length {
			all = append(all, arrival{int(binary.BigEndian.Uint32(b)), time.Now()})
		}
	}
	<-done
	newest := -1
	for _, x := range all {
		got.took = append(got.took, x.at.Sub(sent[x.i]))
		got.last = x.at.Sub(sent[0])
		if x.i < newest {
			got.overtaken++
		}
		newest = max(newest, x.i)
	}
	return got
}
