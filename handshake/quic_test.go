package handshake

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/testutils/simnet"
)

const (
	rtt      = 200 * time.Millisecond
	testALPN = "sremp-test/1"
)

var (
	clientAddr = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 1000}
	serverAddr = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2).To4(), Port: 1000}
	proxyAddr  = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 3).To4(), Port: 1000}
	proxyOut   = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 4).To4(), Port: 1000}
)

// A lab is QUIC over a simulated network, in a synctest bubble.
type lab struct {
	t     *testing.T
	net   *simnet.Simnet
	tls   *tls.Config
	conns []io.Closer
}

func newLab(t *testing.T) *lab {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return &lab{
		t: t, net: &simnet.Simnet{Router: &simnet.PerfectRouter{}},
		tls: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			NextProtos:   []string{testALPN}, InsecureSkipVerify: true, SessionTicketsDisabled: true,
		},
	}
}

func (l *lab) transport(a *net.UDPAddr) *quic.Transport {
	conn := l.net.NewEndpoint(a, simnet.NodeBiDiLinkSettings{Latency: rtt / 2})
	tr := &quic.Transport{Conn: conn}
	l.conns = append(l.conns, tr, conn)
	return tr
}

func (l *lab) listen(a *net.UDPAddr) *quic.EarlyListener {
	l.t.Helper()
	ln, err := l.transport(a).ListenEarly(l.tls, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	l.conns = append([]io.Closer{ln}, l.conns...)
	return ln
}

func (l *lab) start() {
	l.t.Helper()
	if err := l.net.Start(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) close() {
	for _, c := range l.conns {
		c.Close()
	}
	l.net.Close()
}

// authenticate runs c over the connection, as its QUIC client or server. The
// initiator opens the stream. Each message is length(uint16) message. At, if not
// nil, is told of each step.
func authenticate(ctx context.Context, q *quic.Conn, c Config, bound bool, at func(*Handshake)) (*Handshake, error) {
	c.ALPN = q.ConnectionState().TLS.NegotiatedProtocol
	c.Exporter = [32]byte{1}
	if bound {
		state := q.ConnectionState().TLS
		k, err := state.ExportKeyingMaterial("EXPORTER SREMP v1 handshake", nil, 32)
		if err != nil {
			return nil, err
		}
		c.Exporter = [32]byte(k)
	}
	h, err := New(c)
	if err != nil {
		return nil, err
	}
	var s *quic.Stream
	if c.Initiator {
		s, err = q.OpenStream()
	} else {
		s, err = q.AcceptStream(ctx)
	}
	if err != nil {
		return h, err
	}
	for h.Turn() == Write || h.Turn() == Read {
		if err := step(s, h); err != nil {
			return h, err
		}
		if at != nil {
			at(h)
		}
	}
	return h, nil
}

func step(s *quic.Stream, h *Handshake) error {
	if h.Turn() == Write {
		msg, err := h.WriteMessage()
		if err != nil {
			return err
		}
		_, err = s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
		return err
	}
	var n [2]byte
	if _, err := io.ReadFull(s, n[:]); err != nil {
		return err
	}
	msg := make([]byte, binary.BigEndian.Uint16(n[:]))
	if _, err := io.ReadFull(s, msg); err != nil {
		return err
	}
	return h.ReadMessage(msg)
}

// sides returns the configurations of the QUIC client and server.
func (p people) sides(pattern Pattern) (client, server Config) {
	i, r := p.configs(pattern)
	if pattern == IK {
		return r, i
	}
	return i, r
}

// Round trips in virtual time, from the client's first packet (spec §3.7).
func TestRoundTrips(t *testing.T) {
	for _, tt := range []struct {
		pattern        Pattern
		client, server float64 // authenticated, at most, in round trips
	}{
		{XX, 2.1, 2.7},
		{IK, 2.2, 1.7},
		{NX, 2.1, 2.7},
	} {
		t.Run(tt.pattern.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := newPeople(t).sides(tt.pattern)
				l := newLab(t)
				defer l.close()
				ln := l.listen(serverAddr)
				dialer := l.transport(clientAddr)
				l.start()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()

				begin := time.Now()
				trips := func() float64 { return float64(time.Since(begin)) / float64(rtt) }
				var serverAt, clientAt, early float64
				var wg sync.WaitGroup
				wg.Go(func() {
					q, err := ln.Accept(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := authenticate(ctx, q, server, true, nil); err != nil {
						t.Errorf("server: %v", err)
					}
					serverAt = trips()
					<-q.Context().Done()
				})
				q, err := dialer.Dial(ctx, serverAddr, l.tls, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := authenticate(ctx, q, client, true, func(h *Handshake) {
					if h.MayWriteEarly() {
						early = trips()
					}
				}); err != nil {
					t.Errorf("client: %v", err)
				}
				clientAt = trips()
				// The last message is on its way to the server.
				time.Sleep(2 * rtt)
				q.CloseWithError(0, "")
				wg.Wait()
				t.Logf("client %.2f, server %.2f, client's early data %.2f round trips", clientAt, serverAt, early)
				if clientAt > tt.client || serverAt > tt.server {
					t.Errorf("client %.2f, server %.2f round trips; want at most %v and %v", clientAt, serverAt, tt.client, tt.server)
				}
				if tt.pattern == IK && (early == 0 || early > 1.2) {
					t.Errorf("the client may write at %.2f round trips, want about 1", early)
				}
			})
		})
	}
}

// pipe terminates QUIC and TLS on both legs and carries streams between them,
// until one leg closes.
func pipe(ctx context.Context, a, b *quic.Conn) {
	var wg sync.WaitGroup
	carry := func(from, to *quic.Conn) {
		for {
			in, err := from.AcceptStream(ctx)
			if err != nil {
				to.CloseWithError(1, "")
				return
			}
			out, err := to.OpenStream()
			if err != nil {
				return
			}
			wg.Go(func() { io.Copy(out, in) })
			wg.Go(func() { io.Copy(in, out) })
		}
	}
	wg.Go(func() { carry(a, b) })
	wg.Go(func() { carry(b, a) })
	wg.Wait()
}

// Somebody with throw-away certificates of its own between two QUIC connections:
// both ends notice, with every pattern. Without the exporter neither would.
func TestTLSTerminatingManInTheMiddle(t *testing.T) {
	for _, pattern := range patterns {
		for _, bound := range []bool{true, false} {
			name := pattern.String()
			if !bound {
				name += " without exporter"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clientErr, serverErr := throughProxy(t, pattern, bound)
					if !bound {
						if clientErr != nil || serverErr != nil {
							t.Errorf("the proxy does not work: client %v, server %v", clientErr, serverErr)
						}
						return
					}
					if clientErr == nil || serverErr == nil {
						t.Errorf("client %v, server %v; want both to fail", clientErr, serverErr)
					}
					if !isOurs(clientErr) && !isOurs(serverErr) {
						t.Errorf("client %v, server %v; want a handshake error", clientErr, serverErr)
					}
				})
			})
		}
	}
}

