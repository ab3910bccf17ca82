package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

var updateIntroduction = flag.Bool("update-introduction", false, "rewrite testdata/introduction.txt; commit it only if the spec changed")

// Spec §8.6: an offer with an attestation, its answer, and the key that both sides
// probe with. The boxes' nonces are random: they are the file's and must open.
func TestIntroductionVectors(t *testing.T) {
	const file = "testdata/introduction.txt"
	server, err := identity.NewServerKey(bytes.Repeat([]byte{6}, 32))
	if err != nil {
		t.Fatal(err)
	}
	alice, err := identity.NewSecretKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	intro := [32]byte(bytes.Repeat([]byte{7}, 32))
	attestation := wire.Attestation{Server: server.ID(), Address: netip.MustParseAddr("192.0.2.1"), Time: 1_800_000_000_000}
	offer := wire.Offer{
		Peer: alice.Public(), Secret: [32]byte(bytes.Repeat([]byte{8}, 32)), SentAt: 1_800_000_000_000,
		Candidates: []nat.Candidate{
			{Kind: nat.Host, Addr: netip.MustParseAddrPort("[2a0e::1]:4433")},
			{Kind: nat.ServerReflexive, Addr: netip.MustParseAddrPort("192.0.2.1:4000")},
		},
		Relay: []wire.Server{{ID: server.ID(), Host: "relay.example", Port: 443}}, Ticket: bytes.Repeat([]byte{9}, 32),
	}
	subject := sha256.Sum256(offer.Secret[:])
	message := append(bytes.Clone(subject[:]), netip.MustParseAddr("::ffff:192.0.2.1").AsSlice()...)
	message = append(message, 0, 0, 1, 0xa3, 0x18, 0x5c, 0x50, 0)
	attestation.Signature = server.Sign("SREMP v1 rendezvous attestation", message)
	offer.Extensions = []wire.Extension{{Type: 1, Data: attestation.Append(nil)}}
	answer := wire.Answer{
		What: wire.AnswerConnect, Secret: [32]byte(bytes.Repeat([]byte{10}, 32)), Joined: true,
		Candidates: []nat.Candidate{{Kind: nat.Random, Addr: netip.MustParseAddrPort("198.51.100.1:5000")}},
	}
	key := probeKey(offer.Secret, answer.Secret)
	if *updateIntroduction {
		text := "# spec 8.6\n"
		for _, v := range []struct {
			name  string
			bytes []byte
		}{
			{"intro", intro[:]}, {"server_seed", bytes.Repeat([]byte{6}, 32)},
			{"offer", sealBox(introAEAD(intro), contextOffer, offer.Append(nil))},
			{"answer", sealBox(introAEAD(intro), answerContext(offer), answer.Append(nil))},
			{"probe_key", key[:]},
		} {
			text += fmt.Sprintf("%s = %x\n", v.name, v.bytes)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
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
	plain, err := openBox(introAEAD(intro), contextOffer, v["offer"])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.ParseOffer(plain); err != nil || !reflect.DeepEqual(got, offer) {
		t.Errorf("the offer is %+v, %v; want %+v", got, err, offer)
	}
	if plain, err = openBox(introAEAD(intro), answerContext(offer), v["answer"]); err != nil {
		t.Fatal(err)
	}
	if got, err := wire.ParseAnswer(plain); err != nil || !reflect.DeepEqual(got, answer) {
		t.Errorf("the answer is %+v, %v; want %+v", got, err, answer)
	}
	if !bytes.Equal(v["probe_key"], key[:]) {
		t.Errorf("the probe key is %x, want %x", key, v["probe_key"])
	}
}
