package ratchet

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/domains"
	"github.com/sremp/sremp/wire"
)

func TestDomainsOfPrekeys(t *testing.T) {
	low, high := newSides(t, 1)
	x, err := wire.ParsePrekeyBundle(low.store.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	domains.Row(t, contextBundle, func(c string) bool {
		x := x
		x.Signature = low.local.Sign(c, x.AppendSigned(nil))
		_, err := ParseBundle(x.Append(nil), low.local.PeerID(), start)
		return err == nil
	})
	enc := low.oneTime()
	one, err := wire.ParseOneTimePrekey(enc)
	if err != nil {
		t.Fatal(err)
	}
	bundle := low.bundle(start)
	domains.Row(t, contextOneTime, func(c string) bool {
		x := one
		x.Signature = low.local.Sign(c, x.AppendSigned(nil))
		_, err := Initiate(start, high.local, bundle, x.Append(nil), [32]byte{})
		return err == nil
	})
	domains.Row(t, contextBundleHash, func(c string) bool { return tagged(c, low.store.Bundle()) == bundle.hash })
	domains.Row(t, contextOneHash, func(c string) bool {
		k, err := bundle.parseOneTime(enc, start)
		return err == nil && k.hash == tagged(c, enc)
	})
}

func TestDomainsOfAgreement(t *testing.T) {
	a, b := party{id: identity.PeerID{1}}, party{id: identity.PeerID{2}}
	record, bundle, one, agreement := [32]byte{3}, [32]byte{4}, [32]byte{5}, []byte("agreement")
	domains.Row(t, contextAgreement, func(c string) bool {
		h := tagged(c, agreement)
		return agreementHash(h[:16]) == hashAgreement(agreement)
	})
	script := transcript(a, b, record, bundle, one, agreement)
	hash := tagged(contextAgreement, agreement)
	domains.Row(t, contextTranscript, func(c string) bool {
		return tagged(c, a.id[:], a.device[:], b.id[:], b.device[:], record[:], bundle[:], one[:], hash[:]) == script
	})
	domains.Row(t, contextPair, func(c string) bool {
		h := tagged(c, a.id[:], a.device[:], b.id[:], b.device[:])
		return [16]byte(h[:16]) == pair(a, b)
	})
	dh, kem, psk := [32]byte{6}, [32]byte{7}, [32]byte{8}
	keys := agree(script, [][]byte{dh[:]}, kem[:], psk)
	domains.Row(t, contextKeys, func(c string) bool {
		secret := slices.Concat(bytes.Repeat([]byte{0xff}, 32), dh[:], kem[:], psk[:])
		out := expand(secret, script[:], c)
		return out[0] == keys.root && out[1] == keys.header
	})
}

func TestDomainsOfChains(t *testing.T) {
	root, dh := [32]byte{1}, [32]byte{2}
	next, chain := kdfRoot(&root, slices.Clone(dh[:]), nil)
	domains.Row(t, contextRoot, func(c string) bool {
		out := expand(slices.Clone(dh[:]), root[:], c)
		return out[0] == next && out[1] == chain
	})
	domains.Row(t, contextHeader, func(c string) bool {
		b, err := hkdf.Expand(sha256.New, root[:], c, 32)
		if err != nil {
			t.Fatal(err)
		}
		return [32]byte(b) == kdfHeader(&root).key
	})
	after, message := kdfChain(&chain)
	step := func(c string) [32]byte { return sha256.Sum256(append(slices.Clone(chain[:]), c...)) }
	domains.Row(t, contextChain, func(c string) bool { return step(c) == after })
	domains.Row(t, contextMessage, func(c string) bool { return step(c) == message })
}
