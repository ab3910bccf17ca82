package rendezvous

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/derived.txt; commit it only if the spec changed")

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newPerson(t testing.TB, name string) *identity.Local {
	t.Helper()
	l, _, err := identity.NewLocal(name, t0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testContent(t testing.TB, l *identity.Local) Content {
	t.Helper()
	server := identity.ServerAddr{ID: identity.ServerID(testKey(t, 40).Public()), Host: "relay.example", Port: 443}
	return Content{
		Record: l.Record(), Relays: []identity.ServerAddr{server}, Rendezvous: []identity.ServerAddr{server},
		KnockInbox: [32]byte{7},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	l, lookup := newPerson(t, "Ada"), [32]byte{1}
	c := testContent(t, l)
	sealed, err := sealRecord(l.IdentityKey(), lookup, 5, c, t0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openRecord(l.PeerID(), lookup, 5, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Record.Equal(c.Record) || got.Relays[0] != c.Relays[0] || got.Rendezvous[0] != c.Rendezvous[0] ||
		got.KnockInbox != c.KnockInbox || !got.Issued.Equal(t0) {
		t.Errorf("got %+v, want %+v", got, c)
	}
	for what, open := range map[string]func() (*Content, error){
		"another day":           func() (*Content, error) { return openRecord(l.PeerID(), lookup, 6, sealed) },
		"another lookup secret": func() (*Content, error) { return openRecord(l.PeerID(), [32]byte{2}, 5, sealed) },
		"another identity":      func() (*Content, error) { return openRecord(newPerson(t, "Bob").PeerID(), lookup, 5, sealed) },
	} {
		if _, err := open(); !errors.Is(err, errBadRecord) {
			t.Errorf("%s: got %v, want %v", what, err, errBadRecord)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := openRecord(l.PeerID(), lookup, 5, bad); err == nil {
			t.Fatalf("accepted with byte %d changed", i)
		}
	}
	for _, n := range []int{0, 1, 39, 40, len(sealed) - 1} {
		if _, err := openRecord(l.PeerID(), lookup, 5, sealed[:n]); err == nil {
			t.Errorf("%d bytes accepted", n)
		}
	}
}

// A contact knows the lookup secret and so the sealing key, and conspires with
// the server. It cannot write in the owner's name.
func TestRecordForgedByContact(t *testing.T) {
	owner, contact, lookup := newPerson(t, "Ada"), newPerson(t, "Eve"), [32]byte{1}
	id := owner.PeerID()
	name := BlindedName(id, lookup, 5)
	x := wire.RendezvousRecord{Issued: 1, Identity: owner.Record().Bytes(), KnockInbox: [32]byte{66}}
	bk := blindKey(contact.IdentityKey(), lookup, 5)
	x.Signature = bk.sign(contextRecord, recordMessage(name.Blinded, 5, x))
	forged, err := sealPadded(periodAEAD(contextRecordKey, id, lookup, 5), name.Blinded[:], x.Append(nil), recordBuckets)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openRecord(id, lookup, 5, forged); !errors.Is(err, errBadRecord) {
		t.Errorf("got %v, want %v", err, errBadRecord)
	}
	if _, err := sealRecord(contact.IdentityKey(), lookup, 5, Content{Record: owner.Record()}, t0); err == nil {
		t.Error("sealed somebody else's record")
	}
}

// Records show at most three sizes (spec §7.3).
func TestRecordSizes(t *testing.T) {
	l := newPerson(t, strings.Repeat("x", 40))
	sizes := map[int]bool{}
	for n := range 5 {
		c := testContent(t, l)
		c.Relays = nil
		for i := range min(n, 4) {
			host := strings.Repeat("h", 1+i*60)
			c.Relays = append(c.Relays, identity.ServerAddr{ID: identity.ServerID(testKey(t, 40).Public()), Host: host, Port: 1})
		}
		sealed, err := sealRecord(l.IdentityKey(), [32]byte{}, 5, c, t0)
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(sealed)] = true
		if len(sealed) > wire.MaxRendezvousSealed {
			t.Errorf("%d bytes, want at most %d", len(sealed), wire.MaxRendezvousSealed)
		}
	}
	for size := range sizes {
		if size != 1064 && size != 4136 && size != 16424 {
			t.Errorf("a record of %d bytes", size)
		}
	}
	c := testContent(t, l)
	c.Relays = make([]identity.ServerAddr, 5)
	if _, err := sealRecord(l.IdentityKey(), [32]byte{}, 5, c, t0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("five relays: %v, want ErrTooLarge", err)
	}
}

func TestPaddingIsChecked(t *testing.T) {
	aead := periodAEAD(contextOfferKey, identity.PeerID{}, [32]byte{}, 1)
	nonce := make([]byte, 24)
	for what, plain := range map[string][]byte{
		"length over the end": append([]byte{0xff, 0xff}, make([]byte, introductionSize-2)...),
		"padding not zero":    append([]byte{0, 1, 'x', 1}, make([]byte, introductionSize-4)...),
	} {
		if _, ok := openPadded(aead, nil, aead.Seal(bytes.Clone(nonce), nonce, plain, nil), introductionBuckets); ok {
			t.Errorf("%s: accepted", what)
		}
	}
	for _, n := range []int{0, 1, MaxIntroduction} {
		b, err := sealPadded(aead, nil, make([]byte, n), introductionBuckets)
		if err != nil || len(b) != wire.RendezvousBlob {
			t.Errorf("%d bytes sealed to %d, %v", n, len(b), err)
		}
		if got, ok := openPadded(aead, nil, b, introductionBuckets); !ok || len(got) != n {
			t.Errorf("%d bytes opened to %d, %v", n, len(got), ok)
		}
	}
	if _, err := sealPadded(aead, nil, make([]byte, MaxIntroduction+1), introductionBuckets); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for s := wire.RendezvousNotFound; s <= wire.RendezvousFailure; s++ {
		if err := statusError(s); err == nil || !strings.HasPrefix(fmt.Sprint(err), "rendezvous: ") {
			t.Errorf("status %d: %v", s, err)
		}
	}
	if err := statusError(wire.RendezvousOK); err != nil {
		t.Errorf("status OK: %v", err)
	}
}

func FuzzOpenRecord(f *testing.F) {
	l := newPerson(f, "Ada")
	name := BlindedName(l.PeerID(), [32]byte{1}, 5)
	x := wire.RendezvousRecord{Issued: 1, Identity: l.Record().Bytes()}
	f.Add(x.Append(nil))
	f.Fuzz(func(t *testing.T, plain []byte) {
		// Sealed by a contact: what opens must still be the owner's.
		sealed, err := sealPadded(periodAEAD(contextRecordKey, l.PeerID(), [32]byte{1}, 5), name.Blinded[:], plain, recordBuckets)
		if err != nil {
			return
		}
		if _, err := openRecord(l.PeerID(), [32]byte{1}, 5, sealed); err == nil {
			t.Errorf("%x accepted without the owner's signature", plain)
		}
	})
}
