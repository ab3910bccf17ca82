package websocket

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// A Certificate says which certificates a server shows. Clients do not ask for
// any but what TLS needs; one of a known authority looks like any other web site.
type Certificate struct {
	// Own is shown where nothing below applies. Without one it is throw-away.
	Own *tls.Certificate
	// Domain is a name for which a certificate is had from Let's Encrypt (ACME,
	// RFC 8555, over the same port: RFC 8737), which must be TCP 443 from outside.
	// Cache is a directory for it.
	Domain, Cache string
}

// Config returns the server's side of TLS.
func (c Certificate) Config() (*tls.Config, error) {
	own := c.Own
	if own == nil {
		var err error
		if own, err = throwAway(); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{*own}}
	if c.Domain == "" {
		return config, nil
	}
	m := &autocert.Manager{Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(c.Domain), Cache: autocert.DirCache(c.Cache)}
	config.NextProtos = m.TLSConfig().NextProtos
	for i, p := range config.NextProtos { // WebSocket is HTTP/1.1's
		if p == "h2" {
			config.NextProtos = append(config.NextProtos[:i:i], config.NextProtos[i+1:]...)
			break
		}
	}
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != c.Domain {
			return own, nil
		}
		cert, err := m.GetCertificate(hello)
		if err != nil && !challenge(hello) {
			return own, nil // the authority is away: nobody who needs us asks for it
		}
		return cert, err
	}
	return config, nil
}

// challenge reports whether the certificate authority is asking (RFC 8737).
func challenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == "acme-tls/1"
}

// throwAway makes a certificate that says nothing.
func throwAway() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("relay/websocket: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("relay/websocket: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
