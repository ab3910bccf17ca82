package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sremp/sremp/internal/natlab"
)

// Patience.
const (
	warmTime   = 20 * time.Second // until both sides are ready
	directTime = 13 * time.Second // from the dial until both are direct
	staysTime  = 4 * time.Second  // from the first message, where theory says relay
)

// A rival is one program, and how it is used.
type rival struct {
	name     string
	module   string   // directory of its module
	needs    []string // other programs
	includes string   // what its times include, for those who compare
	// servers starts them at a public host and returns what the peers are told.
	servers func(s *stage, program string) ([]string, error)
	// peer is a peer's command line, before what servers returned.
	peer func(name string) []string
}

func rivals() []rival {
	pion := rival{module: "pion", needs: []string{"turnserver"}, includes: "with signalling, without a key exchange", servers: pionServers}
	plain, tuned := pion, pion
	plain.name, plain.peer = "pion", func(name string) []string { return []string{"peer", name} }
	tuned.name, tuned.peer = "pion_tuned", func(name string) []string { return []string{"-tuned", "peer", name} }
	return []rival{
		{name: "libp2p", module: "libp2p", includes: "with signalling through the relay, and authentication", servers: libp2pServers,
			peer: func(string) []string { return []string{"peer"} }},
		plain, tuned,
	}
}

// A stage is one pair's networks and the servers there.
type stage struct {
	world  *natlab.World
	server *natlab.Place
	addr   string // where the servers are, IPv6 if the peers have nothing else
	dir    string
	started
}

// started are processes.
type started []*exec.Cmd

// start starts a program at a place and returns the lines that it prints.
func (s *started) start(p *natlab.Place, log io.Writer, name string, args ...string) (in io.WriteCloser, lines <-chan string, err error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = log
	if in, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout = w
	err = p.Start(cmd)
	w.Close()
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	*s = append(*s, cmd)
	out := make(chan string, 64)
	go func() {
		defer close(out)
		defer r.Close()
		for sc := bufio.NewScanner(r); sc.Scan(); {
			select {
			case out <- sc.Text():
			default: // a program that talks
			}
		}
	}()
	return in, out, nil
}

// stop ends them.
func (s *started) stop() {
	for _, cmd := range *s {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	for _, cmd := range *s {
		kill := time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how it ended is of no interest
		kill.Stop()
	}
	*s = nil
}

// await returns what follows a word at the begin of a line.
func await(ctx context.Context, lines <-chan string, word string) (string, error) {
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return "", fmt.Errorf("the program ended before it said %q", word)
			}
			if rest, ok := strings.CutPrefix(line, word+" "); ok {
				return rest, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("the program did not say %q: %w", word, ctx.Err())
		}
	}
}

func libp2pServers(s *stage, program string) ([]string, error) {
	_, lines, err := s.start(s.server, os.Stderr, program, "relay", s.server.Addr.String(), s.server.Addr6.String())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), warmTime)
	defer cancel()
	all, err := await(ctx, lines, "address")
	if err != nil {
		return nil, err
	}
	var told []string
	for _, a := range strings.Fields(all) {
		if strings.HasPrefix(a, "/ip6/") == strings.Contains(s.addr, ":") {
			told = append(told, a)
		}
	}
	return told, nil
}

