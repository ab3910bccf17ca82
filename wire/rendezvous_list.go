package wire

import "encoding/binary"

// Limits of the public list and of announcements (spec §7.10, §7.12).
const (
	MaxListing        = 8192 // a signed entry
	MaxListingNote    = 512
	MaxListingPicture = 4096
	MaxBrowseQuery    = 160
	MaxBrowsePosition = 224   // an opaque place in the list
	MaxBrowsePage     = 16384 // the entries of one page
	MaxAnnouncements  = 32    // in one answer
	MaxAnnouncement   = 400
)

// A BrowseKind says how the query of a Browse is compared with names.
type BrowseKind uint8

// The kinds.
const (
	BrowsePrefix    BrowseKind = 0
	BrowseSubstring BrowseKind = 1

	maxBrowseKind = BrowseSubstring
)

// A RendezvousListing is an entry of the public list, signed by the identity.
//
//	struct {
//	    uint64 issued, expires;              // Unix milliseconds
//	    opaque identity<1..8192>;            // the signed identity record, with the name
//	    opaque note<0..512>;                 // UTF-8
//	    opaque picture<0..4096>;             // a PNG or JPEG file
//	    uint8 count; Server relays[count];   // at most 4
//	    uint8 count; Server rendezvous[count];
//	    opaque knock_inbox<0..32>;           // 0 or 32 bytes
//	    Extension extensions<0..2^15>;
//	    opaque signature[64];
//	} Listing;                               // at most 8192 bytes
type RendezvousListing struct {
	Issued, Expires    uint64
	Identity           []byte
	Note               string
	Picture            []byte
	Relays, Rendezvous []Server
	KnockInbox         [32]byte // zero: none
	Extensions         []Extension
	Signature          [64]byte
}

// AppendUnsigned appends everything before the signature.
func (x RendezvousListing) AppendUnsigned(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, x.Issued), x.Expires)
	b = AppendVec16(AppendVec16(AppendVec16(b, x.Identity), []byte(x.Note)), x.Picture)
	b = AppendServers(AppendServers(b, x.Relays), x.Rendezvous)
	return AppendExtensions(appendOptional32(b, x.KnockInbox), x.Extensions)
}

// Append appends the entry.
func (x RendezvousListing) Append(b []byte) []byte {
	return append(x.AppendUnsigned(b), x.Signature[:]...)
}

// ParseRendezvousListing decodes an entry; its signature is not checked.
func ParseRendezvousListing(b []byte) (RendezvousListing, error) {
	if len(b) > MaxListing {
		return RendezvousListing{}, ErrTooLarge
	}
	r := NewReader(b)
	x := RendezvousListing{
		Issued: r.Uint64(), Expires: r.Uint64(), Identity: r.Vec16(1, 8192),
		Note: string(r.Vec16(0, MaxListingNote)), Picture: r.Vec16(0, MaxListingPicture),
		Relays: r.Servers(MaxRendezvousServers), Rendezvous: r.Servers(MaxRendezvousServers),
		KnockInbox: r.optional32(), Extensions: r.Extensions(), Signature: r.Array64(),
	}
	return done(r, x)
}

// A RendezvousList puts the identity's entry on the public list, or takes it off.
//
//	struct {
//	    uint32 request;
//	    opaque identity[32];
//	    uint32 ttl;                 // seconds; 0 takes off
//	    opaque entry<0..8192>;      // empty if and only if ttl is 0
//	    opaque signature[64];       // spec §7.10.2
//	    Extension extensions<0..2^15>;
//	} List;
type RendezvousList struct {
	Request    uint32
	Identity   [32]byte
	TTL        uint32
	Entry      []byte
	Signature  [64]byte
	Extensions []Extension
}

// Append appends the payload of the frame.
func (x RendezvousList) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), x.Identity[:]...)
	b = AppendVec16(binary.BigEndian.AppendUint32(b, x.TTL), x.Entry)
	return AppendExtensions(append(b, x.Signature[:]...), x.Extensions)
}

// ParseRendezvousList decodes the payload of the frame.
func ParseRendezvousList(b []byte) (RendezvousList, error) {
	r := NewReader(b)
	x := RendezvousList{
		Request: r.Uint32(), Identity: r.Array32(), TTL: r.Uint32(),
		Entry: r.Vec16(0, MaxListing), Signature: r.Array64(), Extensions: r.Extensions(),
	}
	if (x.TTL == 0) != (len(x.Entry) == 0) {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A RendezvousBrowse asks for a page of the public list.
//
//	struct {
//	    uint32 request;
//	    uint8 kind;                 // 0: names that begin with the query; 1: that contain it
//	    opaque query<0..160>;       // folded (spec §7.10.3); empty: all
//	    opaque after<0..224>;       // where the last page ended; empty: the beginning
//	    uint8 limit;                // entries at most, not 0
//	} Browse;
type RendezvousBrowse struct {
	Request      uint32
	Kind         BrowseKind
	Query, After []byte
	Limit        uint8
}

// Append appends the payload of the frame.
func (x RendezvousBrowse) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Kind))
	return append(AppendVec8(AppendVec8(b, x.Query), x.After), x.Limit)
}

