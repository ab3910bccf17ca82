package peers

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// variant says how go.mau.fi/libsignal was built: shipped, or silent.
func variant() string {
	if v := os.Getenv("SREMP_BENCH_VARIANT"); v != "" {
		return v
	}
	return "shipped"
}

func must(t *testing.T, p peer, msg, want []byte) {
	got, err := p.decrypt(msg)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("decrypted %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// TestGo prints how many times faster this repository's ratchet is than
// go.mau.fi/libsignal, operation by operation.
func TestGo(t *testing.T) {
	us, them := newOurs(t), newMau(t)
	report := func(name string, n int, op func(p peer) func(n int)) {
		t.Run(name, func(t *testing.T) {
			a, b, ratio := duel(span(t), n, op(us), op(them))
			t.Logf("%v, theirs %v", a, b)
			figure("2."+name+"_mau_"+variant(), ratio, fmt.Sprintf("than go.mau.fi/libsignal v0.2.1 %s, %v against %v", variant(), a, b))
		})
	}
	for _, size := range []struct {
		name string
		n    int
	}{{"100B", 100}, {"1KiB", 1 << 10}, {"64KiB", 1 << 16}} {
		plain := bytes.Repeat([]byte{1}, size.n)
		turn := max(2, 1<<16/(size.n+400))
		report("encrypt_"+size.name, turn, func(p peer) func(int) {
			return func(n int) {
				for range n {
					p.encrypt(plain)
				}
			}
		})
		us, them = newOurs(t), newMau(t) // receivers that have all messages
		report("both_"+size.name, turn, func(p peer) func(int) {
			return func(n int) {
				for range n {
					must(t, p, p.encrypt(plain), plain)
				}
			}
		})
	}
	plain := bytes.Repeat([]byte{1}, 100)
	us, them = newOurs(t), newMau(t)
	report("ping_pong", 4, func(p peer) func(int) {
		return func(n int) {
			for range n {
				must(t, p, p.encrypt(plain), plain)
				p.swap()
			}
		}
	})
	us, them = newOurs(t), newMau(t)
	report("reload", 8, func(p peer) func(int) {
		return func(n int) {
			for range n {
				p.restore(p.state())
			}
		}
	})
	report("agreement", 1, func(p peer) func(int) {
		return func(n int) {
			for range n {
				p.(interface{ agree() }).agree()
			}
		}
	})
	// From here on only one call of each turn is timed.
	for _, x := range []struct {
		name string
		op   func(t *testing.T, p peer) time.Duration
	}{
		{"skip_1", skip(1)}, {"skip_100", skip(100)}, {"skip_1000", skip(1000)},
		{"late_of_1000", late}, {"forged_body", forged(-1)}, {"junk", junk},
	} {
		us, them = newOurs(t), newMau(t)
		t.Run(x.name, func(t *testing.T) {
			a, b, ratio := race(span(t), func() time.Duration { return x.op(t, us) }, func() time.Duration { return x.op(t, them) })
			t.Logf("%v, theirs %v", a, b)
			figure("2."+x.name+"_mau_"+variant(), ratio, fmt.Sprintf("than go.mau.fi/libsignal v0.2.1 %s, %v against %v", variant(), a, b))
		})
	}
}

// nodeTimed compares operations of which only one call is timed, each with the
// overhead of one call into native code taken off.
func nodeTimed(t *testing.T, node *node) {
	for _, x := range []struct {
		name, figure string
		op           func(t *testing.T, p peer) time.Duration
	}{{"skip1000", "skip_1000", skip(1000)}, {"late", "late_of_1000", late}, {"forged", "forged_body", forged(-1)}} {
		us := newOurs(t)
		var over []time.Duration
		a, b, _ := race(span(t), func() time.Duration { return x.op(t, us) }, func() time.Duration {
			const n = 5
			over = append(over, node.time("overhead", len(short), n)/n)
			return node.time(x.name, len(short), 1)
		})
		figure("2."+x.figure+"_node", float64(b-median(over))/float64(a), fmt.Sprintf(
			"than libsignal's Rust in Node, after %v of %v were taken off as call overhead; ours %v", median(over), b, a))
	}
}

// ahead returns messages of one chain.
func ahead(p peer, n int) [][]byte {
	msgs := make([][]byte, n)
	for i := range msgs {
		msgs[i] = bytes.Clone(p.encrypt(short))
	}
	return msgs
}

var short = bytes.Repeat([]byte{1}, 100)

// skip times a message before which n are missing. The state of before is
// restored, so that stored keys do not add up.
func skip(n int) func(t *testing.T, p peer) time.Duration {
	return func(t *testing.T, p peer) time.Duration {
		state, msgs := p.state(), ahead(p, n+1)
		start := time.Now()
		must(t, p, msgs[n], short)
		took := time.Since(start)
		p.restore(state)
		for _, msg := range msgs { // the chain goes on from here
			must(t, p, msg, short)
		}
		return took
	}
}

// late times a message whose key is stored with 999 others.
func late(t *testing.T, p peer) time.Duration {
	msgs := ahead(p, 1001)
	must(t, p, msgs[1000], short)
	start := time.Now()
	must(t, p, msgs[500], short)
	return time.Since(start)
}

// forged times the refusal of a message of which one byte is changed.
func forged(at int) func(t *testing.T, p peer) time.Duration {
	return func(t *testing.T, p peer) time.Duration {
		msg := bytes.Clone(p.encrypt(short))
		bad := bytes.Clone(msg)
		bad[(at+len(bad))%len(bad)] ^= 1
		return refused(t, p, bad, msg)
	}
}

// junk times the refusal of a message of another session.
func junk(t *testing.T, p peer) time.Duration {
	good := bytes.Clone(p.encrypt(short))
	bad := bytes.Clone(good)
	for i := len(bad) / 3; i < len(bad); i++ {
		bad[i] = byte(i * 151)
	}
	return refused(t, p, bad, good)
}

// refused times the refusal alone: go.mau.fi/libsignal changes its live state
// before it has checked a message, so that state is restored after each, as its
// users do who did not store it. Ours needs no restoring, and gets none.
func refused(t *testing.T, p peer, bad, good []byte) time.Duration {
	state := p.state()
	start := time.Now()
	_, err := p.decrypt(bad)
	took := time.Since(start)
	if err == nil {
		t.Fatal("a forged message was taken")
	}
	if _, ok := p.(*ours); !ok {
		p.restore(state)
	}
	must(t, p, good, short)
	return took
}

// TestNode does the same with libsignal's own code in Node, from the directory
// SREMP_LIBSIGNAL_NODE, where npm installed it.
func TestNode(t *testing.T) {
	dir := os.Getenv("SREMP_LIBSIGNAL_NODE")
	if dir == "" {
		t.Log("SREMP_LIBSIGNAL_NODE is not set: nothing to compare with")
		return
	}
	node := newNode(t, dir)
	nodeTimed(t, node)
	us := newOurs(t)
	for _, size := range []struct {
		name string
		n    int
	}{{"100B", 100}, {"64KiB", 1 << 16}} {
		plain := bytes.Repeat([]byte{1}, size.n)
		encrypt := func(n int) {
			for range n {
				us.encrypt(plain)
			}
		}
		both := func(n int) {
			for range n {
				must(t, us, us.encrypt(plain), plain)
			}
		}
		pingPong := func(n int) {
			for range n {
				must(t, us, us.encrypt(plain), plain)
				us.swap()
			}
		}
		// The overhead of one call, in turns with the calls themselves.
		for _, c := range []struct {
			name  string
			calls int // into native code
			op    func(int)
		}{{"encrypt", 1, encrypt}, {"both", 2, both}, {"pingpong", 2, pingPong}} {
			us = newOurs(t)
			if c.name == "encrypt" {
				us.b = us.a
			}
			var a, b, over []time.Duration
			turns := 0
			for end := time.Now().Add(span(t)); turns < 3 || time.Now().Before(end); turns++ {
				const n = 20
				theirs := node.time(c.name, size.n, n)
				start := time.Now()
				c.op(n)
				took := time.Since(start)
				o := node.time("overhead", size.n, n) * time.Duration(c.calls)
				if turns == 0 {
					continue
				}
				a, b, over = append(a, took/n), append(b, theirs/n), append(over, o/n)
			}
			// Of medians: one turn's overhead, measured late, may exceed its call.
			ratio := float64(median(b)-median(over)) / float64(median(a))
			figure(fmt.Sprintf("2.%s_%s_node", c.name, size.name), ratio, fmt.Sprintf(
				"than libsignal's Rust in Node, after %v of %v were taken off as call overhead; ours %v", median(over), median(b), median(a)))
		}
	}
}
