package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A figure is one measured value.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Against string  `json:"against"` // what it is to be compared with, may be empty
	Command string  `json:"command"`
	Machine string  `json:"machine"`
	Date    string  `json:"date"`
}

var procs = regexp.MustCompile(`-\d+$`)

// parse finds the figures in what a command printed.
func parse(part, out string) (found []figure) {
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		// go test -v puts its own prefix before what a test logs.
		if i := slices.Index(f, "figure:"); i >= 0 && len(f) >= i+4 {
			if v, err := strconv.ParseFloat(f[i+2], 64); err == nil {
				found = append(found, figure{Name: f[i+1], Value: v, Unit: f[i+3], Against: against(f[i+4:])})
			}
			continue
		}
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := part + "." + procs.ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), "")
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				found = append(found, figure{Name: name + "." + unitWord(f[i+1]), Value: v, Unit: f[i+1]})
			}
		}
	}
	return found
}

// against is what follows the unit; the word AGAINST may stand before a goal.
func against(words []string) string {
	s := strings.TrimPrefix(strings.Join(words, " "), "AGAINST ")
	return strings.Replace(s, " AGAINST ", ", goal ", 1)
}

// unitWord makes a unit part of a name: ns/op is ns_op.
func unitWord(unit string) string { return strings.NewReplacer("/", "_", "-", "_").Replace(unit) }

// merge replaces the figures of all that were measured anew.
func merge(all, fresh []figure) []figure {
	for _, f := range fresh {
		all = slices.DeleteFunc(all, func(o figure) bool { return o.Name == f.Name })
	}
	all = append(all, fresh...)
	slices.SortFunc(all, func(a, b figure) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func load(path string) (all []figure, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// save writes one figure a line, so that differences can be read.
func save(path string, all []figure) error {
	var b bytes.Buffer
	b.WriteString("[")
	for i, f := range all {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		b.Write(line)
	}
	b.WriteString("\n]\n")
	return os.WriteFile(path, b.Bytes(), 0o644)
}
