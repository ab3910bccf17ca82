package rendezvous

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A said is a stream, and its connection, whose other end has said everything
// that it will.
type said struct {
	io.Reader
	out bytes.Buffer
}

func (s *said) Write(b []byte) (int, error)   { return s.out.Write(b) }
func (*said) SetReadDeadline(time.Time) error { return nil }
func (s *said) Close() error                  { return nil }
func (*said) Binding() (b [32]byte)           { return b }
func (*said) RemoteAddr() (a netip.AddrPort)  { return netip.MustParseAddrPort("192.0.2.1:1") }

// A line is a said as a connection.
type line struct{ *said }

func (line) Close(uint64, string) error { return nil }

// fuzzNow is the clock of everything in these targets: the seeds are signed for it.
var fuzzNow = time.Unix(1_800_000_000, 0)

func fuzzPerson(f *testing.F) *identity.Local {
	f.Helper()
	l, _, err := identity.NewLocal("Ada", fuzzNow)
	if err != nil {
		f.Fatal(err)
	}
	return l
}

// Whatever is said on a connection, after a hello: the server answers frames, at
// most as many as it was asked for, and forgets the connection.
func FuzzServer(f *testing.F) {
	key := serverKey(f, 77)
	s, err := newServer(ServerConfig{Key: key}, func() time.Time { return fuzzNow })
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	l, lookup := fuzzPerson(f), [32]byte{1}
	period := Period(fuzzNow)
	sealed, err := sealRecord(l.IdentityKey(), lookup, period, Content{Record: l.Record()}, fuzzNow)
	if err != nil {
		f.Fatal(err)
	}
	entry, err := sealListing(l.IdentityKey(), Listing{Content: Content{Record: l.Record()}, Note: "hello"}, fuzzNow)
	if err != nil {
		f.Fatal(err)
	}
	list := wire.RendezvousList{Request: 2, Identity: l.PeerID(), TTL: 3600, Entry: entry}
	list.Signature = l.IdentityKey().Sign(contextListRequest, listMessage(key.ID(), [32]byte{}, list))
	name := BlindedName(l.PeerID(), lookup, period).Blinded
	var all []byte
	for _, x := range []struct {
		typ uint16
		b   []byte
	}{
		{wire.FrameRendezvousRegister, signedRegistration(l, lookup, period, 3600, sealed, key.ID(), [32]byte{}).Append(nil)},
		{wire.FrameRendezvousList, list.Append(nil)},
		{wire.FrameRendezvousLookup, wire.RendezvousLookup{Request: 3, Blinded: name}.Append(nil)},
		{wire.FrameRendezvousSubscribe, wire.RendezvousSubscribe{Request: 4, Blinded: name, On: true}.Append(nil)},
		{wire.FrameRendezvousRenew, wire.RendezvousRenew{Request: 5}.Append(nil)},
		{wire.FrameRendezvousBrowse, wire.RendezvousBrowse{Request: 6, Query: []byte("a"), Limit: 10}.Append(nil)},
		{wire.FrameRendezvousServers, wire.RendezvousServers{Request: 7}.Append(nil)},
		{wire.FrameRendezvousAttest, wire.RendezvousAttest{Request: 8}.Append(nil)},
		{wire.FrameRendezvousIntroduce, wire.RendezvousIntroduce{Request: 9, Blinded: name, Offer: make([]byte, wire.RendezvousBlob)}.Append(nil)},
		{wire.FrameRendezvousAnswer, wire.RendezvousAnswer{Answer: make([]byte, wire.RendezvousBlob)}.Append(nil)},
	} {
		frame := wire.AppendFrame(nil, x.typ, x.b)
		f.Add(frame)
		all = append(all, frame...)
	}
	f.Add(all)
	hello := wire.AppendFrame(nil, wire.FrameRendezvousHello, wire.RendezvousHello{Version: version}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		st := &said{Reader: io.MultiReader(bytes.NewReader(hello), bytes.NewReader(b))}
		s.serve(context.Background(), line{st}, st)
		if st.out.Len() == 0 {
			t.Fatal("no welcome")
		}
		for r := bytes.NewReader(st.out.Bytes()); r.Len() > 0; {
			if _, _, err := transport.ReadFrame(r, wire.MaxRendezvousFrame); err != nil {
				t.Fatalf("what it says is no frame: %v", err)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.boxes) != 0 {
			t.Errorf("%d connections are remembered, want none", len(s.boxes))
		}
	})
}

