package rendezvous

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// readVectors reads "name = hex" lines.
func readVectors(t *testing.T, file string) map[string][]byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v := map[string][]byte{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			if v[name], err = hex.DecodeString(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return v
}

// Spec §7.3 to §7.5: a registration of a sealed record, and an introduction. What is
// sealed has a random nonce: it is the file's, must open, and be the same when it is
// sealed again with that nonce.
func TestSealedVectors(t *testing.T) {
	const file, period = "testdata/sealed.txt", 20454
	k, lookup := testKey(t, 1), [32]byte(bytes.Repeat([]byte{2}, 32))
	id := identity.PeerID(k.Public())
	server := identity.ServerAddr{ID: identity.ServerID(testKey(t, 40).Public()), Host: "relay.example", Port: 443}
	binding := [32]byte(bytes.Repeat([]byte{3}, 32))
	bk := blindKey(k, lookup, period)
	now := t0
	offerText, answerText := []byte("sealed for the contact"), []byte("sealed for who asked")

	if *update {
		identityVectors, err := os.ReadFile("../identity/testdata/vectors.txt")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(identityVectors), "record: ")
		line, _, _ := strings.Cut(rest, "\n")
		record, err := identity.ParseRecord(unhex(t, line))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := sealRecord(k, lookup, period, Content{Record: record, Relays: []identity.ServerAddr{server}, Rendezvous: []identity.ServerAddr{server}, KnockInbox: [32]byte{7}}, now)
		if err != nil {
			t.Fatal(err)
		}
		x := wire.RendezvousRegister{Request: 5, Blinded: bk.public, Period: period, TTL: 3600, Sealed: sealed}
		x.Signature = bk.sign(contextRegistration, registrationMessage(server.ID, binding, x))
		offer, err := sealPadded(periodAEAD(contextOfferKey, id, lookup, period), bk.public[:], offerText, introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := sealPadded(periodAEAD(contextAnswerKey, id, lookup, period), answerData(offer), answerText, introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		out.WriteString("# spec 7.3 to 7.5: seed, lookup and period of derived.txt\n")
		for _, v := range []struct {
			name  string
			bytes []byte
		}{
			{"server", server.ID[:]}, {"binding", binding[:]}, {"register", x.Append(nil)},
			{"introduce", wire.RendezvousIntroduce{Request: 6, Blinded: bk.public, Offer: offer}.Append(nil)}, {"offer_text", offerText},
			{"answer", wire.RendezvousAnswer{Introduction: [16]byte{9}, Answer: answer}.Append(nil)}, {"answer_text", answerText},
		} {
			fmt.Fprintf(&out, "%s = %x\n", v.name, v.bytes)
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	v := readVectors(t, file)
	x, err := wire.ParseRendezvousRegister(v["register"])
	if err != nil {
		t.Fatal(err)
	}
	want := bk.sign(contextRegistration, registrationMessage(server.ID, binding, x))
	if x.Blinded != bk.public || x.Signature != want {
		t.Errorf("the registration of %x is signed %x, want %x and %x", x.Blinded, x.Signature, bk.public, want)
	}
	c, err := openRecord(id, lookup, period, x.Sealed)
	if err != nil || c.Record.Name != "Alice" || len(c.Relays) != 1 || c.Relays[0] != server || c.KnockInbox != [32]byte{7} || !c.Issued.Equal(now) {
		t.Fatalf("the record opens as %+v, %v", c, err)
	}
	again := func(what, context string, ad, sealed, plain []byte, buckets []int) {
		t.Helper()
		aead := periodAEAD(context, id, lookup, period)
		b, ok := openPadded(aead, ad, sealed, buckets)
		if !ok || plain != nil && !bytes.Equal(b, plain) {
			t.Fatalf("%s opens as %q, %v; want %q", what, b, ok, plain)
		}
		padded := make([]byte, len(sealed)-chacha20poly1305.NonceSizeX-chacha20poly1305.Overhead)
		padded[0], padded[1] = byte(len(b)>>8), byte(len(b))
		copy(padded[2:], b)
		nonce := sealed[:chacha20poly1305.NonceSizeX]
		if got := aead.Seal(bytes.Clone(nonce), nonce, padded, ad); !bytes.Equal(got, sealed) {
			t.Errorf("%s sealed again differs", what)
		}
	}
	again("the record", contextRecordKey, bk.public[:], x.Sealed, nil, recordBuckets)
	introduce, err := wire.ParseRendezvousIntroduce(v["introduce"])
	if err != nil {
		t.Fatal(err)
	}
	again("the offer", contextOfferKey, bk.public[:], introduce.Offer, offerText, introductionBuckets)
	answer, err := wire.ParseRendezvousAnswer(v["answer"])
	if err != nil {
		t.Fatal(err)
	}
	again("the answer", contextAnswerKey, answerData(introduce.Offer), answer.Answer, answerText, introductionBuckets)
}
