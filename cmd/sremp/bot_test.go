package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Journey J13: the bot of examples answers, also what came while it was away,
// and its script has 20 lines at most.
func TestBot(t *testing.T) {
	t.Parallel() // it mostly waits
	script, err := filepath.Abs("../../examples/bot.sh")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(script)
	if n := strings.Count(string(b), "\n"); err != nil || n > 20 {
		t.Errorf("the example has %d lines, %v, want 20 at most", n, err)
	}
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	bot, ann := newUser(t, "Bot", addr), newUser(t, "Ann", addr)
	ann.run(t, "add", bot.run(t, "invite"))
	ann.run(t, "send", "Bot", "/echo first, while you were away", "--wait", "held")
	ann.listen(t)

	run := func() *child {
		return spawn(t, "--profile", bot.dir, "bot", script)
	}
	heard := func(want ...string) {
		t.Helper()
		within(t, "the bot's answers", func() (bool, string) {
			got := ann.texts(t, bot, false)
			return slices.Equal(got, want), fmt.Sprintf("%q, want %q", got, want)
		})
	}
	proc := run()
	heard("first, while you were away")
	ann.run(t, "send", "Bot", "/who")
	heard("first, while you were away", "You are Ann to me.")
	ann.run(t, "send", "Bot", "just talking")
	ann.run(t, "send", "Bot", "/nonsense")
	heard("first, while you were away", "You are Ann to me.", "I do not know /nonsense; try /help")
	proc.end(t, syscall.SIGTERM)
	proc = run() // nothing is answered twice
	ann.run(t, "send", "Bot", "/echo again")
	heard("first, while you were away", "You are Ann to me.", "I do not know /nonsense; try /help", "again")
	proc.end(t, syscall.SIGTERM)
	if got := proc.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("the bot ended with status %d, want 0", got)
	}
}
