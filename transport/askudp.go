package transport

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// Whether a server answers by UDP is asked with a QUIC packet of a version that
// nobody speaks: every QUIC server answers it with Version Negotiation, keeps
// nothing of it, and repeats the connection ids that we chose at random, which
// nobody guesses (RFC 9000, sections 6 and 17.2.1). It is as long as QUIC's first
// packets must be, so that a network that lets only small ones through counts as
// one without UDP.
const (
	vnLen     = 1200
	vnVersion = 0x5a6a7a8a // reserved (RFC 9000, section 15)
	vnIDLen   = 8
)

// A vnAsk is one question.
type vnAsk struct {
	packet   []byte
	answered chan struct{}
	once     sync.Once
}

// newAsk makes a question the one under way.
func (r *route) newAsk() *vnAsk {
	a := &vnAsk{packet: make([]byte, vnLen), answered: make(chan struct{})}
	rand.Read(a.packet)
	p := a.packet
	p[0] |= 0xc0
	binary.BigEndian.PutUint32(p[1:], vnVersion)
	p[5], p[6+vnIDLen] = vnIDLen, vnIDLen
	r.asking.Store(a)
	return a
}

// ask sends a question by UDP, whatever the way in use.
func (r *route) ask(a *vnAsk) {
	if err := r.e.m.transmit(a.packet, nil, r.addr); err != nil {
		r.e.m.stats.swallowed.Add(1)
	}
}

// answeredBy reports whether b is the answer to a.
func (a *vnAsk) answeredBy(b []byte) bool {
	const head = 7 + 2*vnIDLen
	if len(b) < head || b[0] < 0x80 || binary.BigEndian.Uint32(b[1:]) != 0 || b[5] != vnIDLen || b[6+vnIDLen] != vnIDLen {
		return false
	}
	dst, src := a.packet[6:6+vnIDLen], a.packet[head-vnIDLen:head]
	return bytes.Equal(b[6:6+vnIDLen], src) && bytes.Equal(b[head-vnIDLen:head], dst)
}
