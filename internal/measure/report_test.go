package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var some = []figure{
	{Name: "relay.1.cpu_plain_of_coturn", Value: 0.5, Unit: "ratio", Against: "3 against 6", Command: "go test ./relay", Machine: "2 cores", Date: "2026-01-02"},
	{Name: "relay.1.cpu_plain_of_pion", Value: 0.25, Unit: "ratio", Command: "go test ./relay", Machine: "2 cores", Date: "2026-01-02"},
	{Name: "relay.3.p99", Value: 7, Unit: "ms", Command: "go test ./relay", Machine: "2 cores", Date: "2026-01-02"},
}

// Ratios stand before what holds for one machine; both say where they come from.
func TestReport(t *testing.T) {
	md := report(some)
	for _, want := range []string{"Measured on 2 cores, with\n\n    go test ./relay\n", "](images/measure-relay-cpu.svg)",
		"| relay.1.cpu_plain_of_coturn | 0.5 ratio | 3 against 6 | 2026-01-02 |", "| relay.3.p99 | 7 ms |"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in\n%s", want, md)
		}
	}
	if strings.Index(md, "cpu_plain_of_pion") > strings.Index(md, "relay.3.p99") {
		t.Error("ratios do not stand first")
	}
	if strings.Contains(md, "saturated") {
		t.Error("a plot without figures is linked")
	}
}

// A longer bar is a larger value, on either kind of axis; the drawing is XML.
func TestPlot(t *testing.T) {
	for _, log := range []bool{false, true} {
		p := plot{title: "a < b & c", prefix: "relay.1.", unit: "ratio", mark: 1, log: log}
		svg := p.draw(some)
		d := xml.NewDecoder(strings.NewReader(svg))
		rects := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("log %v: %v\n%s", log, err, svg)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
				rects++
			}
		}
		if rects != 3 {
			t.Errorf("log %v: got %d rectangles, want the ground and two bars", log, rects)
		}
		if !strings.Contains(svg, ">cpu plain of coturn<") || !strings.Contains(svg, ">0.25<") {
			t.Errorf("log %v: no label or no value in\n%s", log, svg)
		}
		if !strings.Contains(svg, "a &lt; b &amp; c") {
			t.Errorf("log %v: the title is not escaped", log)
		}
	}
	if got := (plot{prefix: "relay.3.", unit: "ms"}).draw(some); got != "" {
		t.Errorf("one bar makes a plot:\n%s", got)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir, some); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"measurements.json", "measurements.md", "images/measure-relay-cpu.svg"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "images/measure-relay-saturated.svg")); err == nil {
		t.Error("a plot without bars was written")
	}
}
