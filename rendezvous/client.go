package rendezvous

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// contextRegistration is the context of a registration's signature (spec §7.4.2).
const contextRegistration = "SREMP v1 rendezvous registration"

const (
	// maxSkew is how far the server's clock may be from ours and still set the
	// period: a server that lies more would move us to a day of its choice.
	maxSkew = 24 * time.Hour
	// introQueue bounds the introductions that the application has not taken.
	introQueue = 16
)

// MaxIntroduction is the most bytes of an offer or an answer.
const MaxIntroduction = introductionSize - 2

const introductionSize = 4096

var introductionBuckets = []int{introductionSize}

// A Client is an open connection to one rendezvous. Who is connected and has
// registered is online there. Its methods may be used concurrently.
type Client struct {
	server  identity.ServerID
	link    link
	out     *outbox
	welcome wire.RendezvousWelcome
	intros  chan Introduction
	changes chan Change
	done    chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	err     error         // why done is closed
	offset  time.Duration // of the server's clock to ours, as last heard
	next    uint32
	waiting map[uint32]chan<- reply
	names   map[[32]byte]ownName // what we registered
	subs    map[[32]byte]ownName // what we subscribed to
	answers map[[16]byte]chan<- wire.RendezvousStatus
}

// A reply is the payload that answers a request, as its frame came.
type reply struct {
	typ     uint16
	payload []byte
}

// An ownName is what opens the records of, and offers to, one blinded key.
type ownName struct {
	id     identity.PeerID
	lookup [32]byte
	period uint64
}

// An Introduction is an offer of somebody who knows our lookup secret. The
// rendezvous may repeat one, or hold it back.
type Introduction struct {
	Sealed []byte // as given to [Client.Introduce]
	// Answer sends the answer, at most MaxIntroduction bytes, and returns when
	// the other side has been told to begin, at the same moment as we: begin now.
	// ErrTimeout means that it no longer waits. Call it once.
	Answer func(ctx context.Context, sealed []byte) error
}

// newClient says hello and starts the reader.
func newClient(ctx context.Context, server identity.ServerID, l link, s stream) (*Client, error) {
	stop := closeOn(ctx, l)
	defer stop()
	c := &Client{
		server: server, link: l,
		intros: make(chan Introduction, introQueue), changes: make(chan Change, subscriptionQueue), done: make(chan struct{}),
		waiting: make(map[uint32]chan<- reply), names: make(map[[32]byte]ownName), subs: make(map[[32]byte]ownName),
		answers: make(map[[16]byte]chan<- wire.RendezvousStatus),
	}
	c.out = newOutbox(l, s, nil)
	c.out.push(wire.FrameRendezvousHello, wire.RendezvousHello{Version: version}.Append(nil))
	typ, b, err := readFrame(s)
	if err == nil {
		c.welcome, err = wire.ParseRendezvousWelcome(b)
	}
	if err == nil && (typ != wire.FrameRendezvousWelcome || c.welcome.Version != version) {
		err = ErrProtocol
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		l.Close(codeProtocol, "")
		c.out.close()
		return nil, fmt.Errorf("rendezvous: greeting the server: %w", errors.Join(err, ctx.Err()))
	}
	c.heardTime(c.welcome.Time)
	go c.read(s)
	return c, nil
}

// Observed returns our address as the server sees it.
func (c *Client) Observed() netip.AddrPort { return c.welcome.Observed }

// ServerTime returns what time it is by the authenticated server's clock. It
// differs from ours by the clocks' difference and the delay of one packet.
func (c *Client) ServerTime() time.Time { return time.Now().Add(c.clockOffset()) }

func (c *Client) heardTime(ms uint64) {
	offset := time.Until(time.UnixMilli(int64(min(ms, math.MaxInt64))))
	c.mu.Lock()
	c.offset = offset
	c.mu.Unlock()
}

func (c *Client) clockOffset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// MaxTTL returns the longest registration that the server grants.
func (c *Client) MaxTTL() time.Duration { return time.Duration(c.welcome.MaxTTL) * time.Second }

// Introductions returns offers to us. It is closed when the connection ends.
func (c *Client) Introductions() <-chan Introduction { return c.intros }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, nil before that.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and waits for its goroutines. Registered records
// stay until they expire; we are no longer online.
func (c *Client) Close() error {
	err := c.link.Close(codeDone, "")
	<-c.done
	return err
}

// period returns the period that the server will accept: its own if its clock
// is within a day of ours (spec §7.2.2).
func (c *Client) period(now time.Time) uint64 { return Period(c.clock(now)) }

// clock is now by the server's clock, if that may be believed.
func (c *Client) clock(now time.Time) time.Time {
	if offset := c.clockOffset(); offset.Abs() <= maxSkew {
		now = now.Add(offset)
	}
	return now
}

