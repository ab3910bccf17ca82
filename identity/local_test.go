package identity

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestNewLocal(t *testing.T) {
	l, recovery, err := NewLocal("Alice", testNow)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := NewLocal("Alice", testNow)
	if err != nil {
		t.Fatal(err)
	}
	if l.PeerID() == m.PeerID() || l.Device() == m.Device() || l.Device() == (DeviceID{}) {
		t.Error("two identities share an id")
	}
	if l.Record().Recovery != recovery.Public() {
		t.Error("the record commits to another recovery key")
	}
	for _, name := range []string{"", "Alice\n"} {
		if _, _, err := NewLocal(name, testNow); !errors.Is(err, ErrBadName) {
			t.Errorf("name %q: got %v, want ErrBadName", name, err)
		}
	}
	for _, now := range []time.Time{{}, time.Unix(-1, 0), time.Unix(1<<40, 0)} {
		if _, _, err := NewLocal("Alice", now); err == nil {
			t.Errorf("accepted the time %v", now)
		}
	}
}

// Spec §2.7: old halves answer for 30 days, in step with the record.
func TestRotate(t *testing.T) {
	l, _ := testLocal(t, 1)
	now := testNow
	n, err := l.Rotate(now)
	if err != nil {
		t.Fatal(err)
	}
	if n.Record().Version != 2 || n.Record().Prev != l.Record().Hash() || n.PeerID() != l.PeerID() || n.Device() != l.Device() {
		t.Errorf("record after rotation: %+v", n.Record())
	}
	if n.NoiseKey().Public() == l.NoiseKey().Public() || n.AgreementKey().Public() == l.AgreementKey().Public() {
		t.Error("a key was not replaced")
	}
	old := n.OldNoiseKeys()
	if len(old) != 1 || old[0].Public() != l.NoiseKey().Public() {
		t.Fatalf("%d old Noise keys, want the one before", len(old))
	}
	for _, want := range []DHKey{l.AgreementKey(), n.AgreementKey()} {
		if k, ok := n.FindAgreementKey(want.Public()); !ok || !bytes.Equal(k.Seed(), want.Seed()) {
			t.Errorf("FindAgreementKey(%x) finds nothing", want.Public())
		}
	}
	if _, ok := n.FindAgreementKey(n.NoiseKey().Public()); ok {
		t.Error("a Noise key served as agreement key")
	}
	if len(l.OldNoiseKeys()) != 0 || l.Record().Version != 1 {
		t.Error("Rotate changed its receiver")
	}
	if got, want := n.NextExpiry(), now.Add(OldKeyLifetime); !got.Equal(want) {
		t.Errorf("NextExpiry = %v, want %v", got, want)
	}
	if e := n.Expire(now.Add(OldKeyLifetime - time.Second)); e != n {
		t.Error("expired before 30 days")
	}
	e := n.Expire(now.Add(OldKeyLifetime))
	if _, ok := e.FindAgreementKey(l.AgreementKey().Public()); ok || len(e.OldNoiseKeys()) != 0 || !e.NextExpiry().IsZero() {
		t.Error("the old halves outlive their 30 days")
	}
	if bytes.Contains(e.MarshalSecret(), l.NoiseKey().Seed()) {
		t.Error("an expired key is still stored")
	}
	if !bytes.Contains(n.MarshalSecret(), l.NoiseKey().Seed()) {
		t.Error("Expire changed its receiver")
	}

	// Two generations, newest first; rotation expires what is due.
	m, err := n.Rotate(now.Add(20 * 24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if old := m.OldNoiseKeys(); len(old) != 2 || old[0].Public() != n.NoiseKey().Public() {
		t.Errorf("%d old keys, want 2, newest first", len(old))
	}
	if m, err = m.Rotate(now.Add(OldKeyLifetime)); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.FindAgreementKey(l.AgreementKey().Public()); ok || len(m.OldNoiseKeys()) != 2 {
		t.Error("rotation kept a key past its 30 days")
	}
}

func TestRotateTooOften(t *testing.T) {
	l, _ := testLocal(t, 1)
	var err error
	for range MaxOldKeys {
		if l, err = l.Rotate(testNow); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Rotate(testNow); !errors.Is(err, ErrTooManyOldKeys) {
		t.Errorf("got %v, want ErrTooManyOldKeys", err)
	}
	if back, err := ParseLocal(l.MarshalSecret()); err != nil || len(back.OldNoiseKeys()) != MaxOldKeys {
		t.Errorf("with %d old keys: %v", MaxOldKeys, err)
	}
	if _, err := l.Rotate(testNow.Add(OldKeyLifetime)); err != nil {
		t.Errorf("30 days later: %v", err)
	}
}

// Spec §2.6: nothing of the stolen device serves in the new epoch.
func TestRecoverReplacesAllKeys(t *testing.T) {
	l, recovery := testLocal(t, 1)
	l, err := l.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if n.PeerID() != l.PeerID() || n.Record().Name != "Alice" {
		t.Error("recovery changed who it is")
	}
	if n.Device() == l.Device() || n.NoiseKey().Public() == l.NoiseKey().Public() || n.Record().Signer == l.Record().Signer ||
		n.AgreementKey().Public() == l.AgreementKey().Public() || len(n.OldNoiseKeys()) != 0 {
		t.Error("a key of the old epoch still serves")
	}
	if n.IdentityKey().Public() != l.IdentityKey().Public() {
		t.Error("the key of the PeerID was lost")
	}
	if _, err := l.Recover(testSecretKey(t, 77), testNow); !errors.Is(err, ErrWrongRecovery) {
		t.Errorf("another kit: got %v, want ErrWrongRecovery", err)
	}
}

func TestLocalSecretRoundTrip(t *testing.T) {
	l, recovery := testLocal(t, 1)
	rotated, err := l.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	raised, err := rotated.Recover(recovery, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*Local{l, rotated, raised} {
		b := want.MarshalSecret()
		got, err := ParseLocal(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.MarshalSecret(), b) || got.Device() != want.Device() || got.PeerID() != want.PeerID() {
			t.Error("the round trip changed it")
		}
		sig := got.Sign("SREMP v1 test", nil)
		if !want.Record().Verify("SREMP v1 test", nil, sig) {
			t.Error("the signing key changed")
		}
		for n := range b {
			if _, err := ParseLocal(b[:n]); !errors.Is(err, ErrBadLocal) {
				t.Fatalf("cut to %d bytes: got %v, want ErrBadLocal", n, err)
			}
		}
		if _, err := ParseLocal(append(b, 0)); !errors.Is(err, ErrBadLocal) {
			t.Errorf("longer: got %v, want ErrBadLocal", err)
		}
		// Each key must be the record's: format, device, identity, signer, noise, agreement.
		for _, at := range []int{0, 17, len(b) - 1} {
			c := bytes.Clone(b)
			c[at] ^= 2
			if _, err := ParseLocal(c); !errors.Is(err, ErrBadLocal) {
				t.Errorf("byte %d changed: got %v, want ErrBadLocal", at, err)
			}
		}
	}
	// Keys of one identity with the record of another.
	other, _ := testLocal(t, 40)
	mixed := *other
	mixed.record = l.record
	if _, err := ParseLocal(mixed.MarshalSecret()); !errors.Is(err, ErrBadLocal) {
		t.Errorf("mixed: got %v, want ErrBadLocal", err)
	}
}

func FuzzParseLocal(f *testing.F) {
	l, recovery := testLocal(f, 1)
	raised, err := l.Recover(recovery, testNow)
	if err != nil {
		f.Fatal(err)
	}
	rotated, err := l.Rotate(testNow)
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range []*Local{l, raised, rotated} {
		f.Add(x.MarshalSecret())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLocal(b)
		if err == nil && !bytes.Equal(l.MarshalSecret(), b) {
			t.Errorf("accepted %x", b)
		}
	})
}
