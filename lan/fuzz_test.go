package lan

import (
	"testing"
	"time"
)

// Whatever is said on the network: what is remembered and answered stays bounded,
// and everything that was found and lost again leaves nothing.
func FuzzCore(f *testing.F) {
	q, err := appendQuery(nil, []string{"00112233aabbccdd"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q, uint8(1))
	f.Add(encode(f, somebody(1, "192.168.1.7:4444")), uint8(3))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, packet []byte, times uint8) {
		b := newBench(t)
		b.c.setLinks(b.now, []Link{home})
		for range int(times%8) + 1 {
			b.hear("192.168.1.7:5353", packet)
			b.run(time.Second)
		}
		for _, s := range b.c.links {
			if len(s.seen) > maxEntries {
				t.Errorf("%d entries are remembered, want %d at most", len(s.seen), maxEntries)
			}
		}
		b.run(3 * entryTTL)
		for _, s := range b.c.links {
			if len(s.seen) != 0 {
				t.Errorf("%d entries outlive their time", len(s.seen))
			}
		}
	})
}
