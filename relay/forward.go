package relay

import (
	"net/netip"
	"time"

	"github.com/sremp/sremp/wire"
)

// Forward takes a packet of the data plane from the endpoint's own reader. It
// rewrites packet in place, sends it on or drops it, and keeps nothing.
func (s *Server) Forward(from netip.AddrPort, packet []byte) {
	send := s.send.Load()
	if to := s.Route(0, time.Now(), from, packet); to.IsValid() && send != nil {
		(*send)(to, packet)
	}
}

// Route implements transport.Router: it decides about one packet and counts it.
// It takes no lock and, but for challenges, allocates nothing.
func (s *Server) Route(reader int, now time.Time, from netip.AddrPort, packet []byte) netip.AddrPort {
	count := s.stats.lane(reader)
	if a, ok := wire.ParseForwardAnswer(packet); ok {
		if !s.answered(now, from, a, packet) {
			count.drops[dropCookie].Add(1)
		}
		return netip.AddrPort{}
	}
	n := len(packet)
	v := s.board.forward(now, from, packet)
	if v.ask && n >= wire.ForwardChallengeLen {
		s.challenge(now, from, v)
	}
	if v.why != dropNone {
		count.drops[v.why].Add(1)
		return netip.AddrPort{}
	}
	count.forwarded.Add(1)
	count.bytes.Add(uint64(n))
	return v.to
}

// Unsent counts packets that Route let pass and the socket did not take.
func (s *Server) Unsent(reader, packets int) {
	s.stats.lane(reader).drops[dropUnsent].Add(uint64(packets))
}

// challenge asks who is at an address. The challenge is not longer than the
// packet that made us send it, and nothing is kept (spec §6.6.5).
func (s *Server) challenge(now time.Time, to netip.AddrPort, v verdict) {
	send, l := s.send.Load(), s.lim()
	if send == nil || !to.IsValid() {
		return
	}
	if v.why == dropUnknown && !s.asks.ofAddr(to.Addr()).take(nanos(now), 1, rateOf(l.Challenges, l.ChallengeBurst)) {
		return
	}
	c := wire.ForwardChallenge{Side: v.side, Session: v.session, Cookie: s.cookies.make(now, v.session, v.side, to)}
	s.stats.challenges.Add(1)
	(*send)(to, c.Append(nil, s.board.secret.key(v.session, v.side)))
}

// answered takes an answer whose cookie holds, if there is room for it.
func (s *Server) answered(now time.Time, from netip.AddrPort, a wire.ForwardAnswer, packet []byte) bool {
	if !s.cookies.holds(now, a.Session, a.Side, from, a.Cookie) {
		return false
	}
	select {
	case s.proofs <- proof{from, a, [wire.ForwardAnswerLen]byte(packet)}:
		return true
	default:
		return false
	}
}

// prove hands answers to the switchboard.
func (s *Server) prove() {
	for {
		select {
		case p := <-s.proofs:
			s.boardMu.Lock()
			done := s.board.proven(time.Now(), p)
			s.boardMu.Unlock()
			switch done {
			case proofMoved:
				s.stats.moves.Add(1)
			case proofResumed:
				s.stats.resumed.Add(1)
			default:
				s.stats.lane(0).drops[dropForged].Add(1)
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// follow lets the switchboard see where the owners' connections have moved.
func (s *Server) follow() {
	t := time.NewTicker(followEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.boardMu.Lock()
			s.board.follow()
			s.boardMu.Unlock()
		case <-s.ctx.Done():
			return
		}
	}
}
