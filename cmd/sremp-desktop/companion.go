package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sremp/sremp/desktop/present"
)

// The desktop's companion is the command sremp, which is installed with it: it
// examines the network, and is the server on this computer.

const (
	companionName = "sremp"
	// ownServerDir is where the profile's own server keeps its key and its mail.
	ownServerDir = "server"
	// ownServerFile is there while the server is to run: two lines, where it
	// listens and where others reach it.
	ownServerFile = "desktop"
	addressPrefix = "address: "
	// serverEnds is how long a server may take to end.
	serverEnds = 10 * time.Second
)

var errNoCompanion = errors.New("the program sremp is not installed beside this one")

// companion finds the command: beside this program, else as a shell does.
func companion() (string, error) {
	if own, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(own), companionName)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(companionName)
	if err != nil {
		return "", errNoCompanion
	}
	return path, nil
}

// Examine implements [present.Host].
func (p *profile) Examine(ctx context.Context) ([]present.Finding, error) {
	path, err := companion()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "--profile", p.dir, "doctor", "--json")
	cmd.Env = append(os.Environ(), passphraseVariable+"=") // it asks nobody
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, said(stderr.String(), err)
	}
	var report struct{ Findings []present.Finding }
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("the doctor's report: %w", err)
	}
	return report.Findings, nil
}

// said makes an error of the last line that a program wrote.
func said(stderr string, err error) error {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if last := strings.TrimPrefix(lines[len(lines)-1], "sremp: "); last != "" {
		return errors.New(last)
	}
	return err
}

// An ownServer is the server on this computer.
type ownServer struct {
	mu      sync.Mutex // guards all, and is held while it starts and ends
	address string     // empty: it does not run
	stop    func() error
}

// Serving implements [present.Host].
func (p *profile) Serving() string {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	return p.server.address
}

// Serve implements [present.Host].
func (p *profile) Serve(ctx context.Context, listen, public string) (string, error) {
	s := &p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address != "" {
		return s.address, nil
	}
	if err := p.startServerLocked(ctx, listen, public); err != nil {
		return "", err
	}
	// From the next start on it runs as well.
	return s.address, os.WriteFile(filepath.Join(p.dir, ownServerDir, ownServerFile), []byte(listen+"\n"+public+"\n"), 0o600)
}

// resumeServer starts the server if it is to run.
func (p *profile) resumeServer(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(p.dir, ownServerDir, ownServerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	listen, public, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	return p.startServerLocked(ctx, listen, public)
}

// startServerLocked starts the command and waits until it says its address.
func (p *profile) startServerLocked(ctx context.Context, listen, public string) error {
	path, err := companion()
	if err != nil {
		return err
	}
	args := []string{"server", "--dir", filepath.Join(p.dir, ownServerDir), "--listen", listen, "--websocket", "none"}
	if public != "" {
		args = append(args, "--public", public)
	}
	cmd := exec.Command(path, args...)
	endWithParent(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	started, ended := make(chan error, 1), make(chan struct{})
	var waitErr error // set before ended
	go func() {
		// What ends with its parent ends with the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			waitErr = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n') // an empty one says it
		line <- strings.TrimSpace(text)
	}()
	stop := func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(serverEnds):
			cmd.Process.Kill()
			<-ended
		}
		return nil
	}
	select {
	case text := <-line:
		if address, ok := strings.CutPrefix(text, addressPrefix); ok {
			p.server.address, p.server.stop = address, stop
			return nil
		}
		stop()
		return said(stderr.String(), waitErr)
	case <-ctx.Done():
		stop()
		return ctx.Err()
	}
}

// StopServing implements [present.Host].
func (p *profile) StopServing() error {
	err := os.Remove(filepath.Join(p.dir, ownServerDir, ownServerFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, p.pauseServer())
}

// pauseServer ends the server until the profile is opened again.
func (p *profile) pauseServer() error {
	s := &p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address == "" {
		return nil
	}
	stop := s.stop
	s.address, s.stop = "", nil
	return stop()
}
