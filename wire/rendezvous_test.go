package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

func rendezvousVectors() []vector {
	key := [32]byte(bytes.Repeat([]byte{0xaa}, 32))
	sig := [64]byte(bytes.Repeat([]byte{0xbb}, 64))
	intro := [16]byte(bytes.Repeat([]byte{0xcc}, 16))
	exts := []Extension{{7, []byte("x")}}
	return []vector{
		{"hello", RendezvousHello{1, exts}.Append(nil), again(ParseRendezvousHello)},
		{"welcome", RendezvousWelcome{1, 1767225600000, netip.MustParseAddrPort("192.0.2.1:4000"), 86400, exts}.Append(nil), again(ParseRendezvousWelcome)},
		{"register", RendezvousRegister{5, key, 20454, 3600, []byte("sealed"), sig, exts}.Append(nil), again(ParseRendezvousRegister)},
		{"unregister", RendezvousRegister{Request: 6, Blinded: key, Period: 20454, Signature: sig}.Append(nil), again(ParseRendezvousRegister)},
		{"registered", RendezvousRegistered{5, RendezvousPeriod, 3600, 1767225600000}.Append(nil), again(ParseRendezvousRegistered)},
		{"lookup", RendezvousLookup{5, key}.Append(nil), again(ParseRendezvousLookup)},
		{"renew", RendezvousRenew{5}.Append(nil), again(ParseRendezvousRenew)},
		{"subscribe", RendezvousSubscribe{5, key, true}.Append(nil), again(ParseRendezvousSubscribe)},
		{"list", RendezvousList{5, key, 3600, []byte("entry"), sig, exts}.Append(nil), again(ParseRendezvousList)},
		{"unlist", RendezvousList{Request: 6, Identity: key, Signature: sig}.Append(nil), again(ParseRendezvousList)},
		{"browse", RendezvousBrowse{5, BrowseSubstring, []byte("ada"), []byte("here"), 20}.Append(nil), again(ParseRendezvousBrowse)},
		{"page", RendezvousPage{5, RendezvousOK, []byte("there"), []RendezvousEntry{{true, 1767225600000, []byte("one")}, {Listing: []byte("two")}}}.Append(nil), again(ParseRendezvousPage)},
		{"no-page", RendezvousPage{Request: 5, Status: RendezvousBusy}.Append(nil), again(ParseRendezvousPage)},
		{"listing", RendezvousListing{
			Issued: 1767225600000, Expires: 1767830400000, Identity: []byte("record"), Note: "héllo", Picture: []byte("png"),
			Relays: []Server{{key, "relay.example", 443}}, KnockInbox: key, Extensions: exts, Signature: sig,
		}.Append(nil), again(ParseRendezvousListing)},
		{"servers", RendezvousServers{5}.Append(nil), again(ParseRendezvousServers)},
		{"known", RendezvousKnown{5, RendezvousOK, [][]byte{[]byte("one"), []byte("two")}}.Append(nil), again(ParseRendezvousKnown)},
		{"announcement", RendezvousAnnouncement{Server{key, "other.example", 443}, 1767225600000, 1767312000000, sig}.Append(nil), again(ParseRendezvousAnnouncement)},
		{"attest", RendezvousAttest{5, key}.Append(nil), again(ParseRendezvousAttest)},
		{"attested", RendezvousAttested{5, RendezvousOK, Attestation{key, netip.MustParseAddr("192.0.2.1"), 1767225600000, sig}}.Append(nil), again(ParseRendezvousAttested)},
		{"not-attested", RendezvousAttested{Request: 5, Status: RendezvousBusy}.Append(nil), again(ParseRendezvousAttested)},
		{"attestation", Attestation{key, netip.MustParseAddr("2a0e::1"), 1767225600000, sig}.Append(nil), again(ParseAttestation)},
		{"go", RendezvousGo{intro, RendezvousTimeout}.Append(nil), again(ParseRendezvousGo)},
		{"record", RendezvousRecord{
			Issued: 1767225600000, Identity: []byte("record"), Relays: []Server{{key, "relay.example", 443}},
			Rendezvous: []Server{{key, "2a0e::1", 1}}, KnockInbox: key, Extensions: exts, Signature: sig,
		}.Append(nil), again(ParseRendezvousRecord)},
	}
}

// bigRendezvousVectors are padded to kilobytes, and pinned by their sizes and by
// these values instead of a file.
func bigRendezvousVectors() []vector {
	key := [32]byte(bytes.Repeat([]byte{0xaa}, 32))
	intro := [16]byte(bytes.Repeat([]byte{0xcc}, 16))
	blob := bytes.Repeat([]byte{0xdd}, RendezvousBlob)
	return []vector{
		{"found", RendezvousFound{5, RendezvousOK, true, 60, []byte("sealed")}.Append(nil), again(ParseRendezvousFound)},
		{"not found", RendezvousFound{Request: 5, Status: RendezvousNotFound}.Append(nil), again(ParseRendezvousFound)},
		{"changed", RendezvousChanged{key, RendezvousFound{Status: RendezvousOK, TTL: 9, Sealed: []byte("sealed")}}.Append(nil), again(ParseRendezvousChanged)},
		{"removed", RendezvousChanged{key, RendezvousFound{Status: RendezvousNotFound}}.Append(nil), again(ParseRendezvousChanged)},
		{"introduce", RendezvousIntroduce{5, key, blob}.Append(nil), again(ParseRendezvousIntroduce)},
		{"introduced", RendezvousIntroduced{5, RendezvousOK, blob}.Append(nil), again(ParseRendezvousIntroduced)},
		{"not introduced", RendezvousIntroduced{5, RendezvousOffline, nil}.Append(nil), again(ParseRendezvousIntroduced)},
		{"offer", RendezvousOffer{intro, key, blob}.Append(nil), again(ParseRendezvousOffer)},
		{"answer", RendezvousAnswer{intro, blob}.Append(nil), again(ParseRendezvousAnswer)},
	}
}

