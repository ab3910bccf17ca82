package relay

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/domains"
	"github.com/sremp/sremp/wire"
)

func domainKey(t *testing.T) *identity.ServerKey {
	t.Helper()
	key, err := identity.NewServerKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDomainsOfSignatures(t *testing.T) {
	key := domainKey(t)
	s, err := NewServer(ServerConfig{Key: key, Store: yesStore{}, Limits: Limits{Requests: 1e6, RequestBurst: 1e6}, Tick: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	owner := identity.GenerateSecretKey()
	domains.Row(t, contextOwner, func(c string) bool {
		v := newVisit(s, &script{done: make(chan struct{})})
		v.idle = time.NewTimer(time.Hour)
		defer v.idle.Stop()
		auth := wire.RelayAuth{Owner: owner.Public()}
		auth.Signature = owner.Sign(c, auth.Signed(key.ID(), v.c.Binding()))
		_, _, err := v.do(t.Context(), time.Now(), wire.FrameRelayAuth, auth.Append(nil))
		return err == nil
	})
	domains.Row(t, contextReceipt, func(c string) bool {
		r := wire.Receipt{Inbox: [32]byte{1}, Hash: [32]byte{2}, StoredAt: 3, Expires: 4}
		r.Signature = key.Sign(c, r.Signed())
		_, err := CheckReceipt(key.ID(), r.Inbox, r.Hash, r.Append(nil))
		return err == nil
	})
}

func TestDomainsOfHashes(t *testing.T) {
	token := [32]byte{1}
	domains.Row(t, "SREMP v1 delivery token", func(c string) bool { return sha256.Sum256(append([]byte(c), token[:]...)) == TokenHash(token) })
	domains.Row(t, "SREMP v1 admission token", func(c string) bool {
		return sha256.Sum256(append([]byte(c), token[:]...)) == AdmissionHash(token[:])
	})
	inbox, hash, w := [32]byte{1}, [32]byte{2}, wire.Work{Day: 3, Nonce: 4}
	domains.Row(t, contextWork, func(c string) bool {
		b := binary.BigEndian.AppendUint32(bytes.Join([][]byte{[]byte(c), inbox[:], hash[:]}, nil), w.Day)
		return sha256.Sum256(binary.BigEndian.AppendUint64(b, w.Nonce)) == workHash(inbox, hash, w)
	})
}

// The keys of forwarding sessions, and the grants that outlive the relay.
func TestDomainsOfForwarding(t *testing.T) {
	key, now := domainKey(t), time.Unix(1_800_000_000, 0)
	f := newForwardSecret(key)
	derive := func(c, label string) []byte {
		b, err := hkdf.Key(sha256.New, key.Noise().Seed(), nil, c+" "+label, 32)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	domains.Row(t, contextForward, func(c string) bool {
		h := hmac.New(sha256.New, derive(c, "session"))
		h.Write(sideName(7, 1))
		return [16]byte(h.Sum(nil)) == f.key(7, 1)
	})
	domains.Row(t, contextForward, func(c string) bool {
		aead, err := chacha20poly1305.NewX(derive(c, "grant"))
		if err != nil {
			t.Fatal(err)
		}
		g := forwardSecret{grants: aead}.grant(now, 7, 1, [32]byte{9})
		_, ok := f.openGrant(now, 7, 1, g)
		return ok
	})
}
