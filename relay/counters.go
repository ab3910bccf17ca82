package relay

import (
	"sync/atomic"
)

// drop says why a packet was not forwarded (spec §6.6.4).
type drop int

const (
	dropNone      drop = iota
	dropMalformed      // no forwarding header
	dropUnknown        // no such session
	dropForged         // the MAC is wrong, or the packet comes from a relay
	dropReplayed       // seen before, or far behind
	dropUnjoined       // the session has one side only
	dropSession        // the session's bucket is empty
	dropOwner          // its owner's
	dropPrefix         // its source's
	dropNoAddress      // the other side has no validated address
	dropCookie         // an answer with a wrong or late cookie, or too many answers
	dropUnsent         // the socket took no more
	dropReasons
)

// dropNames are what metrics call the reasons.
var dropNames = [dropReasons]string{
	dropMalformed: "malformed", dropUnknown: "unknown", dropForged: "forged", dropReplayed: "replayed",
	dropUnjoined: "unjoined", dropSession: "session_rate", dropOwner: "owner_rate", dropPrefix: "prefix_rate",
	dropNoAddress: "no_address", dropCookie: "cookie", dropUnsent: "unsent",
}

// Counters are what a server has done since it started. They name nobody.
type Counters struct {
	Forwarded, ForwardedBytes uint64

	// Packets dropped, by reason (spec §6.6.4).
	DroppedMalformed, DroppedUnknown, DroppedForged, DroppedReplayed uint64
	DroppedUnjoined, DroppedNoAddress, DroppedCookie, DroppedUnsent  uint64
	// DroppedRate is the sum of those over a session's, owner's and prefix's rate.
	DroppedRate, DroppedSession, DroppedOwner, DroppedPrefix uint64

	Challenges uint64 // sent to addresses that were not validated
	Moves      uint64 // sides that have proved a new address
	Resumed    uint64 // sides taken up after a restart

	Stored        uint64 // blobs taken, without repetitions
	Refused       uint64 // requests answered with an error
	RefusedConns  uint64 // connections over a limit
	FailedProofs  uint64 // owners' signatures that did not hold
	Conns, Owners int    // connections now, and those of them that are owners'
	Sessions      int    // forwarding sessions now
}

// A lane is one reader's part of the counters, on cache lines of its own.
type lane struct {
	forwarded, bytes atomic.Uint64
	drops            [dropReasons]atomic.Uint64
	_                [128]byte
}

// lanes is how many readers count apart; more share.
const lanes = 16

type counters struct {
	lanes [lanes]lane

	challenges, moves, resumed                  atomic.Uint64
	stored, refused, refusedConns, failedProofs atomic.Uint64
	owners                                      atomic.Int64
	store                                       histogram // time to store a blob
}

func (c *counters) lane(reader int) *lane { return &c.lanes[uint(reader)%lanes] }

// Counters returns the server's counters.
func (s *Server) Counters() Counters {
	s.boardMu.Lock()
	sessions := len(s.board.sessions)
	s.boardMu.Unlock()
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	c := &s.stats
	x := Counters{
		Challenges: c.challenges.Load(), Moves: c.moves.Load(), Resumed: c.resumed.Load(),
		Stored: c.stored.Load(), Refused: c.refused.Load(), RefusedConns: c.refusedConns.Load(),
		FailedProofs: c.failedProofs.Load(), Conns: conns, Owners: int(c.owners.Load()), Sessions: sessions,
	}
	var drops [dropReasons]uint64
	for i := range c.lanes {
		l := &c.lanes[i]
		x.Forwarded += l.forwarded.Load()
		x.ForwardedBytes += l.bytes.Load()
		for why := range drops {
			drops[why] += l.drops[why].Load()
		}
	}
	x.DroppedMalformed, x.DroppedUnknown, x.DroppedForged = drops[dropMalformed], drops[dropUnknown], drops[dropForged]
	x.DroppedReplayed, x.DroppedUnjoined, x.DroppedNoAddress = drops[dropReplayed], drops[dropUnjoined], drops[dropNoAddress]
	x.DroppedSession, x.DroppedOwner, x.DroppedPrefix = drops[dropSession], drops[dropOwner], drops[dropPrefix]
	x.DroppedRate = x.DroppedSession + x.DroppedOwner + x.DroppedPrefix
	x.DroppedCookie, x.DroppedUnsent = drops[dropCookie], drops[dropUnsent]
	return x
}