// Register stores content for those who know l's lookup secret, under the
// current period and the next, and makes us online. Calling it again renews or
// replaces. A ttl of 0 means the longest that the server grants; it also bounds
// longer ones. ErrClock means that our clock and the server's differ too much.
func (c *Client) Register(ctx context.Context, now time.Time, l *identity.Local, lookup [32]byte, content Content, ttl time.Duration) error {
	if ttl <= 0 || ttl > c.MaxTTL() {
		ttl = c.MaxTTL()
	}
	seconds := uint32(max(ttl/time.Second, 1))
	period := c.period(now)
	for _, p := range []uint64{period, period + 1} {
		sealed, err := sealRecord(l.IdentityKey(), lookup, p, content, now)
		if err != nil {
			return err
		}
		if err := c.register(ctx, l, lookup, p, seconds, sealed); err != nil {
			return err
		}
	}
	return nil
}

// Unregister removes what [Client.Register] stored.
func (c *Client) Unregister(ctx context.Context, now time.Time, l *identity.Local, lookup [32]byte) error {
	period := c.period(now)
	for _, p := range []uint64{period, period + 1} {
		if err := c.register(ctx, l, lookup, p, 0, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) register(ctx context.Context, l *identity.Local, lookup [32]byte, period uint64, ttl uint32, sealed []byte) error {
	bk := blindKey(l.IdentityKey(), lookup, period)
	x := wire.RendezvousRegister{Blinded: bk.public, Period: period, TTL: ttl, Sealed: sealed}
	x.Signature = bk.sign(contextRegistration, registrationMessage(c.server, c.link.Binding(), x))
	if ttl > 0 {
		// Before the request: an offer may overtake its answer.
		c.mu.Lock()
		c.names[bk.public] = ownName{l.PeerID(), lookup, period}
		c.forgetOldNames(period)
		c.mu.Unlock()
	}
	_, err := c.registration(ctx, wire.FrameRendezvousRegister, func(req uint32) []byte {
		x.Request = req
		return x.Append(nil)
	})
	if ttl == 0 && err == nil {
		c.mu.Lock()
		delete(c.names, bk.public)
		c.mu.Unlock()
	}
	return err
}

// forgetOldNames drops the names of periods that are over. It holds c.mu.
func (c *Client) forgetOldNames(period uint64) {
	for _, names := range []map[[32]byte]ownName{c.names, c.subs} {
		for blinded, n := range names {
			if n.period+1 < period {
				delete(names, blinded)
			}
		}
	}
}

// registrationMessage is what the blinded key signs: it fits one connection to
// one server only (spec §7.4.2).
func registrationMessage(server identity.ServerID, binding [32]byte, x wire.RendezvousRegister) []byte {
	b := append(append(append([]byte(nil), server[:]...), binding[:]...), x.Blinded[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Period)
	b = binary.BigEndian.AppendUint32(b, x.TTL)
	h := sha256.Sum256(x.Sealed)
	return append(b, h[:]...)
}

// Lookup returns what id tells those who know its lookup secret, and whether it
// is connected to the server. ErrNotFound covers absent and hidden alike, and
// records that are not authentic.
func (c *Client) Lookup(ctx context.Context, now time.Time, id identity.PeerID, lookup [32]byte) (content *Content, online bool, err error) {
	x, err := c.find(ctx, now, id, lookup)
	return x.Content, x.Online, err
}

// find is Lookup, with the lifetime that the record has left.
func (c *Client) find(ctx context.Context, now time.Time, id identity.PeerID, lookup [32]byte) (Change, error) {
	name := BlindedName(id, lookup, c.period(now))
	b, err := c.call(ctx, wire.FrameRendezvousLookup, wire.FrameRendezvousFound, func(req uint32) []byte {
		return wire.RendezvousLookup{Request: req, Blinded: name.Blinded}.Append(nil)
	})
	if err != nil {
		return Change{}, err
	}
	found, err := wire.ParseRendezvousFound(b)
	if err != nil {
		return Change{}, c.fail(err)
	}
	return openFound(found, ownName{id, lookup, name.Period})
}

// Introduce passes sealed, at most MaxIntroduction bytes, to id, and returns its
// answer: both sides learn of it at one moment, and begin. ErrOffline if id is
// not connected to this server or hidden from us, ErrTimeout if it does not
// answer. The server sees neither the length nor that the bytes are the same as
// before.
func (c *Client) Introduce(ctx context.Context, now time.Time, id identity.PeerID, lookup [32]byte, sealed []byte) (answer []byte, err error) {
	name := BlindedName(id, lookup, c.period(now))
	offer, err := sealPadded(periodAEAD(contextOfferKey, id, lookup, name.Period), name.Blinded[:], sealed, introductionBuckets)
	if err != nil {
		return nil, err
	}
	b, err := c.call(ctx, wire.FrameRendezvousIntroduce, wire.FrameRendezvousIntroduced, func(req uint32) []byte {
		return wire.RendezvousIntroduce{Request: req, Blinded: name.Blinded, Offer: offer}.Append(nil)
	})
	if err != nil {
		return nil, err
	}
	x, err := wire.ParseRendezvousIntroduced(b)
	if err != nil {
		return nil, c.fail(err)
	}
	if err := statusError(x.Status); err != nil {
		return nil, err
	}
	answer, ok := openPadded(periodAEAD(contextAnswerKey, id, lookup, name.Period), answerData(offer), x.Answer, introductionBuckets)
	if !ok {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, errBadRecord)
	}
	return answer, nil
}

// RTT returns the round trip to the server, 0 if it is not known.
func (c *Client) RTT() time.Duration {
	if l, ok := c.link.(interface{ RTT() time.Duration }); ok {
		return l.RTT()
	}
	return 0
}

// answerData binds an answer to its offer.
func answerData(offer []byte) []byte {
	h := sha256.Sum256(offer)
	return h[:]
}

// call sends a request and returns the payload of its answer.
func (c *Client) call(ctx context.Context, typ, want uint16, request func(uint32) []byte) ([]byte, error) {
	ch := make(chan reply, 1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return nil, c.err
	}
	c.next++
	req := c.next
	c.waiting[req] = ch
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, req)
		c.mu.Unlock()
	}()
	if err := c.out.send(ctx, typ, request(req)); err != nil {
		return nil, err
	}
	select {
	case r := <-ch:
		if r.typ != want {
			return nil, c.fail(ErrProtocol)
		}
		return r.payload, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, c.Err()
	}
}

