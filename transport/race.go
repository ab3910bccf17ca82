package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/nat"
)

// redialPause lies between two dials that nobody answered: the other side may
// have joined the relay session a moment later.
const redialPause = 200 * time.Millisecond

// guessTime bounds a dial to an address that nothing has shown to be the peer's:
// long enough for one round trip, too short for many packets.
const guessTime = 500 * time.Millisecond

// dialPeer dials through the relay and directly at the same time, until the peer
// is authenticated, fails to be, or ctx ends (spec §5.4.2).
func (e *Endpoint) dialPeer(ctx context.Context, at *attempt) (*PeerConn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type end struct {
		p   *PeerConn
		err error
	}
	ends := make(chan end, slots)
	ways := 0
	for slot := range slots {
		if slot == slotRelay && at.Relay == nil && at.Later == nil {
			continue
		}
		ways++
		go func() {
			p, err := e.dialWay(ctx, at, slot)
			ends <- end{p, err}
		}()
	}
	var won *PeerConn
	var last error
	for range ways {
		x := <-ends
		switch {
		case x.err == nil:
			won = x.p // there is one: see attempt.commit
		case last == nil || decides(x.err):
			last = x.err
		}
		// One way that ended decides for both.
		cancel(x.err)
	}
	if won != nil {
		return won, nil
	}
	return nil, last
}

// decides reports whether an error of one way is the peer's last word.
func decides(err error) bool { return errors.Is(err, ErrAuthentication) || errors.Is(err, ErrRefused) }

// dialWay dials through one slot again and again.
func (e *Endpoint) dialWay(ctx context.Context, at *attempt, slot int) (*PeerConn, error) {
	var last error
	guessed := at.Answering || slot != slotDirect
	for {
		to, proven, err := e.route(ctx, at, slot, &guessed)
		if err != nil {
			if last != nil {
				err = fmt.Errorf("%w (%w)", err, last)
			}
			return nil, err
		}
		p, err := e.dialSlot(ctx, at, slot, to, proven)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, errNeedXX):
			if !at.needXX.Swap(true) {
				continue
			}
		case errors.Is(err, errBetter), errors.Is(err, errGuess):
			continue
		case decides(err) && proven:
			// At an address that nothing has proven it may have been anybody.
			return nil, err
		}
		last = err
		e.log.Debug("dialling a peer failed", slog.String("peer", at.Peer.Short()), slog.Int("slot", slot), slog.Any("err", err))
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
}

// route waits until a slot leads somewhere. Slot 1 does when a probe has proven
// an address or a ping came from one, and once before: to what the peer says of
// itself. proven is false for that.
func (e *Endpoint) route(ctx context.Context, at *attempt, slot int, guessed *bool) (to netip.AddrPort, proven bool, err error) {
	told := at.told
	for {
		if ctx.Err() != nil {
			return to, false, context.Cause(ctx)
		}
		if slot == slotRelay {
			select {
			case <-at.leg:
				return to, true, nil
			case <-ctx.Done():
				return to, false, context.Cause(ctx)
			}
		}
		if to, ok := at.link.prober.heard(); ok {
			return to, true, nil
		}
		// Before it has answered the peer may not expect packets.
		if at.remote.Load() != nil {
			told = nil
			if !*guessed {
				*guessed = true
				if to, ok := e.guess(at); ok {
					// The probe comes first: it tells the other side whose packets follow.
					at.link.prober.hurry(to)
					return to, false, nil
				}
			}
		}
		select {
		case <-at.link.prober.changed:
		case <-told:
		case <-ctx.Done():
		}
	}
}

// guess returns the address at which the answering side most probably gets our
// first packet: it has opened its NAT before it answered (spec §5.22.6). A NAT
// that takes a port for each destination has none.
func (e *Endpoint) guess(at *attempt) (netip.AddrPort, bool) {
	if at.ProbeKey == [32]byte{} || at.RelayOnly {
		return netip.AddrPort{}, false
	}
	local := e.localCandidates()
	remote := *at.remote.Load()
	random, mapped := hasKind(local, nat.Random), hasKind(local, nat.Mapped)
	switch {
	case random && (at.Answering || mapped):
		// Our port for the peer is unknown to it, which matters if it filters by that; a
		// mapped one it knows, and comes there.
		return netip.AddrPort{}, false
	case hasKind(remote, nat.Random) && !hasKind(remote, nat.Mapped):
		return netip.AddrPort{}, false
	}
	v4 := e.family(local, remote)
	outside := func(c nat.Candidate) bool {
		a := c.Addr.Addr().Unmap()
		return a.IsGlobalUnicast() && !a.IsPrivate() && a.Is4() == v4
	}
	for _, kind := range []nat.CandidateKind{nat.Mapped, nat.ServerReflexive, nat.Predicted, nat.Host, nat.Manual} {
		for _, c := range remote {
			if c.Kind != kind || !outside(c) {
				continue
			}
			if slices.ContainsFunc(local, func(l nat.Candidate) bool { return l.Addr.Addr() == c.Addr.Addr() }) {
				return netip.AddrPort{}, false // behind our own NAT: there is a shorter way
			}
			return unmap(c.Addr), true
		}
	}
	return netip.AddrPort{}, false
}

