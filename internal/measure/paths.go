package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// rivals are those beside whom our paths are shown, as their figures name them.
var rivals = []struct{ name, title string }{
	{"libp2p", "go-libp2p"}, {"pion", "pion/ice, coturn"}, {"pion_tuned", "pion/ice tuned"},
}

// pairFigure is a pair of networks as part of a figure's name, see
// natlab.Pair.Figure.
func pairFigure(pair string) string {
	return strings.NewReplacer(",", "-", "/", "-", " ", "_", ".", "_", "=", "_").Replace(pair)
}

// matrix returns the table of pairs in docs/natlab.md, nil if there is none.
func matrix(path string) (lines []string, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		// Another table, of kinds, comes before.
		if strings.HasPrefix(line, "| pair ") || len(lines) > 0 && strings.HasPrefix(line, "|") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines, nil
}

// pathTables shows the matrix, and our times beside the rivals'.
func pathTables(lines []string, all []figure) string {
	if len(lines) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## Every pair of networks\n\nFrom `make natlab`: real clients behind real kernel NATs, see natlab.md.\n\n")
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	values := map[string]figure{}
	for _, f := range all {
		values[f.Name] = f
	}
	var rows []string
	for _, pair := range pairsOf(lines) {
		if row, ok := besides(pair, values); ok {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return b.String()
	}
	b.WriteString(`
## Paths beside others

Medians in round trips of 40 ms, from the dial until a first message came over any
path, and until both sides were direct (in how many runs). The same routers and
delays; every side is warm: it is connected to its servers and knows its own
addresses before the dial. Ours is the offer through the rendezvous, the search, and
both sides' proofs, with a relay from the start (first message: until both may send).
go-libp2p is the circuit, identify, DCUtR and an authenticated connection; pion/ice
is signalling and ICE's checks without any key exchange, tuned: checks every 20 ms
and no waits before a path is taken.

`)
	b.WriteString("| pair | sremp: message | direct |")
	for _, r := range rivals {
		fmt.Fprintf(&b, " %s: message | direct |", r.title)
	}
	b.WriteString("\n|---" + strings.Repeat("|---", 2+2*len(rivals)) + "|\n")
	b.WriteString(strings.Join(rows, ""))
	return b.String()
}

// pairsOf returns the pairs of the matrix's rows.
func pairsOf(lines []string) (pairs []string) {
	for _, line := range lines {
		cells := strings.Split(line, "|")
		if name := strings.TrimSpace(cells[1]); len(cells) > 2 && name != "pair" && !strings.HasPrefix(name, "---") {
			pairs = append(pairs, name)
		}
	}
	return pairs
}

// besides is the row of a pair that a rival was run with.
func besides(pair string, values map[string]figure) (row string, ok bool) {
	name := pairFigure(pair)
	cells := []string{pair, median(values, "paths.3."+name+".usable_median_rtt"), direct(values, name, "")}
	for _, r := range rivals {
		if _, here := values["paths.1."+name+"."+r.name+".direct"]; here {
			ok = true
		}
		cells = append(cells, median(values, "paths.3."+name+"."+r.name+".message_median_rtt"), direct(values, name, "."+r.name))
	}
	return "| " + strings.Join(cells, " | ") + " |\n", ok
}

func median(values map[string]figure, name string) string {
	f, ok := values[name]
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.1f", f.Value)
}

// direct is a median and in how many runs there was one.
func direct(values map[string]figure, pair, rival string) string {
	n, ok := values["paths.1."+pair+rival+".direct"]
	if !ok {
		return "-"
	}
	times := strings.TrimPrefix(n.Unit, "of_")
	if n.Value == 0 {
		return "never (of " + times + ")"
	}
	return fmt.Sprintf("%s (%.0f of %s)", median(values, "paths.3."+pair+rival+".median_rtt"), n.Value, times)
}
