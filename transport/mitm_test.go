package transport

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
)

// A mitm terminates QUIC on both sides and copies the streams.
type mitm struct {
	t     testing.TB
	pc    net.PacketConn
	tr    *quic.Transport
	ln    *quic.EarlyListener
	to    net.Addr
	alpn  string
	wg    sync.WaitGroup
	ended chan struct{} // closed when the first connection through it has ended
	once  sync.Once
}

func newMITM(t testing.TB, to netip.AddrPort, alpn string) *mitm {
	t.Helper()
	m := &mitm{t: t, pc: udpConn(t), to: net.UDPAddrFromAddrPort(to), alpn: alpn, ended: make(chan struct{})}
	m.tr = &quic.Transport{Conn: m.pc}
	cert, err := throwAwayCertificate()
	if err != nil {
		t.Fatal(err)
	}
	conf := clientTLS(alpn)
	conf.Certificates = append(conf.Certificates, cert)
	if m.ln, err = m.tr.ListenEarly(conf, quicConfig()); err != nil {
		t.Fatal(err)
	}
	m.wg.Go(m.serve)
	t.Cleanup(func() {
		m.ln.Close()
		m.tr.Close()
		m.pc.Close()
		m.wg.Wait()
	})
	return m
}

func (m *mitm) addr() netip.AddrPort { return addrPort(m.pc.LocalAddr()) }

// wait waits until a connection through it has come to its end on both sides.
func (m *mitm) wait(ctx context.Context) {
	select {
	case <-m.ended:
	case <-ctx.Done():
		m.t.Error("the connection through the man in the middle lives on")
	}
}

func (m *mitm) serve() {
	for {
		in, err := m.ln.Accept(context.Background())
		if err != nil {
			return
		}
		m.wg.Go(func() {
			defer m.once.Do(func() { close(m.ended) })
			out, err := m.tr.Dial(in.Context(), m.to, clientTLS(m.alpn), quicConfig())
			if err != nil {
				m.t.Logf("man in the middle: %v", err)
				in.CloseWithError(0, "")
				return
			}
			m.wg.Go(func() { m.streams(in, out) })
			m.wg.Go(func() { m.streams(out, in) })
			<-in.Context().Done()
			<-out.Context().Done()
		})
	}
}

func (m *mitm) streams(from, to *quic.Conn) {
	defer to.CloseWithError(codeHandshake, "")
	for {
		a, err := from.AcceptStream(from.Context())
		if err != nil {
			return
		}
		b, err := to.OpenStreamSync(to.Context())
		if err != nil {
			return
		}
		for _, dir := range [][2]*quic.Stream{{a, b}, {b, a}} {
			m.wg.Go(func() { io.Copy(dir[1], dir[0]); dir[1].Close() })
		}
	}
}
