package transport

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/handshake"
	"github.com/sremp/sremp/internal/domains"
)

func TestDomainsOfHellos(t *testing.T) {
	key := [32]byte{1}
	aead := func(c string) cipher.AEAD {
		k, err := hkdf.Key(sha256.New, key[:], nil, c, chacha20poly1305.KeySize)
		if err != nil {
			t.Fatal(err)
		}
		a, err := chacha20poly1305.NewX(k)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	keys := newHelloKeys(key)
	domains.Row(t, contextHelloRequest, func(c string) bool {
		_, ok := openHello(keys.request, sealHello(aead(c), helloRequest, helloMessage{kind: kindHello}))
		return ok
	})
	domains.Row(t, contextHelloReply, func(c string) bool {
		_, ok := openHello(keys.reply, sealHello(aead(c), helloReply, helloMessage{kind: kindHello}))
		return ok
	})
}

func TestDomainsOfChannel(t *testing.T) {
	channel := [32]byte{1}
	domains.Row(t, contextCheck, func(c string) bool { return channelHKDF(channel, c) == pathKey(channel) })
	domains.Row(t, contextRound, func(c string) bool {
		return channelHKDF(channel, c+string(binary.BigEndian.AppendUint32(nil, 7))) == roundKey(channel, 7)
	})
	domains.Row(t, contextSpare, func(c string) bool {
		return channelHKDF(channel, c+string(binary.BigEndian.AppendUint32(nil, 7))) == spareKey(channel, 7)
	})
}

// What TLS exports in one context is of no use in another: not to the handshake,
// not as what signatures are bound to.
func TestDomainsOfExporters(t *testing.T) {
	ctx := withTimeout(t)
	_, addr := echoServer(t, serverKey(t, 1), nil)
	c, err := endpoint(t, Config{}).DialServer(ctx, addr, testALPN)
	if err != nil {
		t.Fatal(err)
	}
	state := c.q.ConnectionState().TLS
	in := func(c string) [32]byte {
		b, err := export(state, c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	domains.Row(t, exporterBinding, func(context string) bool { return in(context) == c.Binding() })

	low, high := pair(t)
	domains.Row(t, exporterHandshake, func(context string) bool {
		config := handshake.Config{Pattern: handshake.XX, ALPN: testALPN, Version: version, Local: low, Initiator: true, Exporter: in(context)}
		i, err := handshake.New(config)
		if err != nil {
			t.Fatal(err)
		}
		config.Initiator, config.Local, config.Exporter = false, high, in(exporterHandshake)
		r, err := handshake.New(config)
		if err != nil {
			t.Fatal(err)
		}
		for from, to := i, r; i.Turn() != handshake.Done || r.Turn() != handshake.Done; from, to = to, from {
			msg, err := from.WriteMessage()
			if err != nil || to.ReadMessage(msg) != nil {
				return false
			}
		}
		return true
	})
}