func isOurs(err error) bool { return errors.Is(err, ErrHandshake) || errors.Is(err, ErrNeedXX) }

// throughProxy returns how both ends fared.
func throughProxy(t *testing.T, pattern Pattern, bound bool) (clientErr, serverErr error) {
	client, server := newPeople(t).sides(pattern)
	l := newLab(t)
	defer l.close()
	ln, proxy := l.listen(serverAddr), l.listen(proxyAddr)
	dialer, out := l.transport(clientAddr), l.transport(proxyOut)
	l.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	run := func(q *quic.Conn, c Config) error {
		h, err := authenticate(ctx, q, c, bound, nil)
		if err != nil {
			q.CloseWithError(2, "")
			return err
		}
		if h.Turn() != Done || h.Result() == (Result{}) {
			t.Errorf("%v ended in turn %d", pattern, h.Turn())
		}
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		q, err := ln.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		serverErr = run(q, server)
		<-q.Context().Done()
	})
	wg.Go(func() {
		a, err := proxy.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := out.Dial(ctx, serverAddr, l.tls, nil)
		if err != nil {
			t.Error(err)
			return
		}
		pipe(ctx, a, b)
	})
	q, err := dialer.Dial(ctx, proxyAddr, l.tls, nil)
	if err != nil {
		t.Fatal(err)
	}
	clientErr = run(q, client)
	time.Sleep(5 * rtt) // virtual: what is on its way arrives
	q.CloseWithError(0, "")
	wg.Wait()
	return clientErr, serverErr
}
