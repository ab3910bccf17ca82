package ratchet

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sremp/sremp/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/vectors.txt; commit it only if the spec changed")

// TestVectors pins the values of every step of spec §4: two identities of fixed
// seeds, an agreement with and one without a one-time pair, and messages.
func TestVectors(t *testing.T) {
	var out strings.Builder
	put := func(name string, b []byte) { fmt.Fprintf(&out, "%s = %x\n", name, b) }
	section := func(s string) { fmt.Fprintf(&out, "\n# %s\n", s) }

	out.WriteString("# Vectors of spec §4. Rewritten by go test ./ratchet -run TestVectors -update.\n")
	section("§4.3.2 KDF_RK: root key, Diffie-Hellman result, post-quantum secret; results")
	root, dh, pq := [32]byte{1}, [32]byte{2}, [32]byte{3}
	for _, extra := range [][]byte{nil, pq[:]} {
		step := dh
		next, chain := kdfRoot(&root, step[:], extra)
		header := kdfHeader(&next)
		put("root", root[:])
		put("dh", dh[:])
		put("pq", extra)
		put("next_root", next[:])
		put("chain", chain[:])
		put("next_header", header.key[:])
	}
	section("§4.3.2 KDF_CK")
	next, message := kdfChain(&root)
	put("chain", root[:])
	put("next_chain", next[:])
	put("message_key", message[:])

	section("§4.5.2 device pair: as the second side stores it")
	a, b := newSides(t, 0)
	name := pair(partyOf(b.local), partyOf(a.local))
	put("own_then_remote", append(partyBytes(b), partyBytes(a)...))
	put("pair", name[:])

	for _, n := range []int{1, 0} {
		low, high := newSides(t, n)
		section(fmt.Sprintf("§4.1 prekeys, %d one-time pair", n))
		g := high.store.s.generations[0]
		put("signed_prekey_private", g.signed[:])
		put("last_resort_seed", g.lastResort[:])
		put("bundle", high.store.Bundle())
		put("bundle_hash", g.hash[:])
		for _, o := range high.store.s.oneTime {
			put("one_time_private", o.x25519[:])
			put("one_time_seed", o.mlkem[:])
			put("one_time", high.store.OneTime()[0].Bytes)
		}
		section("§4.2 agreement")
		agreementKey := low.local.AgreementKey()
		put("initiator_agreement_private", agreementKey.Seed())
		agreementKey = high.local.AgreementKey()
		put("responder_agreement_private", agreementKey.Seed())
		psk := [32]byte{byte(n)}
		put("psk", psk[:])
		low.initiate(high, psk)
		s := low.peer.s.sessions[0]
		put("agreement", s.pending)
		put("session_id", s.id[:])
		put("initiator_header_key", s.send.key[:])
		put("responder_header_key", s.nextRecv.key[:])
		put("ratchet_private", s.dh.private[:])
		put("root", s.root[:])
		put("chain", s.sendChain[:])
		section("§4.3 messages: plaintext, message")
		exchange := func(from, to *side, text string, first bool) {
			x := from.peer.s.sessions[0]
			before := x.sendChain
			msg := from.encrypt(text)
			inner := msg
			if IsInitial(msg) {
				inner = msg[len(msg)-wire.RatchetOverhead-len(text):]
			}
			if x.sendN == 1 && !first { // a step: the chain key before is the new chain's first
				put("step_private", x.dh.private[:])
			} else {
				_, mk := kdfChain(&before)
				put("message_key", mk[:])
			}
			h := from.headerOf(inner)
			put("header_key", x.send.key[:])
			put("header", h.Append(nil))
			put("plaintext", []byte(text))
			put("message", msg)
			if first {
				if got := to.accept(msg, psk); got != text {
					t.Errorf("accepted %q, want %q", got, text)
				}
				return
			}
			to.expect(msg, text)
		}
		exchange(low, high, "hello", true)
		low.encrypt("lost")
		exchange(low, high, "after a gap", false)
		exchange(high, low, "answer", false)
		exchange(low, high, "step", false)
		section("§4.3.4 a post-quantum epoch: key, ciphertext, the step that mixes their secret")
		high.hurry()
		exchange(high, low, padded("offer"), false)
		put("decapsulation_seed", high.peer.s.sessions[0].pq.flight.seed[:])
		put("encapsulation_key", high.peer.s.sessions[0].pq.flight.vector)
		put("secret", low.peer.s.sessions[0].pq.flight.secret[:])
		put("ciphertext", low.peer.s.sessions[0].pq.flight.vector)
		section("§4.5 states of the two, in the middle of the exchange")
		for _, x := range []*side{low, high} {
			b, err := x.peer.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			put("state", b)
		}
		section("§4.3.4 on")
		exchange(low, high, padded("answer"), false)
		put("root_before", high.peer.s.sessions[0].root[:])
		exchange(high, low, "mixed", false)
		put("root_after", high.peer.s.sessions[0].root[:])
		exchange(low, high, "on", false)
		section("§4.5 states of the two")
		for _, x := range []*side{low, high} {
			b, err := x.peer.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			put("state", b)
		}
	}

	const file = "testdata/vectors.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, lines := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i, line := range got {
		if i >= len(lines) || line != lines[i] {
			t.Fatalf("%s differs in line %d, %.60s", file, i+1, line)
		}
	}
	if len(lines) != len(got) {
		t.Errorf("%s has %d lines, want %d", file, len(lines), len(got))
	}
}

func partyBytes(s *side) []byte {
	p := partyOf(s.local)
	return append(p.id[:], p.device[:]...)
}
