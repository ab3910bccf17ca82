package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// The demo ends by itself without a terminal, and leaves nothing.
func TestDemo(t *testing.T) {
	for _, network := range []string{networkAuto, networkLoopback} {
		t.Run(network, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			var steps, texts []string
			for line := range strings.Lines(must(t, "demo", "--json", "--network", network)) {
				var e struct{ Event, Step, Text, Who string }
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				switch {
				case e.Event == "demo":
					steps = append(steps, e.Step)
				case e.Event == "message" && e.Who == "Bob":
					texts = append(texts, e.Text)
				}
			}
			want := "network server client client invite met away held client done"
			if got := strings.Join(steps, " "); got != want {
				t.Errorf("got steps %q, want %q", got, want)
			}
			if got := strings.Join(texts, "\n"); !strings.Contains(got, "Hello Bob") || !strings.Contains(got, "when you are back") {
				t.Errorf("Bob read %q, want the greeting and the mail", got)
			}
			if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// A failure has its reason, and a status that is not 0.
func TestDemoWithoutNAT(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no nft there
	_, errs, status := sremp(t, "demo", "--network", networkNAT)
	checkFailure(t, "demo without nft", status, exitOther, errs, "NAT")
	out, _, status := sremp(t, "demo", "--network", networkAuto)
	if status != 0 || !strings.Contains(out, "all on loopback, because") {
		t.Errorf("status %d, %q, want the demo on loopback and why", status, out)
	}
}
