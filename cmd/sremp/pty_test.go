package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is a real pseudo-terminal with a command on it.
type terminal struct {
	t     *testing.T
	keys  *os.File
	shown screen
}

// startTerminal runs a command on a terminal of a size.
func startTerminal(t *testing.T, columns, rows uint16, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, keys: master}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	x.resize(columns, rows)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	ended := make(chan struct{})
	go func() { // ends when the command has closed the terminal
		defer close(ended)
		b := make([]byte, 1<<16)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			x.shown.Write(b[:n])
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		<-ended
		master.Close()
	})
	return x
}

func (x *terminal) resize(columns, rows uint16) {
	x.t.Helper()
	if err := unix.IoctlSetWinsize(int(x.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		x.t.Fatal(err)
	}
}

// press types keys, and forgets what was shown before.
func (x *terminal) press(keys string) {
	x.t.Helper()
	x.shown.clear()
	if _, err := x.keys.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// pressUntil presses a key, and again from time to time, until the screen shows
// a text.
func (x *terminal) pressUntil(t *testing.T, key, want string) {
	t.Helper()
	const every = 50 // looks between two presses
	looks := 0
	within(t, fmt.Sprintf("%q on the screen", want), func() (bool, string) {
		x.shown.mu.Lock()
		got := x.shown.b.String()
		x.shown.mu.Unlock()
		if strings.Contains(got, want) {
			return true, ""
		}
		if looks%every == 0 {
			x.press(key)
		}
		looks++
		return false, got
	})
}
