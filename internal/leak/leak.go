// Package leak is the check that a package leaves nothing behind: goroutines, open
// descriptors, memory. Every package that starts goroutines or opens sockets and
// files calls Main from its TestMain, and Flat where something is opened and
// closed again and again.
package leak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long what has ended may take to go: a loaded machine is slow,
// and a leak stays for ever.
const patience = 3 * time.Minute

// lasting are goroutines that a process starts once and never ends.
var lasting = []string{
	"os/signal.signal_recv", "os/signal.loop", "testing.(*M).", "testing.(*T).Run", "testing.runFuzzing", "testing.tRunner.func",
	"runtime.ensureSigM", "testing.runTests", "testing.(*B).", "testing.(*F).Fuzz",
}

// Main runs a package's tests and then wants every goroutine and descriptor gone
// that was not there before.
func Main(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if left := settle(before); left != "" {
			fmt.Fprintf(os.Stderr, "LEAK: after the tests there is still\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// settle waits until nothing is left, or says what is.
func settle(before []string) (left string) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		stacks := goroutines()
		more := slices.DeleteFunc(descriptors(), func(d string) bool { return slices.Contains(before, d) })
		if len(stacks) == 0 && len(more) == 0 {
			return ""
		}
		if time.Now().After(end) {
			return strings.Join(append(stacks, more...), "\n\n")
		}
	}
}

// goroutines returns the stacks of all that are not to last.
func goroutines() (out []string) {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for i, g := range bytes.Split(buf, []byte("\n\n")) {
		s := strings.TrimSpace(string(g))
		if i == 0 || s == "" || slices.ContainsFunc(lasting, func(f string) bool { return strings.Contains(s, f) }) {
			continue // the first is this one
		}
		out = append(out, s)
	}
	return out
}

// descriptors returns this process's open descriptors, each with what it is; nil
// where there is no /proc.
func descriptors() (out []string) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, d := range all {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", d.Name()))
		if err != nil || strings.HasPrefix(to, "anon_inode:") || strings.HasPrefix(to, "/proc/") || to == "/dev/null" ||
			strings.HasPrefix(to, "pipe:") {
			continue // the runtime's own, and this look itself
		}
		out = append(out, "descriptor "+d.Name()+" "+to)
	}
	return out
}

// Flat runs f, which opens something and closes it, rounds times, and wants as
// many goroutines and descriptors as before, and no more than perRound bytes of
// memory for each round. What f needs once, and what fills up to its bound, is
// made in rounds before that do not count.
func Flat(t testing.TB, rounds, perRound int, f func()) {
	t.Helper()
	for range 3 {
		f()
	}
	g, d, m := quiet()
	for range rounds {
		f()
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		g2, d2, m2 := quiet()
		if g2 <= g && d2 <= d && m2 <= m+rounds*perRound {
			return
		}
		if time.Now().After(end) {
			t.Errorf("after %d rounds %d goroutines, %d descriptors and %d bytes; before %d, %d and %d (%d more, want %d a round at most)\n%s",
				rounds, g2, d2, m2, g, d, m, m2-m, perRound, strings.Join(goroutines(), "\n\n"))
			return
		}
	}
}

// quiet returns counts of goroutines and descriptors, and the bytes in use after
// collecting what is not.
func quiet() (goroutines, fds, heap int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), len(descriptors()), int(m.HeapAlloc)
}

// Of returns how many sockets another process has open, and pipes and the like, and
// how many different files: a pool of connections to a database opens one file
// more often or less. It is -1 if that cannot be seen.
func Of(pid int) int {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	all, err := os.ReadDir(dir)
	if err != nil {
		return -1
	}
	n, files := 0, map[string]bool{}
	for _, d := range all {
		to, err := os.Readlink(filepath.Join(dir, d.Name()))
		switch {
		case err != nil: // closed meanwhile
		case strings.HasPrefix(to, "/"):
			files[to] = true
		default:
			n++
		}
	}
	return n + len(files)
}
