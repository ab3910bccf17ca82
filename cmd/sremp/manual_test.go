package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every command has a page that says what its flags do, and nothing of this
// machine.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	must(t, "manual", dir)
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 60 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, path := range pages {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{".TH \"", "\"2023-11-14\"", "\n.SH NAME\n", "\n.SH SYNOPSIS\n", "\n.SH DESCRIPTION\n", "\n.SH OPTIONS\n"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s lacks %q", filepath.Base(path), want)
			}
		}
		if strings.Contains(string(b), home+"/") {
			t.Errorf("%s names this machine's %s", filepath.Base(path), home)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "sremp-server-init.1"))
	if err != nil || !strings.Contains(string(b), `\fB\-\-public\fR \fIaddress\fR`) || !strings.Contains(string(b), `sremp\-server`) {
		t.Errorf("server init: %v\n%s", err, b)
	}
}

// The completions are what their shells can read.
func TestCompletions(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := must(t, "completion", shell)
		if !strings.Contains(script, "sremp") {
			t.Errorf("%s: %q", shell, script)
		}
		if path, err := exec.LookPath(shell); err == nil {
			check := exec.Command(path, "-n")
			check.Stdin = strings.NewReader(script)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", shell, err, out)
			}
		}
	}
	if got := must(t, "__complete", "server", "st"); !strings.HasPrefix(got, "status\t") {
		t.Errorf("completing server st: %q", got)
	}
}
