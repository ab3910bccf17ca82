package wire

import (
	"bytes"
	"errors"
	"testing"
)

func (x RatchetHeader) encoded() []byte { return x.Append(nil) }

func parseHeaderAgain(b []byte) ([]byte, error) {
	var x RatchetHeader
	if err := x.Parse(b); err != nil {
		return nil, err
	}
	return x.encoded(), nil
}

func repeated32(c byte) [32]byte { return [32]byte(bytes.Repeat([]byte{c}, 32)) }

func ratchetVectors() []vector {
	bundle := PrekeyBundle{
		Record: []byte("record"), Device: [16]byte{1, 15: 2}, Versions: []byte{1, 2}, Capabilities: 3, Serial: 4, Expiry: 5,
		Agreement: repeated32(6), SignedPrekeyID: 7, SignedPrekey: repeated32(8), LastResortID: 9,
		Extensions: []Extension{{10, []byte("x")}}, Signature: [64]byte{11, 63: 12},
	}
	copy(bundle.LastResort[:], bytes.Repeat([]byte{13}, MLKEMKeyLen))
	one := OneTimePrekey{Device: [16]byte{1, 15: 2}, ID: 3, Expiry: 4, X25519: repeated32(5), Signature: [64]byte{6, 63: 7}}
	copy(one.MLKEM[:], bytes.Repeat([]byte{8}, MLKEMKeyLen))
	agreement := Agreement{
		Version: 1, Capabilities: 2, Record: []byte("record"), Device: [16]byte{3, 15: 4}, Created: 5, Serial: 6, OneTime: 7,
		PSK: true, Ephemeral: repeated32(8), Extensions: []Extension{{9, []byte("y")}},
	}
	copy(agreement.Ciphertext[:], bytes.Repeat([]byte{10}, MLKEMCiphertextLen))
	plain := Agreement{Record: []byte{0}}
	return []vector{
		{"bundle", bundle.Append(nil), again(ParsePrekeyBundle)},
		{"one-time", one.Append(nil), again(ParseOneTimePrekey)},
		{"agreement", agreement.Append(nil), again(ParseAgreement)},
		{"agreement-least", plain.Append(nil), again(ParseAgreement)},
		{"header", RatchetHeader{DH: repeated32(1), PN: 2, N: 3, Flags: FlagSupersedes, Epoch: 4}.encoded(), parseHeaderAgain},
		{"header-key", RatchetHeader{DH: repeated32(1), PQKind: PQKey, PQEpoch: 5, PQLength: MLKEMKeyLen}.encoded(), parseHeaderAgain},
		{"header-ciphertext", RatchetHeader{PQKind: PQCiphertext, PQEpoch: 6, PQLength: MLKEMCiphertextLen}.encoded(), parseHeaderAgain},
	}
}

func TestRatchetVectors(t *testing.T) { checkVectors(t, "ratchet", ratchetVectors()) }

func FuzzRatchet(f *testing.F) { fuzzVectors(f, ratchetVectors()) }

func TestRatchetHeaderCanonical(t *testing.T) {
	for name, h := range map[string]RatchetHeader{
		"unknown flag":                {Flags: 2},
		"unknown kind":                {PQKind: 3, PQEpoch: 1, PQLength: 1},
		"epoch without vector":        {PQEpoch: 1},
		"length without vector":       {PQLength: 1},
		"key of epoch 0":              {PQKind: PQKey, PQLength: MLKEMKeyLen},
		"short key":                   {PQKind: PQKey, PQEpoch: 1, PQLength: MLKEMKeyLen - 1},
		"ciphertext as long as a key": {PQKind: PQCiphertext, PQEpoch: 1, PQLength: MLKEMKeyLen},
	} {
		if _, err := parseHeaderAgain(h.encoded()); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v, want ErrNotCanonical", name, err)
		}
	}
}

func TestPrekeyBundleRules(t *testing.T) {
	ok := PrekeyBundle{Record: []byte{0}, Versions: []byte{1, 2}}
	for name, change := range map[string]func(*PrekeyBundle){
		"no record":          func(x *PrekeyBundle) { x.Record = nil },
		"no version":         func(x *PrekeyBundle) { x.Versions = nil },
		"versions twice":     func(x *PrekeyBundle) { x.Versions = []byte{1, 1} },
		"versions descend":   func(x *PrekeyBundle) { x.Versions = []byte{2, 1} },
		"record too large":   func(x *PrekeyBundle) { x.Record = make([]byte, MaxRecordLen+1) },
		"too many versions":  func(x *PrekeyBundle) { x.Versions = []byte("abcdefghijklmnopq") },
		"whole is too large": func(x *PrekeyBundle) { x.Extensions = []Extension{{1, make([]byte, MaxPrekeyBundle)}} },
	} {
		x := ok
		change(&x)
		if _, err := ParsePrekeyBundle(x.Append(nil)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseOneTimePrekey(OneTimePrekey{}.Append(nil)); !errors.Is(err, ErrNotCanonical) {
		t.Errorf("one-time prekey 0: %v, want ErrNotCanonical", err)
	}
}

// initialMessage is one with the shortest ratchet message.
func initialMessage() RatchetInitialMessage {
	m := append([]byte{RatchetVersion, RatchetMessage}, make([]byte, RatchetOverhead-RatchetPrefixLen)...)
	return RatchetInitialMessage{Agreement: Agreement{Version: 1, Record: []byte("record")}.Append(nil), Message: m}
}

func TestRatchetInitialMessage(t *testing.T) {
	want := initialMessage()
	b := want.Append(nil)
	got, a, err := ParseRatchetInitialMessage(b)
	if err != nil || !bytes.Equal(got.Append(nil), b) || string(a.Record) != "record" {
		t.Errorf("parsed %x, %v, %v", got, a, err)
	}
	if n := len(b) - len("record") - RatchetOverhead; n != InitialFixedLen {
		t.Errorf("an initial message has %d bytes beside the record, want %d", n, InitialFixedLen)
	}
	for n := range b {
		if _, _, err := ParseRatchetInitialMessage(b[:n]); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
	for i, name := range []string{"version", "kind"} {
		bad := bytes.Clone(b)
		bad[i] ^= 4
		if _, _, err := ParseRatchetInitialMessage(bad); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("other %s: %v, want ErrNotCanonical", name, err)
		}
	}
	nested := RatchetInitialMessage{Agreement: want.Agreement, Message: b}
	if _, _, err := ParseRatchetInitialMessage(nested.Append(nil)); err == nil {
		t.Error("an initial message inside an initial message: accepted")
	}
}

func FuzzRatchetInitialMessage(f *testing.F) {
	f.Add(initialMessage().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, a, err := ParseRatchetInitialMessage(b)
		if err == nil && (!bytes.Equal(x.Append(nil), b) || !bytes.Equal(a.Append(nil), x.Agreement)) {
			t.Errorf("parsed and encoded again = %x, want %x", x.Append(nil), b)
		}
	})
}
