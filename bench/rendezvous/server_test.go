// Package rendezvous_test is the load generator of the rendezvous: servers in
// processes of their own, clients over real QUIC connections on loopback.
package rendezvous_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/sqlite"
	"github.com/sremp/sremp/transport"
)

// Environment of the server's process: what it serves, where, from which file.
const (
	envServe  = "SREMP_LAB_SERVE" // sremp or quic
	envListen = "SREMP_LAB_LISTEN"
	envFile   = "SREMP_LAB_FILE" // empty: in memory
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(envServe); kind != "" {
		if err := serve(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// wide are limits that a load from one address does not reach.
func wide() rendezvous.Limits {
	much := rendezvous.Rate{Burst: 1 << 30, Every: time.Nanosecond}
	return rendezvous.Limits{
		MaxConns: 1 << 20, MaxConnsPerPrefix: 1 << 20, MaxRecords: 1 << 22, MaxNames: 1 << 20,
		Register: much, Renew: much, Lookup: much, Browse: much, Introduce: much, Offer: much, PrefixFactor: 1,
	}
}

func labKey() *identity.ServerKey {
	k, err := identity.NewServerKey(bytes.Repeat([]byte{5}, 32))
	if err != nil {
		panic(err)
	}
	return k
}

// serve is the process of a server. It prints its address, answers each line on
// standard input with its memory in bytes and its CPU time in microseconds, and
// ends with the input.
func serve(kind string) error {
	addr, err := net.ResolveUDPAddr("udp4", os.Getenv(envListen))
	if err != nil {
		return err
	}
	pc, err := net.ListenUDP("udp4", addr)
	if err != nil {
		return err
	}
	closing, err := map[string]func(*net.UDPConn) (func(), error){"sremp": serveSremp, "quic": serveQUIC}[kind](pc)
	if err != nil {
		return err
	}
	fmt.Println(pc.LocalAddr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "memory" {
			for range 3 { // as idle servers do every two minutes; each halves stacks that are too large
				debug.FreeOSMemory()
			}
		}
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		fmt.Println(resident(), time.Duration(u.Utime.Nano()+u.Stime.Nano()).Microseconds())
	}
	closing()
	return nil
}

// resident is the process's own memory: what is mapped of files is the kernel's
// to drop.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages, file int64
	fmt.Sscan(string(b), &size, &pages, &file)
	return (pages - file) * int64(os.Getpagesize())
}

func serveSremp(pc *net.UDPConn) (func(), error) {
	c := rendezvous.ServerConfig{Key: labKey(), Limits: wide()}
	closeStore := func() error { return nil }
	if path := os.Getenv(envFile); path != "" {
		st, err := sqlite.Open(context.Background(), path)
		if err != nil {
			return nil, err
		}
		c.Store, closeStore = st, st.Close
	}
	s, err := rendezvous.NewServer(c)
	if err != nil {
		return nil, err
	}
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: c.Key, Services: map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: s.Serve},
	})
	if err != nil {
		return nil, err
	}
	return func() {
		_ = s.Close()
		_ = ep.Close()
		_ = closeStore()
	}, nil
}

func quicConfig() *quic.Config {
	return &quic.Config{MaxIdleTimeout: 15 * time.Second, KeepAlivePeriod: 5 * time.Second}
}

// serveQUIC is the yardstick: quic-go, and nothing on it.
func serveQUIC(pc *net.UDPConn) (func(), error) {
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	ln, err := quic.Listen(pc, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"lab"}}, quicConfig())
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			if _, err := ln.Accept(context.Background()); err != nil {
				return // closed
			}
		}
	}()
	return func() { _ = ln.Close() }, nil
}

// A process is a server that runs.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	addr identity.ServerAddr
}

// apart keeps this process off the first core, which servers get for themselves,
// and reports whether there is more than one.
var apart = sync.OnceValue(func() bool {
	n := runtime.NumCPU()
	if n < 2 {
		return false
	}
	var others unix.CPUSet
	for cpu := 1; cpu < n; cpu++ {
		others.Set(cpu)
	}
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return false
	}
	for _, path := range threads { // new ones do as those that make them
		if tid, err := strconv.Atoi(filepath.Base(path)); err != nil || unix.SchedSetaffinity(tid, &others) != nil {
			return false
		}
	}
	runtime.GOMAXPROCS(n - 1)
	return true
})

// cores says how the machine is shared.
func cores() string {
	if apart() {
		return "the server on a core of its own"
	}
	return "server and generator share one core"
}

// start runs a server on one core: Go code runs on one thread at a time.
func start(t testing.TB, kind, listen, file string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0])}
	if apart() {
		p.cmd = exec.Command("taskset", "-c", "0", os.Args[0])
	}
	p.cmd.Env = append(os.Environ(), envServe+"="+kind, envListen+"="+listen, envFile+"="+file, "GOMAXPROCS=1")
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	runtime.LockOSThread() // Pdeathsig is of the thread
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	if !p.out.Scan() {
		t.Fatal("the server did not start")
	}
	host, port, err := net.SplitHostPort(strings.TrimSpace(p.out.Text()))
	if err != nil {
		t.Fatal(err)
	}
	p.addr = identity.ServerAddr{ID: labKey().ID(), Host: host}
	fmt.Sscan(port, &p.addr.Port)
	return p
}

func (p *process) stop() {
	if p.in != nil {
		p.in.Close()
		p.in = nil
		_ = p.cmd.Wait()
	}
}

// usage returns the server's resident memory and CPU time.
func (p *process) usage(question string) (bytes int64, cpu time.Duration) {
	p.t.Helper()
	fmt.Fprintln(p.in, question)
	if !p.out.Scan() {
		p.t.Fatal("the server has ended")
	}
	var us int64
	if _, err := fmt.Sscan(p.out.Text(), &bytes, &us); err != nil {
		p.t.Fatal(err)
	}
	return bytes, time.Duration(us) * time.Microsecond
}
