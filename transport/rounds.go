package transport

import (
	"context"
	"time"

	"github.com/sremp/sremp/wire"
)

// Tuning of rounds (spec §5.4.3).
const (
	// refreshTimeout bounds the search for our own addresses before a round.
	refreshTimeout = 400 * time.Millisecond
	// roundRetry is when the next search starts after one in vain; it doubles up
	// to maxRoundRetry. The first starts at once.
	roundRetry    = 5 * time.Second
	maxRoundRetry = 5 * time.Minute
	// roundGap and roundBurst bound how often a peer can make us send probes to
	// the addresses it names. Who starts rounds keeps a margin, so that a list does
	// not arrive earlier than it was sent, as it were.
	roundGap    = 4 * time.Second
	roundBurst  = 4
	roundMargin = 250 * time.Millisecond
	maxRounds   = 1 << 16
	// askRound is the round of a list by which the server asks for another round.
	askRound = maxRounds + 1
)

// A roundBucket allows bursts of rounds and then one every so often. Its zero
// value is full.
type roundBucket struct {
	used float64
	at   time.Time
}

// next returns when one more round may begin.
func (b *roundBucket) next(gap time.Duration, burst float64) time.Time {
	over := b.used + 1 - burst
	if over <= 0 {
		return time.Time{}
	}
	return b.at.Add(time.Duration(over * float64(gap)))
}

// take notes that a round has begun.
func (b *roundBucket) take(now time.Time, gap time.Duration) {
	b.used = max(0, b.used-float64(now.Sub(b.at))/float64(gap)) + 1
	b.at = now
}

func (m *manager) sendCandidates() error {
	x := wire.ControlCandidates{Round: m.round, Candidates: m.e.localCandidates()}
	return m.send(wire.FrameControlCandidates, x.Append(nil))
}

// refresh finds our addresses anew, for they may be what has changed, and sends
// them for the round that has begun.
func (m *manager) refresh() {
	round := m.round
	m.e.run(func() {
		ctx, cancel := context.WithTimeout(m.p.q.Context(), refreshTimeout)
		defer cancel()
		m.e.regather(ctx)
		select {
		case m.events <- event{refreshed: true, round: round}:
		case <-m.p.Done():
		}
	})
}

// handleCandidates starts a search (spec §5.4.3). Only the client starts
// another round; the server answers with its own candidates.
func (m *manager) handleCandidates(x wire.ControlCandidates) error {
	if m.p.link.relayOnly {
		return nil
	}
	now := time.Now()
	switch {
	case m.client && x.Round == askRound:
		if m.active == slotRelay {
			m.searchAgain(now)
		}
		return nil
	case x.Round == m.round && m.searched, !m.client && x.Round > m.round && now.Before(m.rounds.next(roundGap, roundBurst)):
		return errControl // each list makes us send to whom it names
	case x.Round == m.round:
	case m.client || x.Round < m.round || x.Round > maxRounds:
		return nil // an answer that came too late; or enough
	default:
		m.rounds.take(now, roundGap)
		m.round = x.Round
		m.p.link.prober.forget() // what was found before is no longer true
		m.refresh()
	}
	m.searched = true
	if _, ok := m.p.link.prober.validated(); !ok {
		m.p.link.prober.search(search{key: roundKey(m.p.result.ChannelKey, x.Round), remote: x.Candidates})
		m.planSpare(now)
	}
	return nil
}

// stepRounds starts a round that is due. It is the client's.
func (m *manager) stepRounds(now time.Time) {
	if m.nextRound.IsZero() || now.Before(m.nextRound) || m.round >= maxRounds {
		return
	}
	m.rounds.take(now, roundGap+roundMargin)
	m.nextRound = now.Add(m.roundDelay)
	m.roundDelay = min(2*m.roundDelay, maxRoundRetry)
	m.round, m.searched = m.round+1, false
	m.p.link.prober.forget()
	m.refresh()
}

// searchAgain plans the next round as soon as it may be.
func (m *manager) searchAgain(now time.Time) {
	m.nextRound = now
	if t := m.rounds.next(roundGap+roundMargin, roundBurst-1); t.After(now) {
		m.nextRound = t
	}
}
