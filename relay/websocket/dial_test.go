package websocket

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// Somebody in between who terminates TLS on both sides and hands the HTTP on,
// proof included, is noticed.
func TestTLSInterception(t *testing.T) {
	a, web := start(t, 10)
	between := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server, err := tls.Dial("tcp", web.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return
		}
		defer server.Close()
		if err := r.Write(server); err != nil {
			t.Error(err)
		}
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		go io.Copy(server, client)
		io.Copy(client, server)
	}))
	t.Cleanup(between.Close)
	if c, err := dialWeb(t, between, a); !errors.Is(err, ErrServerKey) {
		t.Errorf("got %v, %v, want ErrServerKey", c, err)
	}
}

// The second port is tried when the first does not lead to the server, whatever
// it leads to.
func TestSecondPort(t *testing.T) {
	a, web := start(t, 10)
	at := netip.MustParseAddrPort(web.Listener.Addr().String())
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() }) // accepts, and says nothing
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	gone.Close()
	for what, addr := range map[string]net.Addr{"another web site": other.Listener.Addr(), "nobody": gone.Addr(), "silence": l.Addr()} {
		ports := []uint16{addrPortOf(addr), at.Port()}
		c, err := dialPorts(t.Context(), a, netip.AddrPortFrom(at.Addr(), a.Port), ports)
		if err != nil {
			t.Errorf("%s on the first port: %v", what, err)
			continue
		}
		c.Close()
	}
}

func addrPortOf(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }

// With a domain the certificate of the authority is shown to those who ask for
// the name, and another one to all others; the key is proved to both.
func TestDomain(t *testing.T) {
	const domain = "chat.example.org"
	cache := t.TempDir()
	cert, err := throwAway()
	check(t, err)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	check(t, err)
	named := *leaf
	named.DNSNames, named.NotBefore, named.NotAfter = []string{domain}, time.Now().Add(-time.Hour), time.Now().Add(60*24*time.Hour)
	key := cert.PrivateKey.(*ecdsa.PrivateKey)
	der, err := x509.CreateCertificate(nil, &named, &named, key.Public(), key)
	check(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	check(t, err)
	b := append(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	check(t, os.WriteFile(filepath.Join(cache, domain), b, 0o600)) // as a run before has left it

	a, web := start(t, 10)
	config, err := Certificate{Domain: domain, Cache: cache}.Config()
	check(t, err)
	s := httptest.NewUnstartedServer(web.Config.Handler)
	s.TLS, s.Config.ErrorLog = config, log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	shown := func(name string) string {
		t.Helper()
		c, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		check(t, err)
		defer c.Close()
		return string(c.ConnectionState().PeerCertificates[0].Raw)
	}
	if shown(domain) != string(der) {
		t.Error("those who ask for the name get another certificate")
	}
	if shown("") == string(der) || shown("elsewhere.example") == string(der) {
		t.Error("those who do not ask for the name get its certificate")
	}
	for _, host := range []string{domain, "127.0.0.1"} {
		c, err := dialWeb(t, s, identity.ServerAddr{ID: a.ID, Host: host, Port: a.Port})
		if err != nil {
			t.Errorf("as %s: %v", host, err)
			continue
		}
		c.Close()
	}
}

// The addresses that stand for clients are known as such, and no others.
func TestStandIn(t *testing.T) {
	h := NewHandler(netip.MustParseAddrPort("127.0.0.1:9"), 1, nil)
	for _, from := range []string{"192.0.2.1", "2001:db8::1", "127.0.0.1"} {
		c, err := h.dial(prefixOf(netip.MustParseAddr(from)))
		check(t, err)
		if a := addrOf(c.LocalAddr()); !StandIn(a) {
			t.Errorf("%s stands for %s, and is not known as such", a, from)
		}
		c.Close()
	}
	for _, a := range []string{"127.0.0.1", "192.0.2.1", "::1", "2001:db8::7f01:1"} {
		if StandIn(netip.MustParseAddr(a)) {
			t.Errorf("%s passes for one", a)
		}
	}
}

func addrOf(a net.Addr) netip.Addr { return netip.MustParseAddrPort(a.String()).Addr() }