// fail ends the connection: the server does not speak our protocol.
func (c *Client) fail(err error) error {
	c.link.Close(codeProtocol, "")
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}

// read owns the stream's receiving side until the connection ends.
func (c *Client) read(s stream) {
	var err error
	for err == nil {
		var typ uint16
		var b []byte
		if typ, b, err = readFrame(s); err == nil {
			err = c.handle(typ, b)
		}
	}
	code := uint64(codeDone)
	if errors.Is(err, ErrProtocol) {
		code = codeProtocol
	}
	c.link.Close(code, "")
	c.out.close()
	c.mu.Lock()
	c.err = fmt.Errorf("%w: %w", ErrClosed, err)
	c.mu.Unlock()
	close(c.intros)
	close(c.changes)
	close(c.done)
}

func (c *Client) handle(typ uint16, b []byte) error {
	switch typ {
	case wire.FrameRendezvousRegistered, wire.FrameRendezvousFound, wire.FrameRendezvousIntroduced,
		wire.FrameRendezvousPage, wire.FrameRendezvousKnown, wire.FrameRendezvousAttested:
		if len(b) < 4 {
			return ErrProtocol
		}
		c.mu.Lock()
		ch := c.waiting[binary.BigEndian.Uint32(b)]
		delete(c.waiting, binary.BigEndian.Uint32(b))
		c.mu.Unlock()
		if ch != nil { // else the caller has given up
			ch <- reply{typ, b}
		}
	case wire.FrameRendezvousOffer:
		x, err := wire.ParseRendezvousOffer(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		c.handleOffer(x)
	case wire.FrameRendezvousChanged:
		x, err := wire.ParseRendezvousChanged(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		c.handleChanged(x)
	case wire.FrameRendezvousGo:
		x, err := wire.ParseRendezvousGo(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		c.mu.Lock()
		ch := c.answers[x.Introduction]
		delete(c.answers, x.Introduction)
		c.mu.Unlock()
		if ch != nil {
			ch <- x.Status
		}
	default:
		return fmt.Errorf("%w: frame type %#04x", ErrProtocol, typ)
	}
	return nil
}

// handleOffer drops, without a word, what was not sealed by somebody who knows
// the lookup secret, and what the application is too slow for.
func (c *Client) handleOffer(x wire.RendezvousOffer) {
	c.mu.Lock()
	own, ok := c.names[x.Blinded]
	c.mu.Unlock()
	if !ok {
		return
	}
	plain, ok := openPadded(periodAEAD(contextOfferKey, own.id, own.lookup, own.period), x.Blinded[:], x.Offer, introductionBuckets)
	if !ok {
		return
	}
	in := Introduction{Sealed: plain, Answer: func(ctx context.Context, sealed []byte) error {
		return c.answer(ctx, own, x, sealed)
	}}
	select {
	case c.intros <- in:
	default:
	}
}

func (c *Client) answer(ctx context.Context, own ownName, x wire.RendezvousOffer, sealed []byte) error {
	blob, err := sealPadded(periodAEAD(contextAnswerKey, own.id, own.lookup, own.period), answerData(x.Offer), sealed, introductionBuckets)
	if err != nil {
		return err
	}
	ch := make(chan wire.RendezvousStatus, 1)
	c.mu.Lock()
	c.answers[x.Introduction] = ch
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.answers, x.Introduction)
		c.mu.Unlock()
	}()
	frame := wire.RendezvousAnswer{Introduction: x.Introduction, Answer: blob}.Append(nil)
	if err := c.out.send(ctx, wire.FrameRendezvousAnswer, frame); err != nil {
		return err
	}
	select {
	case s := <-ch:
		return statusError(s)
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
}
