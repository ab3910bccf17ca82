package relay_test

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
)

// sealed is what a client does to what would show an identity (spec §8): the key
// is not the relay's.
func sealed(t *testing.T, b []byte) []byte {
	t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	aead := must[cipher.AEAD](t)(chacha20poly1305.NewX(key))
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, b, nil)
}

// forms are the ways in which bytes could stand in a file.
func forms(b []byte) [][]byte {
	base := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
	return [][]byte{
		b, []byte(hex.EncodeToString(b)), []byte(strings.ToUpper(hex.EncodeToString(b))), []byte(base), []byte(strings.ToLower(base)),
		[]byte(base64.StdEncoding.EncodeToString(b)), []byte(base64.RawURLEncoding.EncodeToString(b)), fmt.Append(nil, b),
	}
}

// What docs/threat-model.md says of a relay's disk: after a day of mail, knocks,
// prekeys, forwarding, moves, a restart, refusals and failures, neither the
// database's files nor the logs, at their most talkative, hold an identity key, a
// name, a sender, an address, a token or a plaintext.
func TestBusyDay(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "relay.db")
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	key := must[*identity.ServerKey](t)(identity.NewServerKey(seed(0xff)))
	const place = "127.77.66.55" // an address that stands nowhere by chance
	at := func(c transport.Config) *transport.Endpoint {
		c.PacketConn = must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(place)}))
		ep := must[*transport.Endpoint](t)(transport.New(c))
		t.Cleanup(func() { ep.Close() })
		return ep
	}
	run := func(port uint16) (identity.ServerAddr, func()) {
		store := must[*sqlite.Store](t)(sqlite.Open(t.Context(), db))
		s := must[*relay.Server](t)(relay.NewServer(relay.ServerConfig{Key: key, Store: store, Logger: logger, TokensOnly: true}))
		pc := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}))
		ep := must[*transport.Endpoint](t)(transport.New(transport.Config{
			PacketConn: pc, ServerKey: key, Forward: s.Forward, Logger: logger,
			Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: s.Serve},
		}))
		s.SetSend(ep.WritePacket)
		ep.Forward(1, s)
		ok(t, store.AddToken(t.Context(), relay.AdmissionToken{
			Hash: relay.AdmissionHash([]byte("admission-token-of-friends")), Uses: 9, Created: time.Now(), Expires: time.Now().Add(time.Hour),
		}))
		return identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: ep.LocalAddr().Port()}, func() {
			ep.Close()
			s.Close()
			store.Close()
		}
	}
	addr, stop := run(0)

	const annName, bobName, plaintext = "Annabelle Anonymous", "Bobby Unknown", "the plaintext that nobody may read"
	ann, _ := must3(t)(identity.NewLocal(annName, time.Now()))
	bob, _ := must3(t)(identity.NewLocal(bobName, time.Now()))
	ownerKey, bobOwner := owner(t, 1), owner(t, 2)
	dial := func(k identity.SecretKey) *relay.Client {
		c := must[*relay.Client](t)(relay.Dial(timeout(t), at(transport.Config{}), addr, k, "admission-token-of-friends"))
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := dial(ownerKey)
	contact, knockBox := [32]byte(randomBytes(32)), [32]byte(randomBytes(32))
	delivery, invited := [32]byte(randomBytes(32)), [32]byte(randomBytes(32))
	ok(t, c.CreateInbox(timeout(t), relay.InboxParams{ID: contact, TokenHash: relay.TokenHash(delivery)}))
	ok(t, c.CreateInbox(timeout(t), relay.InboxParams{ID: knockBox, Knock: true}))
	ok(t, c.AllowKnock(timeout(t), knockBox, invited, time.Now().Add(time.Hour)))
	ok(t, c.AllowWork(timeout(t), knockBox, 8))
	keys := must[*ratchet.PrekeyStore](t)(ratchet.NewPrekeyStore(ann, time.Now(), 3))
	var oneTime []relay.SealedOneTime
	for _, k := range keys.OneTime() {
		oneTime = append(oneTime, relay.SealedOneTime{ID: k.ID + 1, Blob: sealed(t, k.Bytes)})
	}
	ok(t, c.PutPrekeys(timeout(t), knockBox, sealed(t, keys.Bundle()), oneTime))

	senderEnd := at(transport.Config{})
	s := must[*relay.Sender](t)(relay.DialSender(timeout(t), senderEnd, addr))
	bundle := must[*ratchet.Bundle](t)(ratchet.ParseBundle(keys.Bundle(), ann.PeerID(), time.Now()))
	_, _, err := s.FetchPrekeys(timeout(t), knockBox, invited)
	ok(t, err)
	peer := must[*ratchet.Peer](t)(ratchet.Initiate(time.Now(), bob, bundle, nil, [32]byte{}))
	for i := range 30 {
		message := must[[]byte](t)(peer.Encrypt(nil, fmt.Append(nil, plaintext, i)))
		// Initial messages show who sends: the client seals them.
		must[relay.Receipt](t)(s.Store(timeout(t), contact, delivery, sealed(t, message)))
		if i < 3 {
			must[relay.Receipt](t)(s.Store(timeout(t), knockBox, invited, sealed(t, message)))
			must[relay.Receipt](t)(s.StoreWithWork(timeout(t), time.Now(), knockBox, 8, sealed(t, message)))
		}
	}
	var seqs []uint64
	for range 10 {
		seqs = append(seqs, next(t, c).Seq)
	}
	ok(t, c.Ack(timeout(t), seqs))
	// Refusals of every kind.
	if _, err := s.Store(timeout(t), contact, [32]byte{1}, []byte("x")); err == nil {
		t.Error("a wrong token")
	}
	if _, err := relay.Dial(timeout(t), at(transport.Config{}), addr, owner(t, 9), "a wrong token"); err == nil {
		t.Error("a wrong admission token")
	}
	// Forwarding between the two, a move, a restart.
	b := dial(bobOwner)
	legA, ticket, err := c.OpenForward(timeout(t))
	ok(t, err)
	legB := must[transport.Leg](t)(b.JoinForward(timeout(t), ticket))
	socket := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(place)}))
	defer socket.Close()
	move(t, socket, legA)
	stop()
	_, stop = run(addr.Port)
	move(t, socket, legB)
	stop()

	var files []byte
	for _, name := range must[[]string](t)(filepath.Glob(db + "*")) {
		files = append(files, must[[]byte](t)(os.ReadFile(name))...)
	}
	all := append(files, log.String()...)
	// The search finds what is there.
	public := ownerKey.Public()
	for what, there := range map[string][]byte{"the owner's key": public[:], "the inbox": contact[:], "a token's hash": sliceOf(relay.TokenHash(delivery))} {
		if !bytes.Contains(files, there) {
			t.Errorf("%s is not in the database; the test finds nothing", what)
		}
	}
	annID, bobID := ann.PeerID(), bob.PeerID()
	annRecord, bobRecord := ann.Record(), bob.Record()
	secrets := map[string][]byte{
		"Ann's identity": annID[:], "Bob's identity": bobID[:], "Ann's Noise key": annRecord.Noise[:], "Bob's Noise key": bobRecord.Noise[:],
		"Ann's agreement key": annRecord.Agreement[:], "Bob's agreement key": bobRecord.Agreement[:],
		"the delivery token": delivery[:], "the knock": invited[:], "the ticket": ticket,
		"a session's key": legA.Key[:], "the other's key": legB.Key[:], "a grant": legA.Grant[:], "the ratchet's bundle": keys.Bundle()[:64],
	}
	for what, secret := range secrets {
		for _, form := range forms(secret) {
			if bytes.Contains(all, form) {
				t.Errorf("%s stands on the relay's disk or in its log as %.40q", what, form)
			}
		}
	}
	host := netip.MustParseAddr(place).As4()
	for what, secret := range map[string][]byte{
		"Ann's name": []byte(annName), "Bob's name": []byte(bobName), "a plaintext": []byte(plaintext),
		"the admission token": []byte("admission-token-of-friends"), "an address": []byte(place), "an address in binary": host[:],
		"Ann's id as text": []byte(annID.String()), "Bob's id as text": []byte(bobID.String()),
	} {
		if bytes.Contains(all, secret) {
			t.Errorf("%s stands on the relay's disk or in its log", what)
		}
	}
	for _, session := range []uint64{legA.Session} {
		if strings.Contains(log.String(), fmt.Sprint(session)) || strings.Contains(log.String(), fmt.Sprintf("%x", session)) {
			t.Error("a session stands in the log")
		}
	}
}

func sliceOf(a [32]byte) []byte { return a[:] }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func must3(t *testing.T) func(*identity.Local, identity.SecretKey, error) (*identity.Local, identity.SecretKey) {
	return func(l *identity.Local, k identity.SecretKey, err error) (*identity.Local, identity.SecretKey) {
		t.Helper()
		ok(t, err)
		return l, k
	}
}
