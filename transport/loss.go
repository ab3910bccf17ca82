package transport

import (
	"time"

	"github.com/quic-go/quic-go"
)

// Tuning of the measurement of loss.
const (
	lossWindow = 30 * time.Second
	lossStep   = time.Second // between two samples, and two pings while somebody looks
)

// Loss is what became of the packets that we sent lately.
type Loss struct {
	Sent uint64 // packets, acknowledgements included
	Lost uint64 // of them, those that QUIC has given up
}

// Share returns the part that was lost, from 0 to 1.
func (l Loss) Share() float64 {
	if l.Sent == 0 {
		return 0
	}
	return min(float64(l.Lost)/float64(l.Sent), 1)
}

// A lossMeter keeps what QUIC has counted on one path, as often as somebody looks
// and for lossWindow.
type lossMeter struct {
	samples []lossSample // oldest first
}

type lossSample struct {
	at time.Time
	Loss
}

func counted(s quic.ConnectionStats) Loss { return Loss{s.PacketsSent, s.PacketsLost} }

// begin starts anew, on another path.
func (m *lossMeter) begin(s quic.ConnectionStats) {
	m.samples = append(m.samples[:0], lossSample{time.Now(), counted(s)})
}

// look takes a sample and returns what happened within the window. It reports
// whether a sample was taken: not more often than every lossStep.
func (m *lossMeter) look(now time.Time, c Loss) (l Loss, sampled bool) {
	if len(m.samples) == 0 {
		m.samples = []lossSample{{at: now}} // since the connection began
	}
	for len(m.samples) > 1 && now.Sub(m.samples[0].at) > lossWindow {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	// What was given up may arrive after all: then the count sinks.
	l = Loss{c.Sent - min(first.Sent, c.Sent), c.Lost - min(first.Lost, c.Lost)}
	if last := m.samples[len(m.samples)-1]; now.Sub(last.at) >= lossStep {
		m.samples = append(m.samples, lossSample{now, c})
		sampled = true
	}
	return l, sampled
}

// measure returns the loss of the path in use. While it is called every second or
// so, there is a ping for each call: an idle path would have nothing to lose.
func (p *PeerConn) measure() Loss {
	p.mu.Lock()
	l, sampled := p.loss.look(time.Now(), counted(p.q.ConnectionStats()))
	p.mu.Unlock()
	if sampled {
		p.watched.Store(true)
		notify(p.wake)
	}
	return l
}