func TestRendezvous(t *testing.T) { checkVectors(t, "rendezvous", rendezvousVectors()) }

// Whatever a server says about a name, its size says nothing.
func TestRendezvousSizes(t *testing.T) {
	want := map[string]int{
		"found": 12 + MinRendezvousSealed, "not found": 12 + MinRendezvousSealed,
		"changed": 40 + MinRendezvousSealed, "removed": 40 + MinRendezvousSealed,
		"introduce": 36 + RendezvousBlob, "introduced": 5 + RendezvousBlob, "not introduced": 5 + RendezvousBlob,
		"offer": 48 + RendezvousBlob, "answer": 16 + RendezvousBlob,
	}
	for _, v := range bigRendezvousVectors() {
		if got := len(v.bytes); got != want[v.name] || got > MaxRendezvousFrame {
			t.Errorf("%s: got %d bytes, want %d", v.name, got, want[v.name])
		}
		enc, err := v.again(v.bytes)
		if err != nil || !bytes.Equal(enc, v.bytes) {
			t.Errorf("%s: not the same after parsing: %v", v.name, err)
		}
		for n := range v.bytes {
			if _, err := v.again(v.bytes[:n]); err == nil {
				t.Fatalf("%s[:%d] accepted", v.name, n)
			}
		}
		if _, err := v.again(append(bytes.Clone(v.bytes), 0)); err == nil {
			t.Errorf("%s with a byte after its end accepted", v.name)
		}
	}
	largest := RendezvousRegister{Sealed: make([]byte, MaxRendezvousSealed), TTL: 1}.Append(nil)
	if len(largest) > MaxRendezvousFrame {
		t.Errorf("a Register of %d bytes, want at most %d", len(largest), MaxRendezvousFrame)
	}
}

func TestRendezvousRefuses(t *testing.T) {
	padded := RendezvousFound{Status: RendezvousOK, Sealed: []byte("x")}.Append(nil)
	padded[len(padded)-1] = 1
	blob := make([]byte, RendezvousBlob)
	leak := RendezvousIntroduced{Status: RendezvousOK, Answer: append(blob[1:], 1)}.Append(nil)
	leak[4] = byte(RendezvousOffline)
	for name, tt := range map[string]struct {
		in    []byte
		again func([]byte) ([]byte, error)
	}{
		"record with a status":    {RendezvousFound{Status: RendezvousNotFound, Sealed: []byte("x")}.Append(nil), again(ParseRendezvousFound)},
		"status without a record": {RendezvousFound{Status: RendezvousOK}.Append(nil), again(ParseRendezvousFound)},
		"ttl but not found":       {RendezvousFound{Status: RendezvousNotFound, TTL: 1}.Append(nil), again(ParseRendezvousFound)},
		"entry taken off":         {RendezvousList{Entry: []byte("x")}.Append(nil), again(ParseRendezvousList)},
		"entry without a ttl":     {RendezvousList{TTL: 1}.Append(nil), again(ParseRendezvousList)},
		"page of nothing":         {RendezvousBrowse{}.Append(nil), again(ParseRendezvousBrowse)},
		"unknown search":          {RendezvousBrowse{Kind: 2, Limit: 1}.Append(nil), again(ParseRendezvousBrowse)},
		"page with a refusal":     {RendezvousPage{Status: RendezvousBusy, Next: []byte("x")}.Append(nil), again(ParseRendezvousPage)},
		"online but not found":    {RendezvousFound{Status: RendezvousNotFound, Online: true}.Append(nil), again(ParseRendezvousFound)},
		"padding not zero":        {padded, again(ParseRendezvousFound)},
		"answer with a refusal":   {leak, again(ParseRendezvousIntroduced)},
		"ttl without a record":    {RendezvousRegister{TTL: 1}.Append(nil), again(ParseRendezvousRegister)},
		"removal with a record":   {RendezvousRegister{Sealed: []byte("x")}.Append(nil), again(ParseRendezvousRegister)},
		"unknown status":          {RendezvousGo{Status: maxRendezvousStatus + 1}.Append(nil), again(ParseRendezvousGo)},
		"record without identity": {RendezvousRecord{}.Append(nil), again(ParseRendezvousRecord)},
	} {
		if _, err := tt.again(tt.in); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: got %v, want ErrNotCanonical", name, err)
		}
	}
	many := RendezvousRecord{Identity: []byte("x"), Relays: make([]Server, MaxRendezvousServers+1)}
	for i := range many.Relays {
		many.Relays[i] = Server{Host: "h", Port: 1}
	}
	if _, err := ParseRendezvousRecord(many.Append(nil)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("five relays: got %v, want ErrTooLarge", err)
	}
}

func FuzzRendezvous(f *testing.F) {
	fuzzVectors(f, append(rendezvousVectors(), bigRendezvousVectors()...))
}
