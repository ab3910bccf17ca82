package rendezvous

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// ALPN is the protocol's name in TLS and in Noise's prologue.
const ALPN = "sremp-rendezvous/1"

// version is the protocol's version inside ALPN's.
const version = 1

// Application error codes of the QUIC connection (spec §7.4.4).
const (
	codeDone     = 0
	codeProtocol = 0x0201
	codeBusy     = 0x0202
	codeTimeout  = 0x0203
)

// A link is an authenticated connection; *transport.Conn is one.
type link interface {
	Binding() [32]byte
	RemoteAddr() netip.AddrPort
	Close(code uint64, reason string) error
}

// A stream is the one stream of a connection; *transport.Stream is one.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// outboxLen bounds the frames that wait to be sent. The longest is a Found of
// 16 KiB.
const outboxLen = 16

// An outbox sends the frames of one connection, so that nobody waits for somebody
// else's slow reader. Its goroutine lives while there is something to send: most
// connections are idle most of the time, and a server has many.
type outbox struct {
	link link
	st   stream
	// changed makes the frame that tells of a subscribed name. It is called when
	// the frame can be sent, so that of many changes the last is told.
	changed func(name [32]byte) output
	// inline has send write by itself when nothing is being sent: a server's
	// reader, which has nothing else to do.
	inline bool
	room   chan struct{} // capacity 1: there is room again, or the end
	wg     sync.WaitGroup

	mu      sync.Mutex
	running bool
	ended   bool
	frames  []output
	changes map[[32]byte]struct{} // not told yet; at most the subscriptions
}

func newOutbox(l link, s stream, changed func(name [32]byte) output) *outbox {
	return &outbox{link: l, st: s, changed: changed, room: make(chan struct{}, 1)}
}

// startLocked runs the goroutine if it does not run.
func (o *outbox) startLocked() {
	if !o.running && !o.ended {
		o.running = true
		o.wg.Go(o.run)
	}
}

func (o *outbox) run() {
	for {
		f, ok := o.next()
		if !ok {
			return
		}
		if err := transport.WriteFrame(o.st, f.typ, f.payload); err != nil {
			o.link.Close(codeDone, "")
			o.end()
		}
	}
}

// next returns what to send, or false when there is nothing.
func (o *outbox) next() (f output, ok bool) {
	o.mu.Lock()
	if o.ended || len(o.frames)+len(o.changes) == 0 {
		o.running = false
		o.frames = nil
		o.mu.Unlock()
		return f, false
	}
	if len(o.frames) > 0 {
		f = o.frames[0]
		o.frames[0] = output{}
		o.frames = o.frames[1:]
		o.mu.Unlock()
		notify(o.room)
		return f, true
	}
	var name [32]byte
	for name = range o.changes {
		delete(o.changes, name)
		break
	}
	o.mu.Unlock()
	return o.changed(name), true
}

// tell notes that a subscribed name has changed.
func (o *outbox) tell(name [32]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes == nil {
		o.changes = make(map[[32]byte]struct{})
	}
	o.changes[name] = struct{}{}
	o.startLocked()
}

// push queues what somebody else caused. A connection that has no room for it
// ends: it does not take what it is there for.
func (o *outbox) push(typ uint16, payload []byte) {
	if queued, _, _ := o.add(typ, payload, false); !queued {
		o.link.Close(codeBusy, "too slow")
	}
}

// add reports whether there was room, or that the end has come. If mine, the
// caller has to run the outbox.
func (o *outbox) add(typ uint16, payload []byte, here bool) (queued, ended, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || len(o.frames) >= outboxLen {
		return false, o.ended, false
	}
	o.frames = append(o.frames, output{typ: typ, payload: payload})
	if len(o.frames) < outboxLen {
		notify(o.room) // for another who waits
	}
	if here && !o.running {
		o.running = true
		return true, false, true
	}
	o.startLocked()
	return true, false, false
}

// send sends what the caller's own side caused, or queues it behind what is being
// sent, and waits for room.
func (o *outbox) send(ctx context.Context, typ uint16, payload []byte) error {
	for {
		queued, ended, mine := o.add(typ, payload, o.inline)
		switch {
		case mine:
			o.run()
			return nil
		case queued:
			return nil
		case ended:
			notify(o.room) // for another who waits
			return ErrClosed
		}
		select {
		case <-o.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	notify(o.room)
}

// close ends the goroutine and waits for it. The link must be closed before, so
// that no write blocks.
func (o *outbox) close() {
	o.end()
	o.wg.Wait()
}

// notify wakes who waits on a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readFrame reads one frame with bounded memory.
func readFrame(s stream) (typ uint16, payload []byte, err error) {
	return transport.ReadFrame(s, wire.MaxRendezvousFrame)
}

// closeOn closes the link when ctx ends; stop releases it.
func closeOn(ctx context.Context, l link) (stop func() bool) {
	return context.AfterFunc(ctx, func() { l.Close(codeDone, "") })
}
