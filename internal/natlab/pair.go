//go:build linux

package natlab

import (
	"fmt"
	"strings"
	"time"
)

// A Pair is two sides between which a direct path is possible, or not.
type Pair struct {
	// A and B are what lies before the two sides: a router's kind, or one of
	// none (a public address), carrier (two NATs in a row), port/accept,
	// port/reject (what the router does with packets to itself), ipv6 (behind a
	// firewall). "same KIND" on both sides is one router of KIND for both,
	// "same isolated KIND" one that does not connect them inside.
	A, B       string
	Direct     bool          // what theory says
	Skew       time.Duration // A is told to begin that much before B
	Conditions Conditions    // zero: a delay of half a PairRTT
	Within     time.Duration // when it must be direct, 0: at some time
}

// Chance reports whether the pair needs a birthday search, which finds its path
// with a probability of 0.98.
func (c Pair) Chance() bool {
	hard := func(s string) bool { return s == "sym" || s == "symaddr" }
	filters := func(s string) bool { return s == "port" || s == "portrnd" || s == "portcone" || s == "carrier" }
	return hard(c.A) && filters(c.B) || hard(c.B) && filters(c.A)
}

// PairRTT is between every two numbers of the world.
const PairRTT = 40 * time.Millisecond

// Pairs returns the whole matrix.
func Pairs() (out []Pair) {
	easy := []string{"none", "port", "portrnd", "fullcone", "addr", "portcone", "carrier"}
	hard := []string{"sym", "symseq", "symaddr"}
	for i, a := range easy {
		for _, b := range easy[i:] {
			out = append(out, Pair{A: a, B: b, Direct: true})
		}
	}
	for _, a := range easy {
		for _, b := range hard {
			out = append(out, Pair{A: a, B: b, Direct: true, Within: 3 * time.Second})
		}
	}
	loss := Conditions{Delay: PairRTT / 2, Loss: 0.05}
	return append(out,
		Pair{A: "symseq", B: "symseq", Direct: true},
		Pair{A: "sym", B: "sym"},
		Pair{A: "port", B: "blocked"},
		Pair{A: "blocked", B: "blocked"},
		Pair{A: "port", B: "tcponly443"},
		Pair{A: "port", B: "port", Direct: true, Conditions: loss},
		Pair{A: "addr", B: "sym", Direct: true, Conditions: loss},
		Pair{A: "port/accept", B: "port/accept", Direct: true},
		Pair{A: "port/accept", B: "port/accept", Direct: true, Skew: 100 * time.Millisecond, Within: 2 * time.Second},
		Pair{A: "port/accept", B: "port/accept", Direct: true, Skew: -100 * time.Millisecond, Within: 2 * time.Second},
		Pair{A: "port/reject", B: "port/reject", Direct: true, Skew: 100 * time.Millisecond},
		Pair{A: "same fullcone", B: "same fullcone", Direct: true},
		Pair{A: "same isolated port", B: "same isolated port"},
		Pair{A: "same isolated portcone", B: "same isolated portcone", Direct: true},
		Pair{A: "ipv6", B: "ipv6", Direct: true},
	)
}

// Name names the pair.
func (c Pair) Name() string {
	s := c.A + "," + c.B
	if c.Conditions.Loss > 0 {
		s += fmt.Sprintf(",loss=%g", c.Conditions.Loss)
	}
	if c.Skew != 0 {
		s += ",skew=" + c.Skew.String()
	}
	return s
}

// Figure is the name as part of a figure's.
func (c Pair) Figure() string {
	return strings.NewReplacer(",", "-", "/", "-", " ", "_", ".", "_", "=", "_").Replace(c.Name())
}

// Places makes what the kinds of the two sides say.
func (c Pair) Places(w *World) (a, b *Place, err error) {
	kind, same := strings.CutPrefix(c.A, "same ")
	if !same {
		if a, err = w.side(c.A); err == nil {
			b, err = w.side(c.B)
		}
		return a, b, err
	}
	kind, isolated := strings.CutPrefix(kind, "isolated ")
	r, err := w.Router(RouterOptions{Kind: Kind(kind), Isolated: isolated})
	if err == nil {
		a, err = r.Home()
	}
	if err == nil {
		b, err = r.Home()
	}
	return a, b, err
}

// side makes one host and what is before it.
func (w *World) side(kind string) (*Place, error) {
	o := RouterOptions{Kind: Kind(kind), Seed: uint32(time.Now().UnixNano())}
	switch kind {
	case "none":
		return w.Public(1)
	case "carrier":
		outer, err := w.Carrier(RouterOptions{Kind: PortRnd, Seed: o.Seed})
		if err != nil {
			return nil, err
		}
		inner, err := outer.Behind(RouterOptions{Kind: Port})
		if err != nil {
			return nil, err
		}
		return inner.Home()
	case "ipv6":
		o = RouterOptions{Kind: Port, IPv6: true}
	case "port/accept":
		o = RouterOptions{Kind: Port, Input: Accept}
	case "port/reject":
		o = RouterOptions{Kind: Port, Input: Reject}
	}
	r, err := w.Router(o)
	if err != nil {
		return nil, err
	}
	return r.Home()
}
