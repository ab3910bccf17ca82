package relay_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// startCoturn starts coturn on a free port, as it would be installed but for
// peers on loopback, which it refuses otherwise.
func (p *plane) startCoturn(path string) {
	t, dir := p.t, p.t.TempDir()
	c := p.socket()
	p.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.Close()
	p.cmd = exec.Command(path, "-n", "--lt-cred-mech", "--user", "u:p", "--realm", "bench", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1",
		"--listening-port", strconv.Itoa(int(p.addr.Port())), "--no-tls", "--no-dtls", "--no-tcp", "--no-cli", "--allow-loopback-peers",
		"--log-file", filepath.Join(dir, "log"), "--simple-log", "--no-stdout-log", "--pidfile", filepath.Join(dir, "pid"), "--userdb", filepath.Join(dir, "db"))
	p.cmd.Dir = dir
	ok(t, p.cmd.Start())
	t.Cleanup(func() {
		p.cmd.Process.Signal(os.Interrupt)
		p.cmd.Wait()
	})
	// It answers STUN once it is up.
	probe := p.socket()
	for range 100 {
		probe.WriteToUDPAddrPort(stunMessage(0x0001, nil, nil), p.addr)
		probe.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := probe.Read(make([]byte, 1500)); err == nil {
			return
		}
	}
	t.Fatal("coturn does not answer")
}

// Types and attributes of TURN (RFC 8656, RFC 8489).
const (
	turnAllocate    = 0x0003
	turnChannelBind = 0x0009

	attrUsername  = 0x0006
	attrIntegrity = 0x0008
	attrError     = 0x0009
	attrChannel   = 0x000c
	attrXORPeer   = 0x0012
	attrRealm     = 0x0014
	attrNonce     = 0x0015
	attrTransport = 0x0019
)

type stunAttr struct {
	typ   uint16
	value []byte
}

// stunMessage encodes a request; with a key it ends with its integrity.
func stunMessage(typ uint16, attrs []stunAttr, key []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, typ)
	b = append(b, 0, 0, 0x21, 0x12, 0xa4, 0x42)
	id := make([]byte, 12)
	rand.Read(id)
	b = append(b, id...)
	add := func(a stunAttr) {
		b = binary.BigEndian.AppendUint16(b, a.typ)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.value)))
		b = append(b, a.value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	}
	for _, a := range attrs {
		add(a)
	}
	if key != nil {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20+24)) // the integrity counts itself
		h := hmac.New(sha1.New, key)
		h.Write(b)
		add(stunAttr{attrIntegrity, h.Sum(nil)})
	}
	return b
}

// stunRequest sends a request until it is answered, and returns the answer's type
// and attributes.
func stunRequest(t testing.TB, c *net.UDPConn, to netip.AddrPort, request []byte) (typ uint16, attrs map[uint16][]byte) {
	t.Helper()
	b := make([]byte, 1500)
	for range 20 {
		must[int](t)(c.WriteToUDPAddrPort(request, to))
		c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Read(b)
		if err != nil || n < 20 || string(b[8:20]) != string(request[8:20]) {
			continue
		}
		c.SetReadDeadline(time.Time{})
		attrs = map[uint16][]byte{}
		for rest := b[20:n]; len(rest) >= 4; {
			size := int(binary.BigEndian.Uint16(rest[2:]))
			if padded := 4 + (size+3)&^3; len(rest) >= padded {
				attrs[binary.BigEndian.Uint16(rest)] = rest[4 : 4+size]
				rest = rest[padded:]
			} else {
				break
			}
		}
		return binary.BigEndian.Uint16(b), attrs
	}
	t.Fatal("the TURN server does not answer")
	return 0, nil
}

// joinTURN makes an allocation for each session, with a channel to its receiver.
func (p *plane) joinTURN() {
	const channel = 0x4000
	t := p.t
	key := md5.Sum([]byte("u:bench:p"))
	p.header = 4
	p.seal = func(_ int, packet []byte) {
		binary.BigEndian.PutUint16(packet, channel)
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)-4))
	}
	for range planeSessions {
		from, to := p.socket(), p.socket()
		udp := stunAttr{attrTransport, []byte{17, 0, 0, 0}}
		_, got := stunRequest(t, from, p.addr, stunMessage(turnAllocate, []stunAttr{udp}, nil))
		if got[attrNonce] == nil {
			t.Fatal("no nonce")
		}
		proof := []stunAttr{{attrUsername, []byte("u")}, {attrRealm, []byte("bench")}, {attrNonce, append([]byte{}, got[attrNonce]...)}}
		if typ, got := stunRequest(t, from, p.addr, stunMessage(turnAllocate, append(proof, udp), key[:])); typ != turnAllocate|0x0100 {
			t.Fatalf("allocation refused: %#x %q", typ, got[attrError])
		}
		peer := to.LocalAddr().(*net.UDPAddr)
		xor := binary.BigEndian.AppendUint16([]byte{0, 1}, uint16(peer.Port)^0x2112)
		xor = binary.BigEndian.AppendUint32(xor, binary.BigEndian.Uint32(peer.IP.To4())^0x2112a442)
		bind := append(proof, stunAttr{attrChannel, []byte{channel >> 8, channel & 0xff, 0, 0}}, stunAttr{attrXORPeer, xor})
		if typ, got := stunRequest(t, from, p.addr, stunMessage(turnChannelBind, bind, key[:])); typ != turnChannelBind|0x0100 {
			t.Fatalf("channel refused: %#x %q", typ, got[attrError])
		}
		p.from = append(p.from, from)
		go p.drain(to)
	}
}
