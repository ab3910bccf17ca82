package transport

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A hello probe (spec §5.5) is type(1) nonce(24) and, sealed, kind(1) call(16)
// cookie(32) length(2) payload, zeros up to 1200 bytes in all: replies are as
// long as requests.
const (
	helloRequest = firstHello
	helloReply   = firstHello + 1

	helloLen     = 1200
	helloSealed  = 1 + chacha20poly1305.NonceSizeX
	helloBodyLen = helloLen - helloSealed - chacha20poly1305.Overhead
	helloHeadLen = 1 + 16 + 32 + 2

	// MaxHello is the most bytes of a hello's payload and of its reply.
	MaxHello = helloBodyLen - helloHeadLen

	kindHello  = 1 // with a cookie of zeros at first
	kindCookie = 2 // "say that again with this cookie"
	kindAnswer = 3
)

// Contexts of the hello keys and cookies.
const (
	contextHelloRequest = "SREMP v1 hello request"
	contextHelloReply   = "SREMP v1 hello reply"
)

// Tuning of hellos.
const (
	helloRetry     = 250 * time.Millisecond
	maxHelloRetry  = 2 * time.Second
	maxHelloTo     = 16
	cookieLifetime = time.Minute // a cookie lives one to two of these
	// Opening a stranger's packet costs a microsecond for each key; so many a
	// second at most.
	helloRate     = 200
	maxHelloKeys  = 64
	maxHelloCalls = 4  // handlers running for one key
	maxHelloSeen  = 64 // payloads remembered for one key
)

type helloState struct {
	secret [32]byte // of cookies; constant

	mu       sync.Mutex
	handlers []*helloHandler
	calls    map[[16]byte]*helloCall
	budget   int // packets that may still be opened in this second
	second   int64
}

// A helloHandler answers the hellos of one key.
type helloHandler struct {
	keys helloKeys
	f    func(from netip.AddrPort, payload []byte) []byte

	// Guarded by helloState.mu.
	running int
	seen    []helloSeen // oldest first
}

// A helloSeen makes retransmissions and replays of one payload one call.
type helloSeen struct {
	payload [32]byte // SHA-256
	answer  []byte   // nil while the handler runs
}

// A helloCall is one running SendHello.
type helloCall struct {
	keys    helloKeys
	replies chan helloMessage
}

type helloMessage struct {
	kind    byte
	call    [16]byte
	cookie  [32]byte
	payload []byte
	from    netip.AddrPort
}

type helloKeys struct{ request, reply cipher.AEAD }

func newHelloKeys(key [32]byte) helloKeys {
	aead := func(context string) cipher.AEAD {
		k, err := hkdf.Key(sha256.New, key[:], nil, context, chacha20poly1305.KeySize)
		if err != nil {
			panic(err)
		}
		a, err := chacha20poly1305.NewX(k)
		if err != nil {
			panic(err)
		}
		return a
	}
	return helloKeys{aead(contextHelloRequest), aead(contextHelloReply)}
}

func sealHello(a cipher.AEAD, typ byte, m helloMessage) []byte {
	b := make([]byte, helloSealed, helloLen)
	b[0] = typ
	rand.Read(b[1:])
	body := make([]byte, helloBodyLen)
	body[0] = m.kind
	copy(body[1:], m.call[:])
	copy(body[17:], m.cookie[:])
	binary.BigEndian.PutUint16(body[49:], uint16(len(m.payload)))
	copy(body[helloHeadLen:], m.payload)
	return a.Seal(b, b[1:], body, b[:1])
}

func openHello(a cipher.AEAD, b []byte) (m helloMessage, ok bool) {
	if len(b) != helloLen {
		return m, false
	}
	body, err := a.Open(nil, b[1:helloSealed], b[helloSealed:], b[:1])
	if err != nil {
		return m, false
	}
	n := int(binary.BigEndian.Uint16(body[49:]))
	if n > MaxHello {
		return m, false
	}
	m = helloMessage{kind: body[0], call: [16]byte(body[1:]), cookie: [32]byte(body[17:]), payload: body[helloHeadLen:][:n]}
	return m, true
}

func (h *helloState) init() {
	rand.Read(h.secret[:])
	h.calls = make(map[[16]byte]*helloCall)
}

// cookie proves that its bearer receives at an address (spec §5.5.2).
func (h *helloState) cookie(from netip.AddrPort, epoch int64) (c [32]byte) {
	mac := hmac.New(sha256.New, h.secret[:])
	a := from.Addr().As16()
	mac.Write(a[:])
	mac.Write(binary.BigEndian.AppendUint16(nil, from.Port()))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(epoch)))
	mac.Sum(c[:0])
	return c
}

func cookieEpoch(now time.Time) int64 { return now.Unix() / int64(cookieLifetime/time.Second) }

func (h *helloState) validCookie(from netip.AddrPort, now time.Time, got [32]byte) bool {
	epoch := cookieEpoch(now)
	for _, e := range []int64{epoch, epoch - 1} {
		if want := h.cookie(from, e); hmac.Equal(want[:], got[:]) {
			return true
		}
	}
	return false
}

// spendLocked takes one packet off this second's budget.
func (h *helloState) spendLocked(now time.Time) bool {
	if s := now.Unix(); s != h.second {
		h.second, h.budget = s, helloRate
	}
	if h.budget == 0 {
		return false
	}
	h.budget--
	return true
}

