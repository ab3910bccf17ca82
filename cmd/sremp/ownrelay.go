package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sremp/sremp/identity"
)

// ownServerDir is where the profile's own server keeps its key and its mail.
const ownServerDir = "server"

// A firstLine hands on the first line that is written to it.
type firstLine struct {
	mu   sync.Mutex
	b    bytes.Buffer
	line chan string // capacity 1
	done bool
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return len(p), nil
	}
	f.b.Write(p)
	if line, _, ok := strings.Cut(f.b.String(), "\n"); ok {
		f.line <- line
		f.done = true
	}
	return len(p), nil
}

// serveSelf runs a server beside the client, whose first user is the client:
// its contacts leave their mail where its owner is, and no one else's computer
// is needed. stop ends it.
func (a *app) serveSelf(ctx context.Context, s *session, listen, public string) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	out := &firstLine{line: make(chan string, 1)}
	server := *a
	server.stdout = out
	ended := make(chan error, 1)
	go func() {
		ended <- server.runServer(ctx, serverOptions{
			dir: filepath.Join(a.profile, ownServerDir), listen: listen, public: public,
			relay: true, rendezvous: true, admission: "open", websocket: "none",
		})
	}()
	stop = func() error {
		cancel()
		return <-ended
	}
	select {
	case line := <-out.line:
		var addr identity.ServerAddr
		if addr, err = identity.ParseServerAddr(strings.TrimPrefix(line, "address: ")); err == nil {
			err = s.AddServer(ctx, addr)
		}
		if err != nil {
			return nil, fmt.Errorf("the own server: %w", firstError(err, stop()))
		}
		return stop, nil
	case err := <-ended:
		cancel()
		return nil, err
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
