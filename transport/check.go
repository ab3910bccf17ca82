package transport

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/sremp/sremp/nat"
)

// check prepares for checks of a connection's direct path, and answers those of
// the peer from now on.
func (p *prober) check(key [32]byte, lively func() bool) {
	if p.link.relayOnly {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checker, p.lively = nat.NewChecker(key, p.link.client), lively
}

// watch has the path to an address checked, or none.
func (p *prober) watch(to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checker == nil {
		return
	}
	if to.IsValid() {
		p.checker.Watch(time.Now(), to, p.link.traffic.snapshot(p.lively()))
	} else {
		p.checker.Stop()
	}
	notify(p.wake)
}

// recheck has the path checked now.
func (p *prober) recheck() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checker != nil {
		p.checker.CheckNow()
		notify(p.wake)
	}
}

// state returns what is known of the path that is watched.
func (p *prober) state(now time.Time) nat.PathState {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checker == nil {
		return nat.PathAlive
	}
	return p.checker.State(now)
}

// stepCheckLocked does what is due, and returns when there will be more.
func (p *prober) stepCheckLocked(now time.Time, late bool) time.Time {
	c := p.checker
	if c == nil {
		return time.Time{}
	}
	if to := p.link.direct.Load(); !p.link.client && c.Target().IsValid() && to != nil {
		c.Watch(now, *to, p.link.traffic.snapshot(p.lively())) // where the other side's packets come from
	}
	if late {
		c.Excuse()
	}
	c.HandleTimeout(now, p.link.traffic.snapshot(p.lively()))
	p.flushCheckLocked()
	if s := c.State(now); s != p.seen {
		p.seen = s
		notify(p.changed)
	}
	return c.NextTimeout()
}

// handleCheckLocked takes a check, or the answer to one.
func (p *prober) handleCheckLocked(now time.Time, from netip.AddrPort, b []byte) bool {
	c := p.checker
	if c == nil {
		return false
	}
	target := c.Target()
	if !c.HandlePacket(now, from, b, p.link.traffic.snapshot(p.lively())) {
		return false
	}
	p.e.m.paths.know(p.link, from)
	p.flushCheckLocked()
	if to := c.Target(); to != target && p.link.client {
		p.link.direct.Store(&to) // the same path, seen from elsewhere
	}
	if s := c.State(now); s != p.seen || c.Target() != target {
		p.seen = s
		notify(p.changed)
		notify(p.wake)
	}
	return true
}

func (p *prober) flushCheckLocked() {
	for t, ok := p.checker.PollTransmit(); ok; t, ok = p.checker.PollTransmit() {
		if x := p.link.extra.Load(); x != nil && x.leadsTo(t.To) {
			_ = x.out.write(t.Payload, nil, t.To) // best effort, like send
		} else {
			p.e.m.send(t.To, t.Payload)
		}
	}
}

// contextRound is the context of the probe keys of a connection (spec §5.4.3).
const contextRound = "SREMP v1 probe round"

// contextSpare is the context of the probe keys of its spare sockets (spec §5.4.10).
const contextSpare = "SREMP v1 probe spare"

// contextCheck is the context of the key of a connection's path checks (spec
// §5.22.9).
const contextCheck = "SREMP v1 path check"

// roundKey returns the probe key of a round of path search on a connection.
func roundKey(channel [32]byte, round uint32) (k [32]byte) {
	return channelHKDF(channel, contextRound+string(binary.BigEndian.AppendUint32(nil, round)))
}

// spareKey returns the probe key of a search from spare sockets.
func spareKey(channel [32]byte, number uint32) (k [32]byte) {
	return channelHKDF(channel, contextSpare+string(binary.BigEndian.AppendUint32(nil, number)))
}

// pathKey returns the key of a connection's path checks.
func pathKey(channel [32]byte) [32]byte { return channelHKDF(channel, contextCheck) }

func channelHKDF(channel [32]byte, info string) (k [32]byte) {
	b, err := hkdf.Key(sha256.New, channel[:], nil, info, len(k))
	if err != nil {
		panic(err) // only for keys too long
	}
	copy(k[:], b)
	return k
}