// handleHello runs on the read loop.
func (e *Endpoint) handleHello(from netip.AddrPort, b []byte) {
	if len(b) != helloLen {
		return
	}
	h := &e.hello
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch b[0] {
	case helloRequest:
		if len(h.handlers) == 0 || !h.spendLocked(now) {
			return
		}
		for _, x := range h.handlers {
			if m, ok := openHello(x.keys.request, b); ok {
				e.answerHelloLocked(x, now, from, m)
				return
			}
		}
	case helloReply:
		if len(h.calls) == 0 || !h.spendLocked(now) {
			return
		}
		for id, c := range h.calls {
			if m, ok := openHello(c.keys.reply, b); ok && m.call == id {
				m.from = from
				select {
				case c.replies <- m:
				default:
				}
				return
			}
		}
	}
}

func (e *Endpoint) answerHelloLocked(x *helloHandler, now time.Time, from netip.AddrPort, m helloMessage) {
	if m.kind != kindHello {
		return
	}
	if !e.hello.validCookie(from, now, m.cookie) {
		cookie := e.hello.cookie(from, cookieEpoch(now))
		e.m.send(from, sealHello(x.keys.reply, helloReply, helloMessage{kind: kindCookie, call: m.call, cookie: cookie}))
		return
	}
	sum := sha256.Sum256(m.payload)
	if i := slices.IndexFunc(x.seen, func(s helloSeen) bool { return s.payload == sum }); i >= 0 {
		if answer := x.seen[i].answer; answer != nil {
			e.m.send(from, sealHello(x.keys.reply, helloReply, helloMessage{kind: kindAnswer, call: m.call, payload: answer}))
		}
		return
	}
	if x.running >= maxHelloCalls {
		return
	}
	x.running++
	x.seen = append(x.seen, helloSeen{payload: sum})
	if len(x.seen) > maxHelloSeen {
		x.seen = slices.Delete(x.seen, 0, 1)
	}
	// Not under e.mu's order: run takes e.mu, which never waits for h.mu.
	if !e.run(func() { e.callHello(x, from, m, sum) }) {
		x.running--
	}
}

func (e *Endpoint) callHello(x *helloHandler, from netip.AddrPort, m helloMessage, sum [32]byte) {
	answer := x.f(from, m.payload)
	if len(answer) > MaxHello {
		answer = nil
	}
	e.hello.mu.Lock()
	defer e.hello.mu.Unlock()
	x.running--
	i := slices.IndexFunc(x.seen, func(s helloSeen) bool { return s.payload == sum })
	switch {
	case answer == nil:
		if i >= 0 {
			x.seen = slices.Delete(x.seen, i, i+1) // it may be asked again
		}
		return
	case i >= 0:
		x.seen[i].answer = answer
	}
	e.m.send(from, sealHello(x.keys.reply, helloReply, helloMessage{kind: kindAnswer, call: m.call, payload: answer}))
}

// OnHello answers hello probes sealed with key (spec §5.5): f gets the payload
// and returns that of the reply, at most MaxHello bytes, or nil for silence. f
// runs on a goroutine of its own, once for each payload that it answers, and
// only for senders that have proven their address. Endpoint.Close waits for it.
// remove ends it; a 65th key is ignored.
func (e *Endpoint) OnHello(key [32]byte, f func(from netip.AddrPort, payload []byte) (reply []byte)) (remove func()) {
	x := &helloHandler{keys: newHelloKeys(key), f: f}
	e.hello.mu.Lock()
	defer e.hello.mu.Unlock()
	if len(e.hello.handlers) < maxHelloKeys {
		e.hello.handlers = append(e.hello.handlers, x)
	}
	return func() {
		e.hello.mu.Lock()
		defer e.hello.mu.Unlock()
		e.hello.handlers = slices.DeleteFunc(e.hello.handlers, func(o *helloHandler) bool { return o == x })
	}
}

// SendHello sends a hello probe to at most 16 addresses, again and again, until
// one answers or ctx ends. payload has at most MaxHello bytes.
func (e *Endpoint) SendHello(ctx context.Context, key [32]byte, to []netip.AddrPort, payload []byte) (from netip.AddrPort, reply []byte, err error) {
	if len(payload) > MaxHello {
		return from, nil, fmt.Errorf("transport: a hello of %d bytes, at most %d fit", len(payload), MaxHello)
	}
	ctx, stop := e.bind(ctx)
	defer stop()
	c := &helloCall{keys: newHelloKeys(key), replies: make(chan helloMessage, maxHelloTo)}
	var id [16]byte
	rand.Read(id[:])
	e.hello.mu.Lock()
	e.hello.calls[id] = c
	e.hello.mu.Unlock()
	defer func() {
		e.hello.mu.Lock()
		delete(e.hello.calls, id)
		e.hello.mu.Unlock()
	}()

	cookies := make(map[netip.AddrPort][32]byte)
	for _, a := range to[:min(len(to), maxHelloTo)] {
		cookies[unmap(a)] = [32]byte{}
	}
	send := func(a netip.AddrPort) {
		e.m.send(a, sealHello(c.keys.request, helloRequest, helloMessage{kind: kindHello, call: id, cookie: cookies[a], payload: payload}))
	}
	wait := helloRetry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			for a := range cookies {
				send(a)
			}
			timer.Reset(wait)
			wait = min(2*wait, maxHelloRetry)
		case m := <-c.replies:
			if _, ok := cookies[m.from]; !ok {
				continue
			}
			switch m.kind {
			case kindCookie:
				if cookies[m.from] != m.cookie {
					cookies[m.from] = m.cookie
					send(m.from)
				}
			case kindAnswer:
				return m.from, m.payload, nil
			}
		case <-ctx.Done():
			if e.ctx.Err() != nil {
				return from, nil, ErrClosed
			}
			return from, nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
		}
	}
}