func hasKind(cs []nat.Candidate, k nat.CandidateKind) bool {
	return slices.ContainsFunc(cs, func(c nat.Candidate) bool { return c.Kind == k })
}

// family reports whether IPv4 is what we and a peer have in common: IPv6 if both have
// an address, and the socket can.
func (e *Endpoint) family(local, remote []nat.Candidate) (v4 bool) {
	a := e.LocalAddr().Addr()
	six := func(c nat.Candidate) bool {
		a := c.Addr.Addr().Unmap()
		return a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate()
	}
	if a.Is6() && !a.Is4In6() && a.IsUnspecified() {
		return !slices.ContainsFunc(local, six) || !slices.ContainsFunc(remote, six)
	}
	return a.Unmap().Is4()
}

// Causes that end one dial.
var (
	errBetter = errors.New("transport: another address was proven")
	errGuess  = errors.New("transport: nobody is where the peer might have been")
	errLost   = errors.New("transport: another dial was faster")
)

// dialSlot dials through slot; to is where slot 1 leads, and proven is false if
// that is a guess.
func (e *Endpoint) dialSlot(ctx context.Context, at *attempt, slot int, to netip.AddrPort, proven bool) (*PeerConn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := func() {}
	if slot == slotDirect {
		at.link.direct.Store(&to)
		quiet = e.cancelWhenBetter(ctx, cancel, at, to)
	}
	if !proven {
		enough := time.AfterFunc(guessTime, func() {
			if _, ok := at.link.prober.heard(); !ok {
				cancel(errGuess)
			}
		})
		stopGuess := quiet
		quiet = func() { enough.Stop(); stopGuess() }
	}
	protocols := []string{alpnXX}
	if at.Record != nil && !at.needXX.Load() {
		protocols = []string{alpnIK, alpnXX}
	}
	q, err := e.main.Dial(ctx, at.link.virtual[slot], clientTLS(protocols...), quicConfig())
	quiet()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errBetter) || errors.Is(cause, errGuess) {
			return nil, cause
		}
		return nil, dialFailure(err)
	}
	select {
	case at.commit <- struct{}{}:
	case <-ctx.Done():
		closeQUIC(q, codeClosed, "")
		return nil, errLost
	case <-q.Context().Done():
		return nil, translate(context.Cause(q.Context()))
	}
	stop := context.AfterFunc(ctx, func() { closeQUIC(q, codeClosed, "") })
	proved, err := e.provePeer(ctx, q, at)
	if !stop() && err == nil {
		err = ErrUnreachable
	}
	if err != nil {
		<-at.commit
		refuse(q, err)
		return nil, handshakeFailure(err)
	}
	e.m.paths.acquire(at.link) // never gone: Connect is a user
	p, err := e.startPeer(q, at.link, proved, slot)
	if err != nil {
		<-at.commit
	}
	return p, err
}

// cancelWhenBetter ends a dial to an address when probes have proven another one
// before it got an answer.
func (e *Endpoint) cancelWhenBetter(ctx context.Context, cancel context.CancelCauseFunc, at *attempt, to netip.AddrPort) (stop func()) {
	ctx, stopWaiting := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if addr, ok := at.link.prober.heard(); ok && addr != to {
				cancel(errBetter)
				return
			}
			select {
			case <-at.link.prober.changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		stopWaiting()
		<-done
		// The token belongs to whoever looks after the connection next.
		notify(at.link.prober.changed)
	}
}

// proof is what the dialling side's handshake leaves.
type proof struct {
	control *quic.Stream
	early   *quic.Stream // nil if nothing was sent early
	result  handshake.Result
}

// provePeer is the dialling side's handshake (spec §5.2.3).
func (e *Endpoint) provePeer(ctx context.Context, q *quic.Conn, at *attempt) (p proof, err error) {
	c := handshake.Config{Local: e.identity.Load(), Remote: at.Record, RemoteID: at.Peer}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if q.ConnectionState().TLS.NegotiatedProtocol == alpnIK {
		// IK's initiator is the QUIC server: its message is here with the first
		// packets. We answer, and trust nothing before its third message.
		c.Pattern = handshake.IK
		p.control, err = q.AcceptStream(ctx)
	} else {
		c.Pattern, c.Initiator = handshake.XX, true
		p.control, err = q.OpenStreamSync(ctx)
	}
	if err != nil {
		return p, translate(err)
	}
	p.result, err = authenticate(q, p.control, c, func() {
		p.early = writeEarly(q, at.Early)
	})
	return p, err
}

// writeEarly sends what may go to a peer that has not proven itself yet, on a
// stream of its own.
func writeEarly(q *quic.Conn, early func() []byte) *quic.Stream {
	if early == nil {
		return nil
	}
	b := early()
	if len(b) == 0 {
		return nil
	}
	s, err := q.OpenStream()
	if err != nil {
		return nil
	}
	// Within the first flow control window (spec §5.6): it does not block.
	if _, err := s.Write(b[:min(len(b), MaxEarly)]); err != nil {
		return nil // the connection has ended
	}
	return s
}
