package identity

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/sremp/sremp/internal/domains"
	"github.com/sremp/sremp/wire"
)

func hkdf32(t *testing.T, secret, salt []byte, context string) [32]byte {
	t.Helper()
	b, err := hkdf.Key(sha256.New, secret, salt, context, 32)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(b)
}

func TestDomainsOfTexts(t *testing.T) {
	key := testSecretKey(t, 1).Public()
	domains.Row(t, contextPeerChecksum, func(c string) bool {
		_, err := ParsePeerID(keyText(c, key))
		return err == nil
	})
	domains.Row(t, contextServerChecksum, func(c string) bool {
		_, err := ParseServerID(keyText(c, key))
		return err == nil
	})
	i := Invite{Peer: PeerID(key), Secret: [32]byte{1}, Expires: time.Unix(1_900_000_000, 0)}
	domains.Row(t, contextInviteChecksum, func(c string) bool {
		b := i.wire().Append(nil)
		h := sha256.Sum256(append([]byte(c), b...))
		_, err := ParseInvite(InviteScheme + textEncoding.EncodeToString(append(b, h[:inviteChecksumLen]...)))
		return err == nil
	})
	domains.Row(t, contextCode, func(c string) bool {
		for n := range byte(4) { // a checksum of 8 bits fits by chance
			b := [codeBytes]byte{n}
			sum := sha256.Sum256(append([]byte(c), b[:]...))
			if _, err := ParseInviteCode(strings.Join(toWords(append(b[:], sum[0]), codeWords), " ")); err != nil {
				return false
			}
		}
		return true
	})
	other := PeerID(testSecretKey(t, 2).Public())
	ids := [][]byte{key[:], other[:]}
	slices.SortFunc(ids, bytes.Compare)
	words := VerificationWords(PeerID(key), other)
	domains.Row(t, contextWords, func(c string) bool {
		sum := argon2.IDKey(bytes.Join(ids, nil), []byte(c), wordsTime, wordsMemoryKiB, wordsThreads, 32)
		return slices.Equal(toWords(sum, 12), words[:])
	})
}

func TestDomainsOfInviteKeys(t *testing.T) {
	i := Invite{Peer: PeerID(testSecretKey(t, 1).Public()), Secret: [32]byte{1}}
	domains.Row(t, "SREMP v1 invite knock", func(c string) bool { return hkdf32(t, i.Secret[:], i.Peer[:], c) == i.Knock() })
	domains.Row(t, "SREMP v1 invite psk", func(c string) bool { return hkdf32(t, i.Secret[:], i.Peer[:], c) == i.PSK() })
	domains.Row(t, "SREMP v1 invite hello", func(c string) bool { return hkdf32(t, i.Secret[:], i.Peer[:], c) == i.HelloKey() })
	domains.Row(t, "SREMP v1 invite introduction", func(c string) bool { return hkdf32(t, i.Secret[:], i.Peer[:], c) == i.IntroKey() })
}

func TestDomainsOfServerKeys(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, 32)
	k, err := NewServerKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	domains.Row(t, contextServerSigning, func(c string) bool {
		half := hkdf32(t, seed, nil, c)
		s, err := NewSecretKey(half[:])
		return err == nil && s.Public() == k.ID()
	})
	domains.Row(t, contextServerNoise, func(c string) bool { return hkdf32(t, seed, nil, c) == [32]byte(k.Noise().Seed()) })
	domains.Row(t, contextServerCert, func(c string) bool {
		id, noise := k.ID(), k.Noise().Public()
		sig := k.Sign(c, noise[:])
		return CheckServerCertificate(slices.Concat(id[:], noise[:], sig[:]), id, noise)
	})
}

func TestDomainsOfRecords(t *testing.T) {
	l, recovery, err := NewLocal("Ada", time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	first := l.Record()
	x, err := wire.ParseRecord(first.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	domains.Row(t, contextRecord, func(c string) bool {
		x := x
		x.Signature = l.Sign(c, x.AppendUnsigned(nil))
		_, err := ParseRecord(x.Append(nil))
		return err == nil
	})
	domains.Row(t, contextRecordHash, func(c string) bool { return sha256.Sum256(append([]byte(c), first.Bytes()...)) == first.Hash() })

	signer := testSecretKey(t, 3)
	raised := x
	raised.Epoch, raised.Signer, raised.Prev = 1, signer.Public(), first.Hash()
	domains.Row(t, contextGrant, func(c string) bool {
		x := raised
		x.GrantSignature = recovery.Sign(c, grantMessage(PeerID(x.Identity), x.Epoch, x.Signer))
		x.Signature = signer.Sign(contextRecord, x.AppendUnsigned(nil))
		_, err := ParseRecord(x.Append(nil))
		return err == nil
	})
}
