// Package shell is what the desktop program is to its desktop beyond its window,
// over the session bus and in files that desktops read:
//
//   - notifications (https://specifications.freedesktop.org/notification-spec),
//   - an icon in the tray (https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem)
//     with a menu (com.canonical.dbusmenu) and a number on the launcher's icon,
//   - one program for a profile, to which a second start gives its link
//     (Desktop Entry Specification, section "D-Bus Activation"),
//   - the start with the session (Desktop Application Autostart Specification),
//   - what is remembered of the window.
//
// All of it may be missing: without a session bus a [Shell] does nothing. No
// method waits for the bus but [Connect] and [Shell.Claim].
package shell

import (
	"context"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// AppID names the program: its files, its icon, and its beginning on the bus.
const AppID = "io.github.sremp.Desktop"

const (
	// callTime bounds a call to another program.
	callTime = 5 * time.Second
	// queued bounds what waits for the bus; more is dropped.
	queued = 256
)

// Events are what other programs ask for. They are called on a goroutine of the
// Shell, one at a time. A token lets a window come to the front
// (https://gitlab.freedesktop.org/wayland/wayland-protocols, xdg-activation);
// it may be empty.
type Events struct {
	Raise   func(token string)       // show the window
	Link    func(link, token string) // a link of ours was opened
	Opened  func(tag, token string)  // a notice was clicked
	Reply   func(tag, token string)  // its answer is to be written in the window
	Replied func(tag, text string)   // it was answered where it stood
	Quit    func()                   // end the program
}

// A Shell is the program's place on the session bus. Its methods may be called
// on every goroutine.
type Shell struct {
	bus  *dbus.Conn // nil without a session bus
	work chan func()
	wg   sync.WaitGroup
	done chan struct{}

	mu     sync.Mutex
	events Events
	early  []func() // asked for before Listen
	listen bool

	// The rest belongs to the worker's goroutine.
	notices notices
	tray    tray
}

// Connect joins the session bus, if there is one.
func Connect() *Shell {
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		bus = nil
	}
	return start(bus)
}

func start(bus *dbus.Conn) *Shell {
	s := &Shell{bus: bus, work: make(chan func(), queued), done: make(chan struct{})}
	if bus == nil {
		return s
	}
	signals := make(chan *dbus.Signal, queued)
	bus.Signal(signals)
	s.wg.Go(func() {
		for {
			select {
			case <-s.done:
				return
			case f := <-s.work:
				f()
			case signal, ok := <-signals:
				if !ok {
					return // the bus is gone
				}
				s.signal(signal)
			}
		}
	})
	return s
}

// Close leaves the bus.
func (s *Shell) Close() {
	close(s.done)
	s.wg.Wait()
	if s.bus != nil {
		_ = s.bus.Close() // nothing is lost
	}
}

// Listen tells to whom to give what others ask for, and gives what came before.
func (s *Shell) Listen(e Events) {
	s.mu.Lock()
	s.events, s.listen = e, true
	early := s.early
	s.early = nil
	s.mu.Unlock()
	for _, f := range early {
		f()
	}
}

// tell gives an event to the program.
func (s *Shell) tell(f func(e Events)) {
	s.mu.Lock()
	if !s.listen {
		s.early = append(s.early, func() { f(s.events) })
		s.mu.Unlock()
		return
	}
	e := s.events
	s.mu.Unlock()
	f(e)
}

// do runs f on the worker's goroutine; too much work is dropped.
func (s *Shell) do(f func()) {
	if s.bus == nil {
		return
	}
	select {
	case s.work <- f:
	default:
	}
}

// signal takes in what others say on the bus.
func (s *Shell) signal(m *dbus.Signal) {
	switch m.Name {
	case "org.freedesktop.DBus.NameOwnerChanged":
		var name, before, after string
		if dbus.Store(m.Body, &name, &before, &after) != nil {
			return
		}
		switch name {
		case watcherName:
			s.register(after != "")
		case notifyName:
			s.notices.forget()
		}
	default:
		s.noticeSignal(m)
	}
}

// call calls a method of another program and stores what it returns.
func (s *Shell) call(o dbus.BusObject, method string, args []any, results ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	c := o.CallWithContext(ctx, method, 0, args...)
	if len(results) == 0 {
		return c.Err
	}
	return c.Store(results...)
}
