package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/transport"
)

// Patience of the doctor with one question to a server.
const (
	doctorWait  = 300 * time.Millisecond
	doctorTries = 3
)

// ask sends a binding request (RFC 5780) until it is answered. The round trip is
// 0 if it never was.
func ask(ctx context.Context, c *net.UDPConn, to netip.AddrPort, change nat.STUNChange) (nat.STUNDiscovery, time.Duration) {
	b := make([]byte, 1500)
	for range doctorTries {
		if ctx.Err() != nil {
			break
		}
		id, packet := nat.STUNDiscover(change)
		start := time.Now()
		if _, err := c.WriteToUDPAddrPort(packet, to); err != nil {
			continue // no route to it, say: that is a finding
		}
		if err := c.SetReadDeadline(start.Add(doctorWait)); err != nil {
			break
		}
		for {
			n, _, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				break
			}
			if got, d, err := nat.ParseSTUNDiscovery(b[:n]); err == nil && got == id {
				return d, max(time.Since(start), 1)
			}
		}
	}
	return nat.STUNDiscovery{}, 0
}

// askRTT asks several times and returns the median round trip.
func askRTT(ctx context.Context, c *net.UDPConn, to netip.AddrPort) (nat.STUNDiscovery, time.Duration) {
	d, rtt := ask(ctx, c, to, 0)
	if rtt == 0 {
		return d, 0
	}
	all := []time.Duration{rtt}
	for range doctorTries - 1 {
		if _, rtt := ask(ctx, c, to, 0); rtt > 0 {
			all = append(all, rtt)
		}
	}
	slices.Sort(all)
	return d, all[len(all)/2]
}

// A lifetime is what is known of how long a mapping lives without a packet.
type lifetime struct {
	AtLeast time.Duration // an answer came after so long; 0: not known
	Below   time.Duration // none came after so long; 0: all came
	NotTold bool          // the server does not answer later
}

// measureLifetime asks a server to answer after each of the waits, ascending,
// each on a socket of its own and all at once: it takes little longer than the
// longest (spec §5.21.2).
func measureLifetime(ctx context.Context, to netip.AddrPort, waits []time.Duration) (l lifetime) {
	fates := make([]transport.MappingFate, len(waits))
	var all sync.WaitGroup
	for i, wait := range waits {
		c, err := net.ListenUDP("udp", nil)
		if err != nil {
			continue // not known, then
		}
		all.Go(func() { fates[i] = transport.ProbeMapping(ctx, c, to, wait) })
	}
	all.Wait()
	for i, fate := range fates {
		switch {
		case fate == transport.MappingUntold:
			return lifetime{NotTold: true}
		case fate == transport.MappingKept:
			l.AtLeast = waits[i] // a packet for a shorter wait may have been lost
			l.Below = 0
		case fate == transport.MappingForgotten && l.Below == 0:
			l.Below = waits[i]
		}
	}
	return l
}

// Sizes of UDP payloads that the doctor tries: the least that QUIC needs, and
// those of usual tunnels, up to the largest that QUIC here ever sends.
var mtuSizes = []int{1200, 1232, 1252, 1280, 1312, 1344, 1372, 1392, 1404, 1412, 1420, 1432, 1440, 1452}

const (
	mtuPace = 4 * time.Millisecond // a server answers few strangers at a time
	// quicUnknownVersion makes a QUIC server answer with the versions that it
	// speaks, to a packet of at least 1200 bytes (RFC 9000, section 6.1).
	quicUnknownVersion = 0x1a2a3a4a
	quicIDLen          = 8
)

// measureMTU returns the largest packet, with its IP header, that reaches a
// server whole; 0 if none does.
func measureMTU(ctx context.Context, to netip.AddrPort) int {
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		return 0
	}
	defer c.Close()
	if dontFragment(c, to.Addr().Is6()) != nil {
		return 0
	}
	ids := map[[quicIDLen]byte]int{}
	best := 0
	b := make([]byte, 1500)
	for range doctorTries {
		for _, size := range mtuSizes {
			if size <= best || ctx.Err() != nil {
				continue
			}
			id, packet := versionProbe(size)
			ids[id] = size
			_, _ = c.WriteToUDPAddrPort(packet, to) // too long for this machine's own link is an answer, too
			time.Sleep(mtuPace)
		}
		c.SetReadDeadline(time.Now().Add(doctorWait))
		for best < mtuSizes[len(mtuSizes)-1] {
			n, _, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				break
			}
			if id, ok := versionAnswer(b[:n]); ok {
				best = max(best, ids[id])
			}
		}
		if best == mtuSizes[len(mtuSizes)-1] {
			break
		}
	}
	if best == 0 {
		return 0
	}
	if to.Addr().Is6() {
		return best + 48
	}
	return best + 28
}

// versionProbe returns a QUIC packet of a version that nobody speaks, and the id
// that an answer to it has.
func versionProbe(size int) (id [quicIDLen]byte, b []byte) {
	rand.Read(id[:])
	b = make([]byte, 0, size)
	b = append(b, 0xc0)
	b = binary.BigEndian.AppendUint32(b, quicUnknownVersion)
	b = append(b, quicIDLen)
	b = append(b, make([]byte, quicIDLen)...)
	rand.Read(b[6:])
	b = append(b, quicIDLen)
	b = append(b, id[:]...)
	return id, b[:size]
}

// versionAnswer returns the id that a version negotiation packet is for (RFC
// 9000, section 17.2.1).
func versionAnswer(b []byte) (id [quicIDLen]byte, ok bool) {
	if len(b) < 6+quicIDLen || b[0]&0x80 == 0 || binary.BigEndian.Uint32(b[1:]) != 0 || b[5] != quicIDLen {
		return id, false
	}
	return [quicIDLen]byte(b[6:]), true
}
