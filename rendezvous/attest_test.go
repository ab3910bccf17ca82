package rendezvous_test

import (
	"testing"

	"github.com/sremp/sremp/transport"
)

// Spec §5.22.8: a server's word counts for one subject, of that server, and as
// it was said.
func TestAttestation(t *testing.T) {
	one, two := serve(t, 1), serve(t, 2)
	end := endpoint(t, transport.Config{})
	asker, checker := dial(t, end, one), dial(t, endpoint(t, transport.Config{}), one)
	elsewhere := dial(t, endpoint(t, transport.Config{}), two)
	subject := [32]byte{1}
	x, err := asker.Attest(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := x.Address, end.LocalAddr().Addr(); got != want {
		t.Errorf("attested %v, want %v", got, want)
	}
	if !checker.CheckAttestation(subject, x) {
		t.Error("an attestation was refused")
	}
	if checker.CheckAttestation([32]byte{2}, x) {
		t.Error("an attestation counted for another subject")
	}
	if elsewhere.CheckAttestation(subject, x) {
		t.Error("another server's attestation was believed")
	}
	victim := x
	victim.Address = x.Address.Next()
	if checker.CheckAttestation(subject, victim) {
		t.Error("an attestation counted for a victim's address")
	}
	old := x
	old.Time -= 61_000
	if checker.CheckAttestation(subject, old) {
		t.Error("an attestation could be made younger")
	}
}
