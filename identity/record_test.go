package identity

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/sremp/sremp/wire"
)

var testNow = time.Unix(1_800_000_000, 0).UTC()

// testLocal returns an identity that depends on seed alone; its recovery key is
// that of seed+4.
func testLocal(t testing.TB, seed byte) (l *Local, recovery SecretKey) {
	t.Helper()
	recovery = testSecretKey(t, seed+4)
	l, err := newLocal("Alice", testNow, testSecretKey(t, seed), testDHKey(t, seed+1), testDHKey(t, seed+2),
		DeviceID(bytes.Repeat([]byte{seed + 3}, 16)), recovery.Public())
	if err != nil {
		t.Fatal(err)
	}
	return l, recovery
}

// resign signs what change makes of the record, with the key that signs in
// l's epoch: an attacker who has it can do the same.
func resign(t testing.TB, l *Local, change func(*wire.Record)) []byte {
	t.Helper()
	x, err := wire.ParseRecord(l.Record().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	change(&x)
	x.Signature = l.signer.Sign(contextRecord, x.AppendUnsigned(nil))
	return x.Append(nil)
}

// stolen parses a record that a thief of the signing key made.
func stolen(t testing.TB, l *Local, change func(*wire.Record)) *Record {
	t.Helper()
	r, err := ParseRecord(resign(t, l, change))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordFields(t *testing.T) {
	l, recovery := testLocal(t, 1)
	r, err := ParseRecord(l.Record().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if r.Identity != PeerID(l.identity.Public()) || r.Signer != [32]byte(r.Identity) || r.Noise != l.NoiseKey().Public() ||
		r.Agreement != l.AgreementKey().Public() || r.Recovery != recovery.Public() || r.Name != "Alice" ||
		r.Version != 1 || r.Epoch != 0 || !r.Created.Equal(testNow) || r.Prev != [32]byte{} {
		t.Errorf("got %+v", r)
	}
	if !r.Equal(l.Record()) || r.Hash() != l.Record().Hash() {
		t.Error("the parsed record is not the signed one")
	}
	sig := l.Sign("SREMP v1 test", []byte("x"))
	if !r.Verify("SREMP v1 test", []byte("x"), sig) || r.Verify("SREMP v1 test", []byte("y"), sig) {
		t.Error("Verify does not follow Sign")
	}
	if allocated := r.Bytes(); !bytes.Equal(allocated, l.Record().Bytes()) {
		t.Error("Bytes differ")
	} else if allocated[0] ^= 1; bytes.Equal(allocated, r.Bytes()) {
		t.Error("Bytes gives the record's own memory away")
	}
}

// A record is what was signed, whatever happens to the buffer it came from.
func TestRecordDoesNotAlias(t *testing.T) {
	l, _ := testLocal(t, 1)
	b := resign(t, l, func(x *wire.Record) { x.Extensions = []wire.Extension{{Type: 1, Data: []byte("kept")}} })
	want := bytes.Clone(b)
	r, err := ParseRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(r.Bytes(), want) || string(r.Extensions[0].Data) != "kept" {
		t.Error("the record changed with the caller's buffer")
	}
}

// Every byte of a record is signed.
func TestRecordTampering(t *testing.T) {
	l, recovery := testLocal(t, 1)
	raised, err := l.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Record{l.Record(), raised.Record()} {
		b := r.Bytes()
		for i := range b {
			b[i] ^= 1 << (i % 8)
			if _, err := ParseRecord(b); !errors.Is(err, ErrBadRecord) {
				t.Fatalf("byte %d changed: got %v, want ErrBadRecord", i, err)
			}
			b[i] ^= 1 << (i % 8)
		}
		for n := range b {
			if _, err := ParseRecord(b[:n]); !errors.Is(err, ErrBadRecord) {
				t.Fatalf("cut to %d bytes: got %v, want ErrBadRecord", n, err)
			}
		}
	}
}

// Spec §2.4: refused even when properly signed.
func TestRecordRules(t *testing.T) {
	l, recovery := testLocal(t, 1)
	other := testSecretKey(t, 99)
	for name, change := range map[string]func(*wire.Record){
		"version 0":                  func(x *wire.Record) { x.Version = 0 },
		"first with a predecessor":   func(x *wire.Record) { x.Prev[0] = 1 },
		"second without predecessor": func(x *wire.Record) { x.Version = 2 },
		"one X25519 key":             func(x *wire.Record) { x.Agreement = x.Noise },
		"recovery is the identity":   func(x *wire.Record) { x.Recovery = x.Identity },
		"bad name":                   func(x *wire.Record) { x.Name = "Alice\u202e" },
		"trailing space":             func(x *wire.Record) { x.Name = "Alice " },
		"epoch without grant":        func(x *wire.Record) { x.Epoch, x.Prev[0], x.Signer = 1, 1, other.Public() },
		"grant by the identity": func(x *wire.Record) {
			x.Epoch, x.Prev[0], x.Signer = 1, 1, l.identity.Public()
			x.GrantSignature = l.identity.Sign(contextGrant, grantMessage(x.Identity, 1, x.Signer))
		},
		"granted back to the identity": func(x *wire.Record) {
			x.Epoch, x.Prev[0], x.Signer = 1, 1, l.identity.Public()
			x.GrantSignature = recovery.Sign(contextGrant, grantMessage(x.Identity, 1, x.Signer))
		},
	} {
		if _, err := ParseRecord(resign(t, l, change)); !errors.Is(err, ErrBadRecord) {
			t.Errorf("%s: got %v, want ErrBadRecord", name, err)
		}
	}
	for name, s := range badX25519 {
		for field, change := range map[string]func(*wire.Record){
			"noise":     func(x *wire.Record) { x.Noise = unhex32(t, s) },
			"agreement": func(x *wire.Record) { x.Agreement = unhex32(t, s) },
		} {
			if _, err := ParseRecord(resign(t, l, change)); !errors.Is(err, ErrBadKey) {
				t.Errorf("%s %s: got %v, want ErrBadKey", field, name, err)
			}
		}
	}
	for name, s := range badEd25519 {
		if _, err := ParseRecord(resign(t, l, func(x *wire.Record) { x.Recovery = unhex32(t, s) })); !errors.Is(err, ErrBadKey) {
			t.Errorf("recovery %s: got %v, want ErrBadKey", name, err)
		}
		// crypto/ed25519 would accept (key, 0) as its signature of some or all messages.
		b := resign(t, l, func(x *wire.Record) { x.Identity = unhex32(t, s) })
		k := unhex32(t, s)
		copy(b[len(b)-64:], append(k[:], make([]byte, 32)...))
		if _, err := ParseRecord(b); !errors.Is(err, ErrBadKey) {
			t.Errorf("identity %s: got %v, want ErrBadKey", name, err)
		}
	}
}

// Flags and extensions of the future are kept and signed.
func TestUnknownExtensionsKept(t *testing.T) {
	l, _ := testLocal(t, 1)
	x, err := wire.ParseRecord(l.Record().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	x.Flags, x.Extensions = 0x80000001, []wire.Extension{{Type: 0xfffe, Data: []byte("future")}}
	n := *l
	future, err := n.signed(x, testNow)
	if err != nil {
		t.Fatal(err)
	}
	next, err := future.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	r := next.Record()
	if r.Flags != 0x80000001 || len(r.Extensions) != 1 || string(r.Extensions[0].Data) != "future" {
		t.Errorf("got flags %#x, extensions %v", r.Flags, r.Extensions)
	}
}

// Spec §2.6.
func TestCheckSuccessor(t *testing.T) {
	l1, recovery := testLocal(t, 1)
	l2, err := l1.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	l3, err := l2.Rename("Alice again", testNow)
	if err != nil {
		t.Fatal(err)
	}
	raised, err := l1.Recover(recovery, testNow) // from a backup older than l3
	if err != nil {
		t.Fatal(err)
	}
	raised2, err := raised.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	// Two devices restored in the same second: one epoch, two signers.
	twin, err := l1.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if twin, err = twin.Rotate(testNow); err != nil {
			t.Fatal(err)
		}
	}
	other, _ := testLocal(t, 50)
	r1, r2, r3 := l1.Record(), l2.Record(), l3.Record()
	fork := stolen(t, l1, func(x *wire.Record) { x.Version, x.Prev, x.Name = 2, r1.Hash(), "Mallory" })
	unchained := stolen(t, l1, func(x *wire.Record) { x.Version, x.Prev = 2, r3.Hash() })
	recovery2 := stolen(t, l1, func(x *wire.Record) { x.Version, x.Prev, x.Recovery = 2, r1.Hash(), testSecretKey(t, 70).Public() })
	for _, tt := range []struct {
		name     string
		old, new *Record
		want     error
	}{
		{"same", r1, r1, nil},
		{"next", r1, r2, nil},
		{"next by name", r2, r3, nil},
		{"after a gap", r1, r3, nil},
		{"next epoch", r3, raised.Record(), nil},
		{"next epoch, later", r3, raised2.Record(), nil},
		{"inside the new epoch", raised.Record(), raised2.Record(), nil},
		{"back", r3, r2, ErrOldRecord},
		{"epoch back", raised.Record(), r3, ErrOldRecord},
		{"same version, other content", r2, fork, ErrForkedRecord},
		{"wrong predecessor", r1, unchained, ErrForkedRecord},
		{"other signer in one epoch", raised.Record(), twin.Record(), ErrForkedRecord},
		{"other recovery key", r1, recovery2, ErrOtherRecovery},
		{"somebody else", r1, other.Record(), ErrOtherIdentity},
	} {
		if err := CheckSuccessor(tt.old, tt.new); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A thief of the identity key uses up the versions. The owner has the kit.
func TestVersionExhaustion(t *testing.T) {
	owner, recovery := testLocal(t, 1)
	contact := owner.Record()
	thief := stolen(t, owner, func(x *wire.Record) { x.Version, x.Prev, x.Name = math.MaxUint64, [32]byte{1}, "Mallory" })
	if err := CheckSuccessor(contact, thief); err != nil {
		t.Fatalf("the thief's record: %v", err)
	}
	contact = thief

	// By itself the identity key cannot go on, neither for the owner nor the thief.
	next, err := owner.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSuccessor(contact, next.Record()); !errors.Is(err, ErrOldRecord) {
		t.Errorf("rotated record: got %v, want ErrOldRecord", err)
	}
	l := *owner
	l.record = thief
	if _, err := l.Rotate(testNow); !errors.Is(err, ErrVersionExhausted) {
		t.Errorf("Rotate: got %v, want ErrVersionExhausted", err)
	}
	if _, err := l.Rename("x", testNow); !errors.Is(err, ErrVersionExhausted) {
		t.Errorf("Rename: got %v, want ErrVersionExhausted", err)
	}

	// Also from the thief's own record, should that be all the owner has.
	for _, from := range []*Local{owner, &l} {
		back, err := from.Recover(recovery, testNow)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckSuccessor(contact, back.Record()); err != nil {
			t.Errorf("recovered record: %v", err)
		}
		if _, err := back.Rotate(testNow); err != nil {
			t.Errorf("Rotate after recovery: %v", err)
		}
	}
}

// After recovery the stolen keys sign nothing that a contact takes: the grant is
// public, but it names another signing key.
func TestThiefCannotFollowIntoEpoch(t *testing.T) {
	owner, recovery := testLocal(t, 1)
	back, err := owner.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	x, err := wire.ParseRecord(back.Record().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	x.Version, x.Prev, x.Name = 2, back.Record().Hash(), "Mallory"
	x.Signature = owner.identity.Sign(contextRecord, x.AppendUnsigned(nil))
	if _, err := ParseRecord(x.Append(nil)); !errors.Is(err, ErrBadRecord) {
		t.Errorf("signed with the identity key: got %v, want ErrBadRecord", err)
	}
	thief := testSecretKey(t, 66)
	x.Signer = thief.Public()
	x.Signature = thief.Sign(contextRecord, x.AppendUnsigned(nil))
	if _, err := ParseRecord(x.Append(nil)); !errors.Is(err, ErrBadRecord) {
		t.Errorf("grant for another signer: got %v, want ErrBadRecord", err)
	}
	x.Epoch++
	x.Signature = thief.Sign(contextRecord, x.AppendUnsigned(nil))
	if _, err := ParseRecord(x.Append(nil)); !errors.Is(err, ErrBadRecord) {
		t.Errorf("grant for another epoch: got %v, want ErrBadRecord", err)
	}
	// The thief's own recovery key is not the pinned one.
	kit := testSecretKey(t, 67)
	x.Recovery = kit.Public()
	x.GrantSignature = kit.Sign(contextGrant, grantMessage(x.Identity, x.Epoch, x.Signer))
	x.Signature = thief.Sign(contextRecord, x.AppendUnsigned(nil))
	r, err := ParseRecord(x.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []*Record{owner.Record(), back.Record()} {
		if err := CheckSuccessor(known, r); !errors.Is(err, ErrOtherRecovery) {
			t.Errorf("own recovery key: got %v, want ErrOtherRecovery", err)
		}
	}
}

// One backup restored twice gives two epochs, and contacts follow the later.
func TestBackupRestoredTwice(t *testing.T) {
	l, recovery := testLocal(t, 1)
	a, err := l.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Recover(recovery, testNow.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSuccessor(a.Record(), b.Record()); err != nil {
		t.Errorf("second restore: %v", err)
	}
	// A clock set back does not stop a restore of what is newest.
	c, err := b.Recover(recovery, testNow.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckSuccessor(b.Record(), c.Record()); err != nil {
		t.Errorf("restore with the clock set back: %v", err)
	}
}

// What is accepted is exactly what was signed.
func FuzzParseRecord(f *testing.F) {
	l, recovery := testLocal(f, 1)
	raised, err := l.Recover(recovery, testNow)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l.Record().Bytes())
	f.Add(raised.Record().Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Bytes(), b) || CheckName(r.Name) != nil || CheckSuccessor(r, r) != nil {
			t.Errorf("accepted %x", b)
		}
	})
}
