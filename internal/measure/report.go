package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// write puts the figures and what is told of them into dir: measurements.json,
// measurements.md and the plots in images.
func write(dir string, all []figure) error {
	pairs, err := matrix(filepath.Join(dir, "natlab.md"))
	if err != nil {
		return err
	}
	if err := save(filepath.Join(dir, "measurements.json"), all); err != nil {
		return err
	}
	images := filepath.Join(dir, "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	for _, p := range plots {
		if svg := p.draw(all); svg != "" {
			if err := os.WriteFile(filepath.Join(images, p.file), []byte(svg), 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "measurements.md"), []byte(report(all)+pathTables(pairs, all)), 0o644)
}

// isRatio reports whether a figure carries over to other machines: a ratio to
// something measured beside it, a share, or a multiple of the round trip.
func (f figure) isRatio() bool {
	switch f.Unit {
	case "x", "ratio", "times-faster", "%", "RTT", "bytes_out/byte_in":
		return true
	}
	return strings.HasPrefix(f.Unit, "x-") || f.isShare()
}

// isShare reports whether a figure says in how many cases of how many.
func (f figure) isShare() bool { return strings.HasPrefix(f.Unit, "of_") }

func (f figure) head() string {
	head, _, _ := strings.Cut(f.Name, ".")
	return head
}

// report is docs/measurements.md but for the matrix of paths: for each subject
// where and by what it was measured, plots, ratios, and then what holds for that
// machine alone.
func report(all []figure) string {
	var b strings.Builder
	b.WriteString(`# Measurements

Written by ` + "`make measure`" + ` from what benchmarks and the NAT laboratory print; do not edit. Ratios stand first: they
are taken against something that ran on the same machine at the same time, and only they carry over to another one. A
figure that misses its goal is listed like the others. ` + "`make measure ARGS='-only ratchet'`" + ` repeats one part,
` + "`make measure ARGS=-write`" + ` runs nothing and writes this file and its plots anew from ` + "`measurements.json`" + `.
`)
	for _, head := range heads(all) {
		of := slices.DeleteFunc(slices.Clone(all), func(f figure) bool { return f.head() != head })
		fmt.Fprintf(&b, "\n## %s\n", head)
		for _, where := range distinct(of, func(f figure) string { return f.Machine }) {
			fmt.Fprintf(&b, "\nMeasured on %s, with\n\n", where)
			for _, command := range distinct(of, func(f figure) string {
				if f.Machine != where {
					return ""
				}
				return f.Command
			}) {
				fmt.Fprintf(&b, "    %s\n", command)
			}
		}
		for _, p := range plots {
			if strings.HasPrefix(p.prefix, head+".") && p.draw(all) != "" {
				fmt.Fprintf(&b, "\n![%s](images/%s)\n", p.title, p.file)
			}
		}
		rows(&b, "Ratios", of, func(f figure) bool { return f.isRatio() && !f.isShare() })
		rows(&b, "Shares", of, figure.isShare)
		rows(&b, "On this machine", of, func(f figure) bool { return !f.isRatio() })
	}
	return b.String()
}

func rows(b *strings.Builder, title string, of []figure, which func(figure) bool) {
	if !slices.ContainsFunc(of, which) {
		return
	}
	fmt.Fprintf(b, "\n**%s**\n\n| figure | value | against | date |\n|---|---|---|---|\n", title)
	for _, f := range of {
		if which(f) {
			fmt.Fprintf(b, "| %s | %s %s | %s | %s |\n", f.Name, number(f.Value), f.Unit, f.Against, f.Date)
		}
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func heads(all []figure) []string { return distinct(all, figure.head) }

// distinct returns what of says of all, each once and in order, but nothing empty.
func distinct(all []figure, of func(figure) string) (out []string) {
	for _, f := range all {
		if s := of(f); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
