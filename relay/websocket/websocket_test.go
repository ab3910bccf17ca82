package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs a relay on UDP, and its WebSocket over TLS.
func start(t *testing.T, max int) (udp identity.ServerAddr, web *httptest.Server) {
	t.Helper()
	key, err := identity.NewServerKey(make([]byte, 32))
	check(t, err)
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "relay.db"))
	check(t, err)
	t.Cleanup(func() { store.Close() })
	s, err := relay.NewServer(relay.ServerConfig{Key: key, Store: store})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{}) // all of loopback reaches it
	check(t, err)
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: key, Forward: s.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve},
	})
	check(t, err)
	t.Cleanup(func() { ep.Close() })
	s.SetSend(ep.WritePacket)
	ep.Forward(1, s)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), ep.LocalAddr().Port())
	h := NewHandler(at, max, key)
	web = httptest.NewTLSServer(h)
	t.Cleanup(web.Close)
	t.Cleanup(func() { h.Close() })
	return identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: at.Port()}, web
}

func url(web *httptest.Server) string { return "wss" + strings.TrimPrefix(web.URL, "https") + Path }

// dialWeb dials the test's port instead of 443.
func dialWeb(t *testing.T, web *httptest.Server, a identity.ServerAddr) (*Conn, error) {
	at := netip.MustParseAddrPort(web.Listener.Addr().String())
	return dialPorts(t.Context(), a, netip.AddrPortFrom(at.Addr(), a.Port), []uint16{at.Port()})
}

func endpoint(t *testing.T, web *httptest.Server, a identity.ServerAddr, id *identity.Local) *transport.Endpoint {
	t.Helper()
	c, err := dialWeb(t, web, a)
	check(t, err)
	ep, err := transport.New(transport.Config{PacketConn: c, Identity: id})
	check(t, err)
	t.Cleanup(func() { ep.Close() })
	return ep
}

// Mail and a peer's connection through the relay, with not one datagram of UDP
// from the clients: the same handshake, the same frames.
func TestRelayOverWebSocket(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, web := start(t, 10)
	type side struct {
		id *identity.Local
		ep *transport.Endpoint
		c  *relay.Client
	}
	side1 := func(name string) side {
		id, _, err := identity.NewLocal(name, time.Now())
		check(t, err)
		ep := endpoint(t, web, a, id)
		c, err := relay.Dial(ctx, ep, a, identity.GenerateSecretKey(), "")
		check(t, err)
		t.Cleanup(func() { c.Close() })
		return side{id, ep, c}
	}
	ann, bob := side1("Ann"), side1("Bob")
	inbox, token := [32]byte{1}, [32]byte{2}
	check(t, ann.c.CreateInbox(ctx, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}))
	s, err := relay.DialSender(ctx, endpoint(t, web, a, nil), a)
	check(t, err)
	blob := bytes.Repeat([]byte("x"), 100<<10)
	_, err = s.Store(ctx, inbox, token, blob)
	check(t, err)
	select {
	case m := <-ann.c.Mail():
		if !bytes.Equal(m.Blob, blob) {
			t.Error("another blob")
		}
	case <-ctx.Done():
		t.Fatal("no mail")
	}

	legA, ticket, err := ann.c.OpenForward(ctx)
	check(t, err)
	legB, err := bob.c.JoinForward(ctx, ticket)
	check(t, err)
	conns := make(chan *transport.PeerConn, 1)
	go func() {
		c, err := bob.ep.Connect(ctx, transport.Attempt{Peer: ann.id.PeerID(), Record: ann.id.Record(), ProbeKey: [32]byte{9}, Relay: &legB, RelayOnly: true})
		if err != nil {
			t.Error(err)
		}
		conns <- c
	}()
	ca, err := ann.ep.Connect(ctx, transport.Attempt{Peer: bob.id.PeerID(), Record: bob.id.Record(), ProbeKey: [32]byte{9}, Relay: &legA, RelayOnly: true})
	check(t, err)
	cb := <-conns
	go func() {
		if s, err := cb.AcceptStream(ctx); err == nil {
			io.Copy(s, s)
			s.Close()
		}
	}()
	st, err := ca.OpenStream(ctx)
	check(t, err)
	_, err = st.Write(blob)
	check(t, err)
	st.Close()
	if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	ca.Close(0, "")
}

// The key in the relay's address counts here as on UDP, whatever TLS says.
func TestWrongKey(t *testing.T) {
	a, web := start(t, 10)
	wrong, err := identity.NewServerKey(bytes.Repeat([]byte{7}, 32))
	check(t, err)
	ep := endpoint(t, web, a, nil)
	a.ID = wrong.ID()
	if _, err := relay.DialSender(t.Context(), ep, a); !errors.Is(err, transport.ErrServerKey) {
		t.Errorf("err = %v, want ErrServerKey", err)
	}
	// TLS is bound to the key as well.
	if _, err := dialWeb(t, web, a); !errors.Is(err, ErrServerKey) {
		t.Errorf("dialling: err = %v, want ErrServerKey", err)
	}
}

func TestHostile(t *testing.T) {
	a, web := start(t, 2)
	raw := func(protocols ...string) (*websocket.Conn, error) {
		c, _, err := websocket.Dial(t.Context(), url(web), &websocket.DialOptions{HTTPClient: web.Client(), Subprotocols: protocols})
		return c, err
	}
	closed := func(what string, c *websocket.Conn) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, _, err := c.Read(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", what, err)
		}
		c.CloseNow()
	}
	for what, f := range map[string]func(*websocket.Conn){
		"a long message": func(c *websocket.Conn) {
			c.Write(t.Context(), websocket.MessageBinary, make([]byte, maxDatagram+1))
		},
		"text": func(c *websocket.Conn) { c.Write(t.Context(), websocket.MessageText, []byte("hello")) },
	} {
		c, err := raw(Protocol)
		check(t, err)
		f(c)
		closed(what, c)
	}
	c, err := raw("other")
	check(t, err)
	closed("another subprotocol", c)

	// Not more than two at a time; the third is told so.
	var held []*Conn
	for range 2 {
		var x *Conn
		for { // those above may not be counted out yet
			if x, err = dialWeb(t, web, a); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		held = append(held, x)
	}
	if _, err := dialWeb(t, web, a); err == nil {
		t.Error("one connection too many")
	}
	// A write to anybody else goes nowhere; deadlines and Close unblock a read.
	if n, err := held[0].WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}); n != 1 || err != nil {
		t.Errorf("WriteTo = %d, %v", n, err)
	}
	got := make(chan error, 1)
	read := func() { _, _, err := held[0].ReadFrom(make([]byte, 10)); got <- err }
	go read()
	held[0].SetReadDeadline(time.Now().Add(-time.Second))
	if err := <-got; err == nil {
		t.Error("a read past its deadline")
	}
	held[0].SetReadDeadline(time.Time{})
	go read()
	held[0].Close()
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read at Close: %v", err)
	}
	held[1].Close()
}
