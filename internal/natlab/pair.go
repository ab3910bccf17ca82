//go:build linux

package natlab

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// A Pair is two sides between which a direct path is possible, or not.
type Pair struct {
	// A and B are what lies before the two sides: a router's kind, or one of
	// none (a public address), carrier (two NATs in a row), ipv6 (IPv6 alone,
	// behind a firewall), dual (port, and IPv6 behind a firewall). KIND/accept
	// and KIND/reject say what the routers do with packets to themselves,
	// KIND/mapped that they map ports for who asks, KIND/short that they forget
	// a mapping after ShortMapping. "same
	// KIND" on both sides is one router of KIND for both, "same isolated KIND"
	// one that does not connect them inside, "same carrier KIND" a carrier's
	// router of KIND before the home routers of both.
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

// ShortMapping is how long routers of kind KIND/short keep a mapping that nothing
// uses; the shortest that are found in the wild keep them for 10 to 20 s.
const ShortMapping = 8 * time.Second

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
	rough := Conditions{Delay: PairRTT / 2, Jitter: PairRTT / 2, Reorder: 0.05}
	narrow := Conditions{Delay: PairRTT / 2, Rate: 1_000_000}
	if HasGateway() {
		out = append(out, Pair{A: "sym/mapped", B: "sym", Direct: true}, Pair{A: "sym/mapped", B: "port", Direct: true})
	}
	return append(out,
		Pair{A: "symseq", B: "symseq", Direct: true},
		Pair{A: "sym", B: "sym"},
		Pair{A: "port", B: "blocked"},
		Pair{A: "blocked", B: "blocked"},
		Pair{A: "port", B: "tcponly443"},
		Pair{A: "port", B: "port", Direct: true, Conditions: loss},
		Pair{A: "addr", B: "sym", Direct: true, Conditions: loss},
		Pair{A: "port", B: "portrnd", Direct: true, Conditions: rough},
		Pair{A: "port", B: "port", Direct: true, Conditions: narrow},
		Pair{A: "port/short", B: "portrnd/short", Direct: true},
		Pair{A: "port/accept", B: "port/accept", Direct: true},
		Pair{A: "port/reject", B: "port/reject", Direct: true},
		Pair{A: "same fullcone", B: "same fullcone", Direct: true},
		Pair{A: "same isolated port", B: "same isolated port"},
		Pair{A: "same isolated portcone", B: "same isolated portcone", Direct: true},
		Pair{A: "same carrier portcone", B: "same carrier portcone", Direct: true},
		Pair{A: "same carrier portrnd", B: "same carrier portrnd"},
		Pair{A: "ipv6", B: "ipv6", Direct: true},
		Pair{A: "dual", B: "dual", Direct: true},
		Pair{A: "dual", B: "port", Direct: true},
	)
}

// LossyPairs returns every pair that can be punched, with 5 % of loss.
func LossyPairs() (out []Pair) {
	for _, c := range Pairs() {
		if c.Direct && c.Conditions == (Conditions{}) {
			c.Conditions = Conditions{Delay: PairRTT / 2, Loss: 0.05}
			out = append(out, c)
		}
	}
	return out
}

// SkewedPairs returns pairs of routers that accept packets to themselves, whose
// sides begin 100 ms apart, either of them first.
func SkewedPairs() (out []Pair) {
	easy := []string{"port", "portrnd", "portcone", "addr", "carrier"}
	for i, a := range easy {
		for _, b := range easy[i:] {
			for _, skew := range []time.Duration{100 * time.Millisecond, -100 * time.Millisecond} {
				out = append(out, Pair{A: a + "/accept", B: b + "/accept", Direct: true, Skew: skew, Within: 2 * time.Second})
			}
		}
	}
	return append(out, Pair{A: "port/reject", B: "port/reject", Direct: true, Skew: 100 * time.Millisecond, Within: 2 * time.Second})
}

// Name names the pair.
func (c Pair) Name() string {
	s := c.A + "," + c.B
	if c.Conditions.Loss > 0 {
		s += fmt.Sprintf(",loss=%g", c.Conditions.Loss)
	}
	if c.Conditions.Jitter > 0 {
		s += ",jitter=" + c.Conditions.Jitter.String()
	}
	if c.Conditions.Reorder > 0 {
		s += fmt.Sprintf(",reorder=%g", c.Conditions.Reorder)
	}
	if c.Conditions.Rate > 0 {
		s += fmt.Sprintf(",rate=%dk", c.Conditions.Rate/1000)
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
	if outer, ok := strings.CutPrefix(kind, "carrier "); ok {
		return w.neighbours(Kind(outer))
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

// neighbours makes two homes behind one carrier's router.
func (w *World) neighbours(outer Kind) (a, b *Place, err error) {
	carrier, err := w.Carrier(RouterOptions{Kind: outer, Seed: seed()})
	if err != nil {
		return nil, nil, err
	}
	var homes [2]*Place
	for i := range homes {
		r, err := carrier.Behind(RouterOptions{Kind: Port})
		if err != nil {
			return nil, nil, err
		}
		if homes[i], err = r.Home(); err != nil {
			return nil, nil, err
		}
	}
	return homes[0], homes[1], nil
}

// seed makes each router choose ports of its own.
func seed() uint32 { return rand.Uint32() }

// side makes one host and what is before it.
func (w *World) side(kind string) (*Place, error) {
	kind, input, _ := strings.Cut(kind, "/")
	mapped, short := input == "mapped", input == "short"
	if mapped || short {
		input = ""
	}
	o := RouterOptions{Kind: Kind(kind), Input: WANInput(input), Seed: seed()}
	if short {
		o.Mapping, o.Opening = ShortMapping, ShortMapping
	}
	switch kind {
	case "none":
		return w.Public(1)
	case "carrier":
		o.Kind = PortRnd
		outer, err := w.Carrier(o)
		if err != nil {
			return nil, err
		}
		inner, err := outer.Behind(RouterOptions{Kind: Port, Input: WANInput(input)})
		if err != nil {
			return nil, err
		}
		return inner.Home()
	case "ipv6":
		o.Kind, o.IPv6, o.NoIPv4 = Port, true, true
	case "dual":
		o.Kind, o.IPv6 = Port, true
	}
	r, err := w.Router(o)
	if err != nil {
		return nil, err
	}
	if mapped {
		if _, err := r.MapPorts(MapProtocols{PMP: true, UPnP: true}); err != nil {
			return nil, err
		}
	}
	return r.Home()
}