// Whatever a rendezvous says to its client: an error or nothing, and no offer,
// change or person that its owner has not sealed or signed.
func FuzzClient(f *testing.F) {
	l, lookup := fuzzPerson(f), [32]byte{1}
	period := Period(fuzzNow)
	name := BlindedName(l.PeerID(), lookup, period).Blinded
	sealed, err := sealRecord(l.IdentityKey(), lookup, period, Content{Record: l.Record()}, fuzzNow)
	if err != nil {
		f.Fatal(err)
	}
	found := wire.RendezvousFound{Request: 1, TTL: 1, Online: true, Sealed: sealed}
	for _, x := range []struct {
		typ uint16
		b   []byte
	}{
		{wire.FrameRendezvousRegistered, wire.RendezvousRegistered{Request: 1, TTL: 60}.Append(nil)},
		{wire.FrameRendezvousFound, found.Append(nil)},
		{wire.FrameRendezvousChanged, wire.RendezvousChanged{Blinded: name, RendezvousFound: found}.Append(nil)},
		{wire.FrameRendezvousOffer, wire.RendezvousOffer{Blinded: name, Offer: make([]byte, wire.RendezvousBlob)}.Append(nil)},
		{wire.FrameRendezvousGo, wire.RendezvousGo{}.Append(nil)},
		{wire.FrameRendezvousPage, wire.RendezvousPage{Request: 1}.Append(nil)},
	} {
		f.Add(wire.AppendFrame(nil, x.typ, x.b))
	}
	welcome := wire.AppendFrame(nil, wire.FrameRendezvousWelcome,
		wire.RendezvousWelcome{Version: version, Time: milliseconds(fuzzNow), Observed: netip.MustParseAddrPort("192.0.2.1:1"), MaxTTL: 60}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, all := range [][]byte{b, slices.Concat(welcome, b)} {
			st := &said{Reader: bytes.NewReader(all)}
			c, err := newClient(t.Context(), identity.ServerID{1}, line{st}, st)
			if err != nil {
				continue
			}
			own := ownName{l.PeerID(), lookup, period}
			c.mu.Lock()
			c.names[name], c.subs[name] = own, own
			c.mu.Unlock()
			<-c.Done()
			for range c.Introductions() {
				t.Error("an offer that nobody sealed was passed on")
			}
			for ch := range c.Changes() {
				if ch.ID != l.PeerID() || ch.Content != nil && ch.Content.Record.Identity != l.PeerID() {
					t.Errorf("a change of %v is passed on", ch.ID)
				}
			}
		}
	})
}

// Entries of the list and announcements, as they stand: what is accepted is
// signed by whom it names, and has nothing that moves or hides text.
func FuzzSigned(f *testing.F) {
	l, key := fuzzPerson(f), serverKey(f, 77)
	entry, err := sealListing(l.IdentityKey(), Listing{Content: Content{Record: l.Record()}, Note: "hello"}, fuzzNow)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(entry, false)
	x, err := wire.ParseRendezvousListing(entry)
	if err != nil {
		f.Fatal(err)
	}
	for _, note := range []string{"\u202enote", "\x1b[2J", "\xff"} {
		x.Note = note
		f.Add(x.Append(nil), true)
	}
	f.Add(signAnnouncement(key, addrOf(key, "example.org"), fuzzNow), false)
	f.Add(appendPosition(Position{Fold: "ada", Identity: l.PeerID()}), false)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if x, err := wire.ParseRendezvousListing(b); err == nil && sign { // by somebody who lists nonsense
			x.Signature = l.IdentityKey().Sign(contextListing, x.AppendUnsigned(nil))
			b = x.Append(nil)
		}
		if got, err := parseListing(b, fuzzNow); err == nil {
			if !showable(got.Note) || len(got.Picture) > wire.MaxListingPicture || identity.CheckName(got.Record.Name) != nil {
				t.Errorf("accepted %+v", got)
			}
		}
		if x, err := wire.ParseRendezvousAnnouncement(b); err == nil && sign {
			x.Server.ID = key.ID()
			x.Signature = key.Sign(contextAnnouncement, x.AppendUnsigned(nil))
			b = x.Append(nil)
		}
		if a, ok := openAnnouncement(b, fuzzNow); ok && identity.CheckHost(a.Server.Host) != nil {
			t.Errorf("accepted %+v", a)
		}
		s := &announcements{key: serverKey(t, 78)}
		s.take(b, fuzzNow)
		if p, ok := parsePosition(b); ok && len(b) > 0 && !bytes.Equal(appendPosition(p), b) {
			t.Errorf("position %x becomes %x", b, appendPosition(p))
		}
		if x, ok := parseClusterMessage(b); ok && !bytes.Equal(x.append(nil), b) {
			t.Errorf("message %x becomes %x", b, x.append(nil))
		}
	})
}
