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

// An outbox sends the frames of one connection from a goroutine of its own, so
// that nobody waits for somebody else's slow reader.
type outbox struct {
	link   link
	frames chan output
	ended  chan struct{} // closed by end
	end    func()
	done   chan struct{} // closed when the goroutine has ended

	// changed makes the frame that tells of a subscribed name. It is called when
	// the frame can be sent, so that of many changes the last is told.
	changed func(name [32]byte) output
	wake    chan struct{} // capacity 1: there are changes

	mu      sync.Mutex
	changes map[[32]byte]struct{} // not told yet; at most the subscriptions
}

func newOutbox(l link, s stream, changed func(name [32]byte) output) *outbox {
	o := &outbox{
		link: l, frames: make(chan output, outboxLen), ended: make(chan struct{}), done: make(chan struct{}),
		changed: changed, wake: make(chan struct{}, 1),
	}
	o.end = sync.OnceFunc(func() { close(o.ended) })
	go func() {
		defer close(o.done)
		for {
			var f output
			select {
			case f = <-o.frames:
			case <-o.wake:
				name, ok := o.nextChange()
				if !ok {
					continue
				}
				f = o.changed(name)
			case <-o.ended:
				return
			}
			if err := transport.WriteFrame(s, f.typ, f.payload); err != nil {
				l.Close(codeDone, "")
				return
			}
		}
	}()
	return o
}

// tell notes that a subscribed name has changed.
func (o *outbox) tell(name [32]byte) {
	o.mu.Lock()
	if o.changes == nil {
		o.changes = make(map[[32]byte]struct{})
	}
	o.changes[name] = struct{}{}
	o.mu.Unlock()
	notify(o.wake)
}

// nextChange takes one of the changes, and wakes the goroutine for the others.
func (o *outbox) nextChange() (name [32]byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name = range o.changes {
		delete(o.changes, name)
		ok = true
		break
	}
	if len(o.changes) > 0 {
		notify(o.wake)
	}
	return name, ok
}

// notify wakes who waits on a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push queues what somebody else caused. A connection that has no room for it
// ends: it does not take what it is there for.
func (o *outbox) push(typ uint16, payload []byte) {
	select {
	case o.frames <- output{typ: typ, payload: payload}:
	default:
		o.link.Close(codeBusy, "too slow")
	}
}

// send queues what the caller's own side caused, and waits for room.
func (o *outbox) send(ctx context.Context, typ uint16, payload []byte) error {
	select {
	case o.frames <- output{typ: typ, payload: payload}:
		return nil
	case <-o.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the goroutine and waits for it. The link must be closed before, so
// that no write blocks.
func (o *outbox) close() {
	o.end()
	<-o.done
}

// readFrame reads one frame with bounded memory.
func readFrame(s stream) (typ uint16, payload []byte, err error) {
	return transport.ReadFrame(s, wire.MaxRendezvousFrame)
}

// closeOn closes the link when ctx ends; stop releases it.
func closeOn(ctx context.Context, l link) (stop func() bool) {
	return context.AfterFunc(ctx, func() { l.Close(codeDone, "") })
}
