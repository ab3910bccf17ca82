package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay/websocket"
)

// maxWebSockets bounds connections of those without UDP.
const maxWebSockets = 10_000

// webDefault listens where UDP does, webNone nowhere.
const (
	webDefault = "default"
	webNone    = "none"
)

func addWebSocketFlags(f *pflag.FlagSet, o *serverOptions) {
	f.StringVar(&o.websocket, "websocket", webDefault,
		"TCP `addresses`, such as :443,:4433, for clients whose network lets no UDP through; none; default is the UDP address's own")
	f.StringVar(&o.domain, "domain", "", "get a certificate for this `name` from Let's Encrypt, whose terms you accept; needs --websocket :443")
	f.StringVar(&o.tlsCert, "tls-cert", "", "`file` of a certificate for --websocket, instead of one that says nothing")
	f.StringVar(&o.tlsKey, "tls-key", "", "`file` of its key")
}

// webListeners opens what --websocket says. Only the default may fail: somebody
// else may have the TCP port.
func (a *app) webListeners(o serverOptions, udp netip.AddrPort) (ls []net.Listener, err error) {
	switch o.websocket {
	case webNone:
		return nil, nil
	case webDefault:
		l, err := net.Listen("tcp", udp.String())
		if err != nil {
			a.say("no WebSocket, clients without UDP will not reach this server: %v", err)
			return nil, nil
		}
		return []net.Listener{l}, nil
	}
	for _, addr := range strings.Split(o.websocket, ",") {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return ls, usageError{fmt.Errorf("--websocket takes HOST:PORT, \"none\" or \"default\", not %q", addr)}
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return ls, fmt.Errorf("listening for WebSocket: %w", err)
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// certificate returns what --tls-cert, --tls-key and --domain say.
func (o serverOptions) certificate() (c websocket.Certificate, err error) {
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return c, usageError{errors.New("--tls-cert needs --tls-key, and that the other")}
	}
	if o.tlsCert != "" {
		own, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
		if err != nil {
			return c, fmt.Errorf("the certificate of --websocket: %w", err)
		}
		c.Own = &own
	}
	if o.domain != "" {
		if _, err := netip.ParseAddr(o.domain); err == nil || identity.CheckHost(o.domain) != nil || !strings.Contains(o.domain, ".") {
			return c, usageError{fmt.Errorf("--domain takes a name such as chat.example.org, not %q", o.domain)}
		}
		c.Domain, c.Cache = o.domain, filepath.Join(o.dir, "certificates")
	}
	return c, nil
}

// serveWebSocket carries the UDP port's datagrams over TCP until the returned
// function is called.
func (a *app) serveWebSocket(o serverOptions, key *identity.ServerKey, udp netip.AddrPort) (stop func(), err error) {
	certificate, err := o.certificate()
	if err != nil {
		return nil, err
	}
	config, err := certificate.Config()
	if err != nil {
		return nil, err
	}
	ls, err := a.webListeners(o, udp)
	if err != nil {
		for _, l := range ls {
			l.Close()
		}
		return nil, err
	}
	if udp.Addr().IsUnspecified() {
		udp = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), udp.Port())
	}
	h := websocket.NewHandler(udp, maxWebSockets, key)
	mux := http.NewServeMux()
	mux.Handle("GET "+websocket.Path, h)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: config,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // WebSocket is HTTP/1.1's
	}
	done := make(chan struct{}, len(ls))
	for _, l := range ls {
		go func() {
			if err := srv.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
				a.say("WebSocket: %v", err)
			}
			done <- struct{}{}
		}()
		a.say("WebSocket on TCP %s", l.Addr())
	}
	return func() {
		srv.Close()
		h.Close()
		for range ls {
			<-done
		}
	}, nil
}
