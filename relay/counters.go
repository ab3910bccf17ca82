package relay

import "sync/atomic"

// Counters are what a server has done since it started. They name nobody.
type Counters struct {
	Forwarded, ForwardedBytes uint64

	// Packets dropped, by reason (spec §6.6).
	DroppedMalformed, DroppedUnknown, DroppedForged, DroppedReplayed uint64
	DroppedUnjoined, DroppedRate, DroppedNoAddress                   uint64

	Stored        uint64 // blobs taken, without repetitions
	Refused       uint64 // requests answered with an error
	RefusedConns  uint64 // connections over a limit
	FailedProofs  uint64 // owners' signatures that did not hold
	Conns, Owners int    // connections now, and those of them that are owners'
	Sessions      int    // forwarding sessions now
}

type counters struct {
	forwarded, forwardedBytes                   atomic.Uint64
	drops                                       [dropReasons]atomic.Uint64
	stored, refused, refusedConns, failedProofs atomic.Uint64
	owners                                      atomic.Int64
}

// Counters returns the server's counters.
func (s *Server) Counters() Counters {
	s.boardMu.Lock()
	sessions := len(s.board.sessions)
	s.boardMu.Unlock()
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	c := &s.stats
	return Counters{
		Forwarded: c.forwarded.Load(), ForwardedBytes: c.forwardedBytes.Load(),
		DroppedMalformed: c.drops[dropMalformed].Load(), DroppedUnknown: c.drops[dropUnknown].Load(),
		DroppedForged: c.drops[dropForged].Load(), DroppedReplayed: c.drops[dropReplayed].Load(),
		DroppedUnjoined: c.drops[dropUnjoined].Load(), DroppedRate: c.drops[dropRate].Load(),
		DroppedNoAddress: c.drops[dropNoAddress].Load(),
		Stored:           c.stored.Load(), Refused: c.refused.Load(), RefusedConns: c.refusedConns.Load(),
		FailedProofs: c.failedProofs.Load(), Conns: conns, Owners: int(c.owners.Load()), Sessions: sessions,
	}
}
