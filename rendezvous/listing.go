package rendezvous

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the two kinds of picture that an entry may have
	_ "image/png"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Contexts of the public list (spec §7.10).
const (
	contextListing     = "SREMP v1 rendezvous listing"
	contextListRequest = "SREMP v1 rendezvous list request"
)

const (
	// maxListingLife bounds what an owner may sign, so that a server that keeps
	// entries for longer than it should cannot show them for ever.
	maxListingLife = 31 * 24 * time.Hour
	listingSkew    = 24 * time.Hour
	maxPictureSide = 512
)

// ErrListing is returned for an entry that may not be listed.
var ErrListing = errors.New("rendezvous: not an entry for the list: a note of at most 512 bytes without control characters, " +
	"a PNG or JPEG of at most 4096 bytes and 512 by 512")

// A Listing is what a person tells everybody.
type Listing struct {
	Content        // who it is, its servers and its knock inbox
	Note    string // at most 512 bytes
	Picture []byte // PNG or JPEG, at most 4096 bytes
	Expires time.Time
}

// A Person is an entry of the list as a server shows it. The listing is the
// owner's own word, Online and Seen are the server's.
type Person struct {
	Listing
	Online bool
	Seen   time.Time
	// Suspect is true if the name mixes scripts that look alike, or if another
	// entry of the result looks the same: show the id beside it.
	Suspect bool
}

// sealListing signs l as k's owner.
func sealListing(k identity.SecretKey, l Listing, now time.Time) ([]byte, error) {
	id := identity.PeerID(k.Public())
	if l.Record == nil || l.Record.Identity != id {
		return nil, errors.New("rendezvous: the record of another identity")
	}
	if l.Expires.IsZero() {
		l.Expires = now.Add(maxListingLife - listingSkew)
	}
	x := wire.RendezvousListing{
		Issued: milliseconds(now), Expires: milliseconds(l.Expires), Identity: l.Record.Bytes(),
		Note: l.Note, Picture: l.Picture, Relays: toWire(l.Relays), Rendezvous: toWire(l.Rendezvous), KnockInbox: l.KnockInbox,
	}
	if len(x.Note) > wire.MaxListingNote || len(x.Picture) > wire.MaxListingPicture ||
		len(x.Relays) > wire.MaxRendezvousServers || len(x.Rendezvous) > wire.MaxRendezvousServers {
		return nil, ErrListing
	}
	x.Signature = k.Sign(contextListing, x.AppendUnsigned(nil))
	b := x.Append(nil)
	if _, err := openListing(id, b, now); err != nil {
		return nil, err
	}
	return b, nil
}

// openListing verifies an entry of id's.
func openListing(id identity.PeerID, b []byte, now time.Time) (*Listing, error) {
	x, err := wire.ParseRendezvousListing(b)
	if err != nil || !identity.Verify(id, contextListing, x.AppendUnsigned(nil), x.Signature) {
		return nil, errBadRecord
	}
	rec, err := identity.ParseRecord(x.Identity) // refuses names with control and bidi characters
	if err != nil || rec.Identity != id {
		return nil, errBadRecord
	}
	l := &Listing{Note: x.Note, Picture: x.Picture, Expires: fromMilliseconds(x.Expires)}
	l.Record, l.KnockInbox, l.Issued = rec, x.KnockInbox, fromMilliseconds(x.Issued)
	if l.Relays, err = fromWire(x.Relays); err != nil {
		return nil, errBadRecord
	}
	if l.Rendezvous, err = fromWire(x.Rendezvous); err != nil {
		return nil, errBadRecord
	}
	if !now.Before(l.Expires) || l.Expires.Sub(l.Issued) > maxListingLife || l.Issued.Sub(now) > listingSkew {
		return nil, errBadRecord
	}
	if !showable(l.Note) || !smallPicture(l.Picture) {
		return nil, fmt.Errorf("%w: %w", errBadRecord, ErrListing)
	}
	return l, nil
}

// CheckNote returns [ErrListing] for a note that may not be listed.
func CheckNote(s string) error {
	if len(s) > wire.MaxListingNote || !showable(s) {
		return ErrListing
	}
	return nil
}

// CheckPicture returns [ErrListing] for a picture that may not be listed.
func CheckPicture(b []byte) error {
	if len(b) > wire.MaxListingPicture || !smallPicture(b) {
		return ErrListing
	}
	return nil
}

// showable reports whether a note has nothing that moves or hides its text.
func showable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsPrint(c) && c != '\u200c' && c != '\u200d'
	})
}

// smallPicture looks at the header only: what a picture claims to be large never
// reaches a decoder.
func smallPicture(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	c, kind, err := image.DecodeConfig(bytes.NewReader(b))
	return err == nil && (kind == "png" || kind == "jpeg") && c.Width <= maxPictureSide && c.Height <= maxPictureSide
}

func fromMilliseconds(ms uint64) time.Time { return time.UnixMilli(int64(min(ms, 1<<62))) }

// listMessage is what the identity signs to be put on a list, or off it: it fits
// one connection to one server only.
func listMessage(server identity.ServerID, binding [32]byte, x wire.RendezvousList) []byte {
	b := append(append(append([]byte(nil), server[:]...), binding[:]...), x.Identity[:]...)
	b = binary.BigEndian.AppendUint32(b, x.TTL)
	h := sha256.Sum256(x.Entry)
	return append(b, h[:]...)
}

// markSuspects compares the names of a result with each other.
func markSuspects(ps []Person) {
	folds := map[string]int{}
	for _, p := range ps {
		folds[Fold(p.Record.Name)]++
	}
	for i, p := range ps {
		ps[i].Suspect = MixedScripts(p.Record.Name) || folds[Fold(p.Record.Name)] > 1
	}
}

// appendPosition and parsePosition are the opaque place of Browse and Page.
func appendPosition(p Position) []byte {
	return append(bytes.Clone(p.Identity[:]), p.Fold...)
}

func parsePosition(b []byte) (p Position, ok bool) {
	if len(b) == 0 {
		return p, true
	}
	if len(b) < len(p.Identity) {
		return p, false
	}
	return Position{Fold: string(b[len(p.Identity):]), Identity: identity.PeerID(b[:len(p.Identity)])}, true
}
