package peers

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// A peer is one implementation: a pair of devices with a session, answered once.
type peer interface {
	// encrypt makes a message of a to b, one more in its chain.
	encrypt(plain []byte) (msg []byte)
	// decrypt reads it at b.
	decrypt(msg []byte) (plain []byte, err error)
	// swap exchanges a and b.
	swap()
	// state is what b stores, and restore loads it.
	state() []byte
	restore(state []byte)
}

// race runs two operations that time themselves, in turns, for about d. Each
// returns the time of one call, without what comes before and after it.
func race(d time.Duration, op, base func() time.Duration) (opTime, baseTime time.Duration, ratio float64) {
	var ratios []float64
	var a, b []time.Duration
	turns := 0
	for end := time.Now().Add(d); turns < 4 || time.Now().Before(end); turns++ {
		x, y := op(), base()
		if turns == 0 {
			continue // buffers grow
		}
		a, b = append(a, x), append(b, y)
		ratios = append(ratios, float64(y)/float64(x))
	}
	return median(a), median(b), median(ratios)
}

// duel calls op and base in turns of n, for about d, and returns the
// medians over the turns: the time of one call of each, and the ratio base by op.
func duel(d time.Duration, n int, op, base func(n int)) (opTime, baseTime time.Duration, ratio float64) {
	var ratios []float64
	var a, b []time.Duration
	turns := 0
	for end := time.Now().Add(d); turns < 3 || time.Now().Before(end); turns++ {
		t0 := time.Now()
		op(n)
		t1 := time.Now()
		base(n)
		t2 := time.Now()
		if turns == 0 {
			continue // buffers grow
		}
		a, b = append(a, t1.Sub(t0)), append(b, t2.Sub(t1))
		ratios = append(ratios, float64(t2.Sub(t1))/float64(t1.Sub(t0)))
	}
	return median(a) / time.Duration(n), median(b) / time.Duration(n), median(ratios)
}

func figure(name string, ratio float64, against string) {
	fmt.Printf("figure: ratchet.%s %.3g times-faster %s\n", name, ratio, against)
}

// span is how long one comparison takes: SREMP_BENCH_SPAN, or 300 ms.
func span(t *testing.T) time.Duration {
	s := os.Getenv("SREMP_BENCH_SPAN")
	if s == "" {
		return 300 * time.Millisecond
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type end struct {
	local *identity.Local
	store *ratchet.PrekeyStore
	peer  *ratchet.Peer
}

type ours struct {
	t    testing.TB
	now  time.Time
	a, b *end
	got  []byte
	msg  []byte
}

func newOurs(t testing.TB) *ours {
	p := &ours{t: t, now: time.Now()}
	for _, e := range []**end{&p.a, &p.b} {
		l, _, err := identity.NewLocal("peer", p.now)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ratchet.NewPrekeyStore(l, p.now, 1)
		if err != nil {
			t.Fatal(err)
		}
		*e = &end{local: l, store: s}
	}
	p.agree()
	return p
}

// agree makes a session with a new agreement and reads its first message.
func (p *ours) agree() {
	bundle, err := ratchet.ParseBundle(p.b.store.Bundle(), p.b.local.PeerID(), p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.a.peer, err = ratchet.Initiate(p.now, p.a.local, bundle, nil, [32]byte{}); err != nil {
		p.t.Fatal(err)
	}
	msg := p.encrypt([]byte("?"))
	if p.b.peer, _, _, err = ratchet.Accept(p.now, p.b.local, p.b.store, [32]byte{}, msg); err != nil {
		p.t.Fatal(err)
	}
	p.swap()
	p.must(p.encrypt([]byte("!")))
	p.swap()
	p.must(p.encrypt([]byte("a step")))
}

func (p *ours) encrypt(plain []byte) []byte {
	msg, err := p.a.peer.Encrypt(p.msg[:0], plain)
	if err != nil {
		p.t.Fatal(err)
	}
	p.msg = msg
	return msg
}

func (p *ours) decrypt(msg []byte) ([]byte, error) {
	return p.b.peer.AppendDecrypt(p.got[:0], p.now, p.b.local, p.b.store, [32]byte{}, msg)
}

func (p *ours) must(msg []byte) {
	got, err := p.decrypt(msg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.got = got
}

func (p *ours) swap() { p.a, p.b = p.b, p.a }

func (p *ours) state() []byte {
	state, err := p.b.peer.MarshalBinary()
	if err != nil {
		p.t.Fatal(err)
	}
	return state
}

func (p *ours) restore(state []byte) {
	var err error
	if p.b.peer, err = ratchet.ParsePeer(state); err != nil {
		p.t.Fatal(err)
	}
}
