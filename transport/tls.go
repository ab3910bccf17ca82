package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/nat"
)

// throwAwayCertificate is made anew by every endpoint and names nobody: TLS
// wants a certificate, Noise authenticates (spec §5.2.1).
func throwAwayCertificate() (tls.Certificate, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("transport: %w", err)
	}
	// Fixed dates: the certificate must not tell when the endpoint was started.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("transport: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// serverTLS returns the configuration of the listener; protocols may depend on
// who dials.
func serverTLS(cert tls.Certificate, protocols func(*tls.ClientHelloInfo) []string) *tls.Config {
	base := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS13,
		// A ticket would let a copied client state skip Noise, and link connections.
		SessionTicketsDisabled: true,
	}
	base.GetConfigForClient = func(chi *tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.GetConfigForClient = nil
		// Without protocols crypto/tls would go on without ALPN, and quic-go
		// fail later; this one nobody offers.
		c.NextProtos = append(protocols(chi), "sremp-none")
		return c, nil
	}
	return base
}

func clientTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		NextProtos: protocols,
		MinVersion: tls.VersionTLS13,
		// No SNI: what we dial is named by a key, and not to the network.
		ServerName: "sremp.invalid",
		// The certificate is throw-away on purpose. Noise with the TLS exporter
		// in its prologue authenticates the connection: whoever terminates TLS
		// in between has another exporter on each side, and Noise fails on both.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
	}
}

func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           handshakeTimeout,
		MaxIdleTimeout:                 idleTimeout,
		EnableDatagrams:                true, // as keep-alives (spec §5.4.9)
		InitialStreamReceiveWindow:     initialStreamWindow,
		InitialConnectionReceiveWindow: initialConnectionWindow,
		// On a path just taken: what every one of QUIC carries.
		InitialPacketSize:     nat.LongPacket,
		MaxIncomingStreams:    maxStreams,
		MaxIncomingUniStreams: -1,
		Allow0RTT:             false,
	}
}
