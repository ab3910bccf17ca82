package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A plot is a bar chart of figures that are compared with one another.
type plot struct {
	file   string
	title  string   // says which way is better
	prefix string   // of the figures' names; what follows is a bar's label
	suffix string   // of the figures' names, left out of the labels
	others []string // words in labels of what is not ours, drawn in grey
	unit   string   // of the figures; the axis is labelled with it
	mark   float64
	log    bool
}

var plots = []plot{
	{file: "measure-ratchet.svg", title: "Ratchet: how many times faster than other ratchets (right of 1 is faster; mau is go.mau.fi/libsignal, node is libsignal in Node)",
		prefix: "ratchet.2.", unit: "times-faster", mark: 1, log: true},
	{file: "measure-ratchet-floor.svg", title: "Ratchet: time by that of the primitives alone (1 is the floor)",
		prefix: "ratchet.", suffix: ".x_floor", unit: "x-floor", mark: 1},
	{file: "measure-relay-cpu.svg", title: "Relay: CPU per packet by that of others (left of 1 is cheaper)",
		prefix: "relay.1.cpu_", unit: "ratio", mark: 1},
	{file: "measure-relay-saturated.svg", title: "Relay: packets per second by those of others (right of 1 is more)",
		prefix: "relay.1.saturated_", unit: "ratio", mark: 1},
	{file: "measure-relay-stores.svg", title: "Relay: stores per second by those of others (right of 1 is more)",
		prefix: "relay.3.sqlite_", unit: "ratio", mark: 1, log: true},
	{file: "measure-paths.svg", title: "Paths: round trips until both sides are direct, by pair of networks (left is sooner, others in grey)",
		prefix: "paths.3.", suffix: ".median_rtt", unit: "RTT", others: []string{"libp2p", "pion"}, log: true},
	{file: "measure-rendezvous.svg", title: "Rendezvous: ratios",
		prefix: "rendezvous.", unit: "x", mark: 1, log: true},
}

// A bar is one figure of a plot.
type bar struct {
	label string
	value float64
}

func (p plot) bars(all []figure) (out []bar) {
	for _, f := range all {
		label, ok := strings.CutPrefix(f.Name, p.prefix)
		if ok {
			label, ok = strings.CutSuffix(label, p.suffix)
		}
		if !ok || f.Unit != p.unit || f.Value <= 0 {
			continue
		}
		out = append(out, bar{strings.ReplaceAll(label, "_", " "), f.Value})
	}
	return out
}

// Sizes of a plot in pixels.
const (
	plotWidth = 900
	plotLeft  = 370 // where the bars begin
	plotRight = 70  // room for the last value
	plotTop   = 46
	plotRow   = 19
	plotFoot  = 34
)

// draw returns the plot as SVG; nothing if there are not two bars to compare.
// Its colours hold on a light page and on a dark one: it brings its own ground.
func (p plot) draw(all []figure) string {
	bars := p.bars(all)
	if len(bars) < 2 {
		return ""
	}
	low, high := p.scale(bars)
	at := func(v float64) float64 {
		if p.log {
			v = math.Log10(v)
		}
		return plotLeft + (v-low)/(high-low)*(plotWidth-plotLeft-plotRight)
	}
	bottom := plotTop + plotRow*len(bars)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" font-family="sans-serif" font-size="12">`,
		plotWidth, bottom+plotFoot)
	fmt.Fprintf(&b, "\n<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", escape(p.title))
	fmt.Fprintf(&b, "<text x=\"12\" y=\"24\" font-size=\"14\" font-weight=\"bold\" fill=\"#1f2328\">%s</text>\n", escape(p.title))
	for _, v := range p.ticks(low, high) {
		fmt.Fprintf(&b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#d9dde3\"/>\n", at(v), plotTop-4, at(v), bottom)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#59636e\">%s</text>\n", at(v), bottom+16, number(v))
	}
	for i, x := range bars {
		y := plotTop + plotRow*i
		from, to := at(p.base(low)), at(x.value)
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#1f2328\">%s</text>\n", plotLeft-8, y+13, escape(x.label))
		colour := "#2f6f9f"
		if slices.ContainsFunc(p.others, func(s string) bool { return strings.Contains(x.label, s) }) {
			colour = "#8b949e"
		}
		fmt.Fprintf(&b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
			math.Min(from, to), y+3, math.Max(math.Abs(to-from), 1), plotRow-6, colour)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\" fill=\"#1f2328\">%s</text>\n", math.Max(from, to)+5, y+13, number(x.value))
	}
	if p.mark != 0 {
		fmt.Fprintf(&b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#b3261e\" stroke-width=\"1.5\"/>\n", at(p.mark), plotTop-4, at(p.mark), bottom)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// scale returns the ends of the axis, logarithms if it is logarithmic.
func (p plot) scale(bars []bar) (low, high float64) {
	least, most := bars[0].value, bars[0].value
	for _, x := range bars {
		least, most = min(least, x.value), max(most, x.value)
	}
	if p.mark != 0 {
		least, most = min(least, p.mark), max(most, p.mark)
	}
	if !p.log {
		return 0, most * 1.02
	}
	low, high = math.Floor(math.Log10(least)*2)/2, math.Ceil(math.Log10(most)*2)/2
	if low == high {
		high++
	}
	return low, high
}

// base is where bars begin: at the mark of a logarithmic axis, which has no zero,
// else at its low end.
func (p plot) base(low float64) float64 {
	switch {
	case !p.log:
		return 0
	case p.mark != 0:
		return p.mark
	}
	return math.Pow(10, low)
}

func (p plot) ticks(low, high float64) (at []float64) {
	if p.log {
		for e := math.Floor(low); e <= high; e++ {
			for _, m := range []float64{1, 2, 5} {
				if v := m * math.Pow(10, e); math.Log10(v) >= low-1e-9 && math.Log10(v) <= high+1e-9 {
					at = append(at, math.Round(v*1000)/1000)
				}
			}
		}
		return at
	}
	step := math.Pow(10, math.Floor(math.Log10(high)))
	for _, m := range []float64{0.1, 0.2, 0.25, 0.5, 1} {
		if high/(step*m) <= 8 {
			step *= m
			break
		}
	}
	for v := 0.0; v <= high; v += step {
		at = append(at, math.Round(v*1000)/1000)
	}
	return at
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