// ParseRendezvousBrowse decodes the payload of the frame.
func ParseRendezvousBrowse(b []byte) (RendezvousBrowse, error) {
	r := NewReader(b)
	x := RendezvousBrowse{
		Request: r.Uint32(), Kind: BrowseKind(r.Uint8()),
		Query: r.Vec8(0, MaxBrowseQuery), After: r.Vec8(0, MaxBrowsePosition), Limit: r.Uint8(),
	}
	if x.Kind > maxBrowseKind || x.Limit == 0 {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}

// A RendezvousPage answers a Browse. An empty next means that the list ends; a
// page may have no entries and not be the last.
//
//	struct {
//	    uint8 online;               // 0 or 1
//	    uint64 seen;                // Unix milliseconds
//	    opaque listing<0..8192>;
//	} Entry;
//
//	struct {
//	    uint32 request;
//	    uint8 status;
//	    opaque next<0..224>;
//	    uint8 count; Entry entries[count];   // at most 16384 bytes
//	} Page;
type RendezvousPage struct {
	Request uint32
	Status  RendezvousStatus
	Next    []byte
	Entries []RendezvousEntry
}

// A RendezvousEntry is one line of a page.
type RendezvousEntry struct {
	Online  bool
	Seen    uint64
	Listing []byte
}

// Size is how many bytes of a page the entry takes.
func (x RendezvousEntry) Size() int { return 1 + 8 + 2 + len(x.Listing) }

// Append appends the payload of the frame.
func (x RendezvousPage) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Status))
	b = append(AppendVec8(b, x.Next), byte(len(x.Entries)))
	for _, e := range x.Entries {
		b = append(b, 0)
		if e.Online {
			b[len(b)-1] = 1
		}
		b = AppendVec16(binary.BigEndian.AppendUint64(b, e.Seen), e.Listing)
	}
	return b
}

// ParseRendezvousPage decodes the payload of the frame.
func ParseRendezvousPage(b []byte) (RendezvousPage, error) {
	r := NewReader(b)
	x := RendezvousPage{Request: r.Uint32(), Status: r.RendezvousStatus(), Next: r.Vec8(0, MaxBrowsePosition)}
	n := int(r.Uint8())
	if x.Status != RendezvousOK && (n > 0 || len(x.Next) > 0) {
		r.Fail(ErrNotCanonical)
	}
	if r.Len() > MaxBrowsePage {
		r.Fail(ErrTooLarge)
	}
	for range n {
		e := RendezvousEntry{Online: r.Bool(), Seen: r.Uint64(), Listing: r.Vec16(0, MaxListing)}
		if r.Err() != nil {
			break
		}
		x.Entries = append(x.Entries, e)
	}
	return done(r, x)
}

// A RendezvousServers asks which other servers this one knows of.
//
//	struct { uint32 request; } Servers;
type RendezvousServers struct{ Request uint32 }

// Append appends the payload of the frame.
func (x RendezvousServers) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, x.Request)
}

// ParseRendezvousServers decodes the payload of the frame.
func ParseRendezvousServers(b []byte) (RendezvousServers, error) {
	r := NewReader(b)
	return done(r, RendezvousServers{r.Uint32()})
}

// A RendezvousKnown answers a Servers.
//
//	struct {
//	    uint32 request;
//	    uint8 status;
//	    uint8 count; opaque announcement<1..400>[count];   // at most 32
//	} Known;
type RendezvousKnown struct {
	Request       uint32
	Status        RendezvousStatus
	Announcements [][]byte
}

// Append appends the payload of the frame.
func (x RendezvousKnown) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Status), byte(len(x.Announcements)))
	for _, a := range x.Announcements {
		b = AppendVec16(b, a)
	}
	return b
}

// ParseRendezvousKnown decodes the payload of the frame.
func ParseRendezvousKnown(b []byte) (RendezvousKnown, error) {
	r := NewReader(b)
	x := RendezvousKnown{Request: r.Uint32(), Status: r.RendezvousStatus()}
	n := int(r.Uint8())
	if n > MaxAnnouncements {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		x.Announcements = append(x.Announcements, r.Vec16(1, MaxAnnouncement))
	}
	return done(r, x)
}

// A RendezvousAnnouncement is a server's own word on where it is, signed by its
// key (spec §7.12).
//
//	struct {
//	    Server server;
//	    uint64 issued, expires;      // Unix milliseconds
//	    opaque signature[64];
//	} Announcement;
type RendezvousAnnouncement struct {
	Server          Server
	Issued, Expires uint64
	Signature       [64]byte
}

// AppendUnsigned appends everything before the signature.
func (x RendezvousAnnouncement) AppendUnsigned(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(x.Server.Append(b), x.Issued)
	return binary.BigEndian.AppendUint64(b, x.Expires)
}

// Append appends the announcement.
func (x RendezvousAnnouncement) Append(b []byte) []byte {
	return append(x.AppendUnsigned(b), x.Signature[:]...)
}

// ParseRendezvousAnnouncement decodes an announcement; its signature is not
// checked.
func ParseRendezvousAnnouncement(b []byte) (RendezvousAnnouncement, error) {
	r := NewReader(b)
	return done(r, RendezvousAnnouncement{r.Server(), r.Uint64(), r.Uint64(), r.Array64()})
}
