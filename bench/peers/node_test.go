package peers

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// node is a Node process that times operations on command.
type node struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func newNode(t *testing.T, dir string) *node {
	script, err := os.ReadFile("node/bench.mjs")
	if err != nil {
		t.Fatal(err)
	}
	// It runs where its package is installed.
	path := filepath.Join(dir, "bench.mjs")
	if err := os.WriteFile(path, script, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &node{t, in, bufio.NewScanner(out)}
}

// time runs an operation n times and returns the time that Node measured.
func (n *node) time(op string, size, count int) time.Duration {
	fmt.Fprintln(n.in, op, size, count)
	if !n.out.Scan() {
		n.t.Fatalf("node gave no answer to %s: %v", op, n.out.Err())
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(n.out.Text()), 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return time.Duration(ns)
}

func median[T cmp.Ordered](x []T) T {
	slices.Sort(x)
	return x[len(x)/2]
}
