//go:build linux

package natlab

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Site is a place to run processes in: a network namespace and a thread that
// stays in it. A child dies with the thread that started it, which therefore
// lives until Close.
type Site struct {
	jobs  chan func()
	ended chan struct{}
	ns    netns.NsHandle // of a namespace of its own, else -1

	mu      sync.Mutex
	started []*exec.Cmd
}

// Here returns a site in the namespace of this process.
func Here() *Site {
	s := &Site{jobs: make(chan func()), ended: make(chan struct{}), ns: netns.None()}
	ready := make(chan error)
	onOwnThread(func() { s.run(func() error { return nil }, ready) })
	<-ready
	return s
}

// newSite returns a site in a new namespace, with its loopback up.
func newSite() (*Site, error) {
	s := &Site{jobs: make(chan func()), ended: make(chan struct{}), ns: netns.None()}
	ready := make(chan error)
	begin := func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		if s.ns, err = netns.Get(); err != nil {
			return fmt.Errorf("opening a network namespace: %w", err)
		}
		return up("lo")
	}
	onOwnThread(func() { s.run(begin, ready) })
	if err := <-ready; err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// onOwnThread runs f on a thread that ends with it: Go ends a thread whose
// goroutine ended while locked to it, except the first one.
func onOwnThread(f func()) {
	locked := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			onOwnThread(f) // elsewhere: this thread is taken until it began
			close(locked)
			return
		}
		close(locked)
		f()
	}()
	<-locked
}

func (s *Site) run(begin func() error, ready chan<- error) {
	defer close(s.ended)
	ready <- begin()
	for f := range s.jobs {
		f()
	}
}

// Do runs f in the site.
func (s *Site) Do(f func() error) error {
	result := make(chan error, 1)
	s.jobs <- func() { result <- f() }
	return <-result
}

// Start starts cmd in the site, in a process group of its own. It is killed
// when the site ends, also by the death of this process.
func (s *Site) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := s.Do(cmd.Start); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = append(s.started, cmd)
	return nil
}

// Close kills what was started in the site and ends it.
func (s *Site) Close() {
	s.mu.Lock()
	for _, cmd := range s.started {
		_ = cmd.Process.Kill() // it may have ended long ago
	}
	s.mu.Unlock()
	close(s.jobs)
	<-s.ended
	if s.ns.IsOpen() {
		_ = s.ns.Close() // nothing was written
	}
}

// NeedsEnter reports whether this process has no right to make namespaces, but
// may get it by Enter.
func NeedsEnter() bool { return os.Geteuid() != 0 }

// Enter makes cmd, before it is started, run as root of a user namespace of its
// own, where it may make network namespaces.
func Enter(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
}
