package websocket

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/coder/websocket"

	"github.com/sremp/sremp/identity"
)

// The server signs what TLS exports (RFC 8446, section 7.5), so that the key in
// its address, and no certificate, says whose TLS this is: whoever terminates TLS
// in between has another exporter on each side.
const (
	contextProof  = "SREMP v1 websocket"
	exporterProof = "EXPORTER SREMP v1 websocket"
	proofHeader   = "Sremp-Proof"
)

// Port is the TCP port that is tried first: networks without UDP let it through.
const Port = 443

// secondTry is when the second port is tried beside the first.
const secondTry = 100 * time.Millisecond

// ErrServerKey: TLS leads to somebody who cannot prove the server's key.
var ErrServerKey = errors.New("relay/websocket: what answers on TCP does not have the key in the server's address")

func export(state *tls.ConnectionState) ([]byte, error) {
	return state.ExportKeyingMaterial(exporterProof, nil, 32)
}

// prove returns the header that proves key to the other end of a TLS connection.
func prove(key *identity.ServerKey, state *tls.ConnectionState) (string, error) {
	b, err := export(state)
	if err != nil {
		return "", fmt.Errorf("relay/websocket: %w", err)
	}
	sig := key.Sign(contextProof, b)
	return base64.StdEncoding.EncodeToString(sig[:]), nil
}

// proven reports whether an answer proves a server's key.
func proven(id identity.ServerID, r *http.Response) bool {
	if r.TLS == nil {
		return false
	}
	sig, err := base64.StdEncoding.DecodeString(r.Header.Get(proofHeader))
	b, exportErr := export(r.TLS)
	return err == nil && exportErr == nil && len(sig) == 64 && identity.Verify(id, contextProof, b, [64]byte(sig))
}

// Dial opens a WebSocket to a server whose UDP address is addr: on TCP port 443
// of the same host, and on the port that has the number of the UDP port. The one
// that first proves the server's key is taken.
func Dial(ctx context.Context, server identity.ServerAddr, addr netip.AddrPort) (*Conn, error) {
	ports := []uint16{Port}
	if addr.Port() != Port {
		ports = append(ports, addr.Port())
	}
	return dialPorts(ctx, server, addr, ports)
}

func dialPorts(ctx context.Context, server identity.ServerAddr, addr netip.AddrPort, ports []uint16) (*Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		c   *Conn
		err error
	}
	results := make(chan result, len(ports))
	var errs []error
	next := time.NewTimer(0)
	defer next.Stop()
	for begun, running := 0, 0; begun < len(ports) || running > 0; {
		select {
		case <-next.C:
			if begun == len(ports) {
				continue
			}
			at := netip.AddrPortFrom(addr.Addr(), ports[begun])
			begun++
			running++
			go func() {
				c, err := dial(ctx, server, at, addr)
				results <- result{c, err}
			}()
			next.Reset(secondTry)
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				for range running { // they end at once
					if late := <-results; late.c != nil {
						late.c.Close()
					}
				}
				return r.c, nil
			}
			errs = append(errs, r.err)
			next.Reset(0)
		}
	}
	return nil, errors.Join(errs...)
}

// dial opens a WebSocket at one TCP address.
func dial(ctx context.Context, server identity.ServerAddr, at, udp netip.AddrPort) (*Conn, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{
			// The proof below says who it is.
			InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, ServerName: serverName(server),
		},
	}
	o := &websocket.DialOptions{HTTPClient: &http.Client{Transport: t}, Subprotocols: []string{Protocol}, Host: serverName(server)}
	c, r, err := websocket.Dial(ctx, "wss://"+at.String()+Path, o)
	if err != nil {
		return nil, fmt.Errorf("relay/websocket: %w", err)
	}
	if !proven(server.ID, r) {
		c.CloseNow()
		return nil, fmt.Errorf("%w (%s)", ErrServerKey, at)
	}
	if c.Subprotocol() != Protocol {
		c.CloseNow()
		return nil, errors.New("relay/websocket: the other end speaks another protocol")
	}
	return newConn(c, udp), nil
}

// serverName is what TLS tells: the name in the address if there is one. Without
// any, TLS would tell the address that packets go to anyway.
func serverName(a identity.ServerAddr) string {
	if _, err := netip.ParseAddr(a.Host); err != nil {
		return a.Host
	}
	return ""
}
