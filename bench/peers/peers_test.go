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
	// Junk is not compared: go.mau.fi/libsignal changes its live state before it
	// checks a message, and one forged message ends the session.
	report("reload", 8, func(p peer) func(int) {
		return func(n int) {
			for range n {
				p.(interface{ reload() }).reload()
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