func pionServers(s *stage, program string) ([]string, error) {
	turn, signalling := net.JoinHostPort(s.addr, "3478"), net.JoinHostPort(s.addr, "3480")
	// A server for these pairs alone; the package's own is not running.
	_, _, err := s.start(s.server, io.Discard, "turnserver", "-n", "--listening-ip", s.addr, "--relay-ip", s.addr, "--listening-port", "3478",
		"--lt-cred-mech", "--user", "lab:lab", "--realm", "lab", "--no-tls", "--no-dtls", "--no-cli", "--no-stdout-log", "--log-file", "/dev/null",
		"--userdb", filepath.Join(s.dir, "turn.db"), "--pidfile", filepath.Join(s.dir, "turn.pid"))
	if err != nil {
		return nil, err
	}
	_, lines, err := s.start(s.server, os.Stderr, program, "signal", signalling)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), warmTime)
	defer cancel()
	if _, err := await(ctx, lines, "address"); err != nil {
		return nil, err
	}
	// coturn says nothing; its port does.
	for {
		err := s.server.Do(func() error {
			c, err := net.DialTimeout("tcp", turn, time.Second)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err == nil {
			return []string{signalling, turn}, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("coturn does not answer: %w", err)
		}
	}
}

// play runs one rival with one pair, o.runs times.
func (o options) play(ctx context.Context, r rival, program string, p natlab.Pair) (sc score, err error) {
	w, err := natlab.NewWorld(natlab.Conditions{Delay: natlab.PairRTT / 2})
	if err != nil {
		return sc, err
	}
	defer w.Close()
	s := &stage{world: w}
	if s.dir, err = os.MkdirTemp("", "sremp-rival-"); err != nil {
		return sc, err
	}
	defer os.RemoveAll(s.dir)
	if s.server, err = w.Public(1); err != nil {
		return sc, err
	}
	s.addr = s.server.Addr.String()
	if p.A == "ipv6" {
		s.addr = s.server.Addr6.String()
	}
	a, b, err := p.Places(w)
	if err != nil {
		return sc, err
	}
	defer s.stop()
	told, err := r.servers(s, program)
	if err != nil {
		return sc, fmt.Errorf("its servers: %w", err)
	}
	for range o.runs {
		if ctx.Err() != nil {
			return sc, ctx.Err()
		}
		w.Net.Set(natlab.Conditions{Delay: natlab.PairRTT / 2})
		message, direct, err := s.dial(ctx, r, program, p, [2]*natlab.Place{a, b}, told)
		if err != nil {
			return sc, err
		}
		sc.runs++
		if message > 0 {
			sc.messages = append(sc.messages, message)
		}
		if direct > 0 {
			sc.directs = append(sc.directs, direct)
		}
	}
	return sc, nil
}

// dial lets one side dial the other, and returns how long it took until a first
// message came to the other side, and until both were direct; 0 is never.
func (s *stage) dial(ctx context.Context, r rival, program string, p natlab.Pair, places [2]*natlab.Place, told []string) (message, direct time.Duration, err error) {
	var both started
	defer both.stop()
	var in [2]io.WriteCloser
	var lines [2]<-chan string
	var names [2]string
	warm, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	for i, place := range places {
		args := append(r.peer([2]string{"ann", "bob"}[i]), told...)
		if in[i], lines[i], err = both.start(place, io.Discard, program, args...); err != nil {
			return 0, 0, err
		}
	}
	for i := range lines {
		if names[i], err = await(warm, lines[i], "ready"); err != nil {
			return 0, 0, err
		}
	}
	if p.Conditions.Loss > 0 {
		s.world.Net.Set(p.Conditions)
	}
	if _, err := fmt.Fprintf(in[0], "dial %s\n", names[1]); err != nil {
		return 0, 0, err
	}
	var at [2]map[string]int64
	at[0], at[1] = map[string]int64{}, map[string]int64{}
	end := time.NewTimer(directTime)
	defer end.Stop()
	for {
		i, line := 0, ""
		select {
		case line = <-lines[0]:
		case line = <-lines[1]:
			i = 1
		case <-end.C:
			return message, direct, nil
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
		word, nanos, _ := strings.Cut(line, " ")
		n, err := strconv.ParseInt(nanos, 10, 64)
		if err != nil {
			if line == "" { // it ended: no way to the other side
				return message, direct, nil
			}
			continue
		}
		at[i][word] = n
		begun := at[0]["begun"]
		if m := at[1]["message"]; m > 0 && message == 0 {
			message = time.Duration(m - begun)
			if !p.Direct {
				end.Reset(staysTime)
			}
		}
		if x, y := at[0]["direct"], at[1]["direct"]; x > 0 && y > 0 {
			direct = time.Duration(max(x, y) - begun)
			if message > 0 {
				return message, direct, nil
			}
		}
	}
}
