package rendezvous

import (
	"crypto/sha3"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/internal/domains"
	"github.com/sremp/sremp/wire"
)

// What a name, a record, a registration and an introduction are made of.
func TestDomainsOfNames(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l, lookup, period := newPerson(t, "Ada"), [32]byte{1}, Period(now)
	id, bk := l.PeerID(), blindKey(l.IdentityKey(), lookup, period)
	domains.Row(t, contextBlinding, func(c string) bool {
		b := slices.Concat([]byte(c), []byte{0}, id[:], lookup[:])
		b = binary.BigEndian.AppendUint64(b, period)
		b = binary.BigEndian.AppendUint64(b, uint64(periodLength/time.Second))
		return blindWith(l.IdentityKey(), sha3.Sum256(b)).public == BlindedName(id, lookup, period).Blinded
	})

	record := func(sign, key string) bool {
		x := wire.RendezvousRecord{Issued: 1, Identity: l.Record().Bytes()}
		x.Signature = bk.sign(sign, recordMessage(bk.public, period, x))
		b, err := sealPadded(periodAEAD(key, id, lookup, period), bk.public[:], x.Append(nil), recordBuckets)
		if err != nil {
			t.Fatal(err)
		}
		_, err = openRecord(id, lookup, period, b)
		return err == nil
	}
	domains.Row(t, contextRecord, func(c string) bool { return record(c, contextRecordKey) })
	domains.Row(t, contextRecordKey, func(c string) bool { return record(contextRecord, c) })

	f := newFixtureAt(t, ServerConfig{}, func() time.Time { return now })
	domains.Row(t, contextRegistration, func(c string) bool {
		r := f.raw()
		x := signedRegistration(l, lookup, period, 3600, []byte("sealed"), f.key.ID(), r.p.binding)
		x.Signature = bk.sign(c, registrationMessage(f.key.ID(), r.p.binding, x))
		return r.register(x) == wire.RendezvousOK
	})

	c := &Client{intros: make(chan Introduction, 1), names: map[[32]byte]ownName{bk.public: {id, lookup, period}}}
	domains.Row(t, contextOfferKey, func(context string) bool {
		b, err := sealPadded(periodAEAD(context, id, lookup, period), bk.public[:], []byte("offer"), introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		c.handleOffer(wire.RendezvousOffer{Blinded: bk.public, Offer: b})
		select {
		case <-c.intros:
			return true
		default:
			return false
		}
	})
	offer := []byte("offer")
	domains.Row(t, contextAnswerKey, func(c string) bool {
		b, err := sealPadded(periodAEAD(c, id, lookup, period), answerData(offer), []byte("answer"), introductionBuckets)
		if err != nil {
			t.Fatal(err)
		}
		_, ok := openPadded(periodAEAD(contextAnswerKey, id, lookup, period), answerData(offer), b, introductionBuckets)
		return ok
	})
}

// What is signed for everybody to see.
func TestDomainsOfLists(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l, server := newPerson(t, "Ada"), serverKey(t, 77)
	k, id := l.IdentityKey(), l.PeerID()
	entry, err := sealListing(k, Listing{Content: Content{Record: l.Record()}}, now)
	if err != nil {
		t.Fatal(err)
	}
	x, err := wire.ParseRendezvousListing(entry)
	if err != nil {
		t.Fatal(err)
	}
	domains.Row(t, contextListing, func(c string) bool {
		x := x
		x.Signature = k.Sign(c, x.AppendUnsigned(nil))
		_, err := openListing(id, x.Append(nil), now)
		return err == nil
	})

	f := newFixtureAt(t, ServerConfig{}, func() time.Time { return now })
	domains.Row(t, contextListRequest, func(c string) bool {
		r := f.raw()
		x := wire.RendezvousList{Identity: id, TTL: 3600, Entry: entry}
		x.Signature = k.Sign(c, listMessage(f.key.ID(), r.p.binding, x))
		_, b := r.ask(wire.FrameRendezvousList, x.Append(nil))
		answer, err := wire.ParseRendezvousRegistered(b)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status == wire.RendezvousOK
	})

	domains.Row(t, contextAnnouncement, func(c string) bool {
		x, err := wire.ParseRendezvousAnnouncement(signAnnouncement(server, addrOf(server, "example.org"), now))
		if err != nil {
			t.Fatal(err)
		}
		x.Signature = server.Sign(c, x.AppendUnsigned(nil))
		_, ok := openAnnouncement(x.Append(nil), now)
		return ok
	})

	client := &Client{server: server.ID()}
	domains.Row(t, contextAttestation, func(c string) bool {
		x := wire.Attestation{Server: server.ID(), Address: netip.MustParseAddr("192.0.2.1"), Time: milliseconds(time.Now())}
		x.Signature = server.Sign(c, attestationMessage([32]byte{3}, x))
		return client.CheckAttestation([32]byte{3}, x)
	})
}
