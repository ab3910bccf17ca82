package relay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/derived.txt; commit it only if the spec changed")

// Spec §6.3 to §6.6.5: what owners and relay sign, hash and derive. The grant, which
// has a random nonce, is the file's and must open.
func TestDerivedVectors(t *testing.T) {
	const file = "testdata/derived.txt"
	key := domainKey(t)
	owner, err := identity.NewSecretKey(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	const session = 0x1122334455667788
	made := time.Unix(1_800_000_000, 0)
	binding := [32]byte(bytes.Repeat([]byte{3}, 32))
	auth := wire.RelayAuth{Owner: owner.Public(), Token: []byte("friend")}
	auth.Signature = owner.Sign(contextOwner, auth.Signed(key.ID(), binding))
	inbox, token, blob := [32]byte(bytes.Repeat([]byte{4}, 32)), [32]byte(bytes.Repeat([]byte{5}, 32)), []byte("blob")
	receipt := wire.Receipt{Inbox: inbox, Hash: sha256.Sum256(blob), StoredAt: 1_800_000_000_000, Expires: 1_802_592_000_000}
	receipt.Signature = key.Sign(contextReceipt, receipt.Signed())
	tokenHash, admission := TokenHash(token), AdmissionHash([]byte("friend"))
	work, err := prove(t.Context(), made, inbox, sha256.Sum256(blob), 12)
	if err != nil {
		t.Fatal(err)
	}
	forward := newForwardSecret(key)
	side0, side1 := forward.key(session, 0), forward.key(session, 1)
	public := owner.Public()
	grant := forward.grant(made, session, 1, public)
	delivery := wire.WorkDeliver{Inbox: inbox, Work: work, Blob: blob}.Append(nil)

	old, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	frozen := map[string][]byte{}
	for line := range strings.Lines(string(old)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			if frozen[name], err = hex.DecodeString(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !*update { // these two are random
		grant, delivery = [wire.ForwardGrantLen]byte(frozen["grant_of_side_1"]), frozen["work_delivery"]
	}
	var got strings.Builder
	got.WriteString("# spec 6.3 to 6.6.5; the session is 1122334455667788, the time 1800000000, the work has 12 bits\n")
	for _, v := range []struct {
		name  string
		bytes []byte
	}{
		{"server_seed", bytes.Repeat([]byte{1}, 32)},
		{"owner_seed", owner.Seed()},
		{"binding", binding[:]},
		{"auth", auth.Append(nil)},
		{"inbox", inbox[:]},
		{"token", token[:]},
		{"token_hash", tokenHash[:]},
		{"admission_hash", admission[:]},
		{"blob", blob},
		{"receipt", receipt.Append(nil)},
		{"work_delivery", delivery},
		{"key_of_side_0", side0[:]},
		{"key_of_side_1", side1[:]},
		{"grant_of_side_1", grant[:]},
	} {
		fmt.Fprintf(&got, "%s = %x\n", v.name, v.bytes)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(old) {
		t.Errorf("derived values differ from %s:\n%s", file, got.String())
	}
	if o, ok := forward.openGrant(made, session, 1, grant); !ok || o != public {
		t.Errorf("the grant opens as %x, %v; want %x", o, ok, public)
	}
	x, err := wire.ParseWorkDeliver(delivery)
	if err != nil {
		t.Fatal(err)
	}
	if n := workOf(made, inbox, sha256.Sum256(blob), x.Work); n < 12 {
		t.Errorf("the work shows %d bits, want 12", n)
	}
}
