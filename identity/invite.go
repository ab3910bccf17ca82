package identity

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/sremp/sremp/wire"
)

// InviteScheme starts the text of every invite.
const InviteScheme = "sremp:"

// Limits of the text form (spec §2.8).
const (
	inviteChecksumLen = 4
	// MaxInviteText bounds what ParseInvite looks at, spaces included.
	MaxInviteText = 8192
)

const contextInviteChecksum = "SREMP v1 invite checksum"

// ErrBadInvite is returned for text that is no invite, or not a whole one.
var ErrBadInvite = errors.New("identity: not an invite, or not all of it; copy it whole, from sremp: to its end")

// An Invite is what one person hands another outside this system (spec §2.8).
// Whoever has it can become a contact, once: it is a secret.
type Invite struct {
	Peer               PeerID
	Name               string           // the inviter's, may be empty
	Secret             [32]byte         // good for one use
	Lookup             [32]byte         // lookup secret of the rendezvous record, zero if none
	Expires            time.Time        // whole seconds
	Addrs              []netip.AddrPort // direct
	Relays, Rendezvous []ServerAddr
	KnockInbox         [32]byte // zero if no relay
	Extensions         []wire.Extension
}

// NewInviteSecret returns a random secret for an invite.
func NewInviteSecret() (s [32]byte) {
	rand.Read(s[:]) // never fails, see crypto/rand.Read
	return s
}

// Check reports what is wrong with i, if anything: an invite that passes has a
// URI that [ParseInvite] accepts.
func (i Invite) Check() error {
	t := i.Expires.Unix()
	if CheckEd25519(i.Peer) != nil || i.Secret == [32]byte{} || t <= 0 || t > wire.MaxTime ||
		i.Name != "" && CheckName(i.Name) != nil ||
		len(i.Addrs) > wire.MaxInviteAddrs || len(i.Relays) > wire.MaxInviteServers || len(i.Rendezvous) > wire.MaxInviteServers {
		return ErrBadInvite
	}
	for _, a := range i.Addrs {
		if !dialable(a) {
			return ErrBadInvite
		}
	}
	for _, servers := range [][]ServerAddr{i.Relays, i.Rendezvous} {
		for _, s := range servers {
			if CheckEd25519(s.ID) != nil || CheckHost(s.Host) != nil || s.Port == 0 {
				return ErrBadInvite
			}
		}
	}
	return nil
}

// dialable accepts addresses of one host, in their only form.
func dialable(a netip.AddrPort) bool {
	ip := a.Addr()
	return a.IsValid() && a.Port() != 0 && ip.Zone() == "" && !ip.Is4In6() && !ip.IsUnspecified() &&
		!ip.IsMulticast() && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// URI returns the text form: sremp: and base32 of the encoding and a checksum,
// in lower case. Upper case is as good, and smaller as a QR code. An invite that
// [Invite.Check] refuses panics.
func (i Invite) URI() string {
	if err := i.Check(); err != nil {
		panic(err)
	}
	b := i.wire().Append(nil)
	return InviteScheme + textEncoding.EncodeToString(append(b, inviteChecksum(b)...))
}

// ParseInvite is the inverse of URI. Case does not matter, nor do spaces and
// line breaks in it. Whether it has expired is for the caller to see.
func ParseInvite(s string) (Invite, error) {
	if len(s) > MaxInviteText {
		return Invite{}, ErrBadInvite
	}
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	text, ok := strings.CutPrefix(s, InviteScheme)
	if !ok {
		return Invite{}, ErrBadInvite
	}
	b, err := textEncoding.DecodeString(text)
	if err != nil || textEncoding.EncodeToString(b) != text || len(b) < inviteChecksumLen {
		return Invite{}, ErrBadInvite
	}
	b, sum := b[:len(b)-inviteChecksumLen], b[len(b)-inviteChecksumLen:]
	if !bytes.Equal(sum, inviteChecksum(b)) {
		return Invite{}, ErrBadInvite
	}
	x, err := wire.ParseInvite(b)
	if err != nil {
		return Invite{}, ErrBadInvite
	}
	i := Invite{
		Peer: x.Peer, Name: x.Name, Secret: x.Secret, Lookup: x.Lookup, Expires: time.Unix(int64(x.Expires), 0).UTC(),
		Addrs: x.Addrs, Relays: fromServers(x.Relays), Rendezvous: fromServers(x.Rendezvous),
		KnockInbox: x.KnockInbox, Extensions: x.Extensions,
	}
	if err := i.Check(); err != nil {
		return Invite{}, err
	}
	return i, nil
}

func (i Invite) wire() wire.Invite {
	return wire.Invite{
		Peer: i.Peer, Name: i.Name, Secret: i.Secret, Lookup: i.Lookup, Expires: uint64(i.Expires.Unix()),
		Addrs: i.Addrs, Relays: toServers(i.Relays), Rendezvous: toServers(i.Rendezvous),
		KnockInbox: i.KnockInbox, Extensions: i.Extensions,
	}
}

func toServers(as []ServerAddr) []wire.Server {
	var xs []wire.Server
	for _, a := range as {
		xs = append(xs, wire.Server{ID: a.ID, Host: a.Host, Port: a.Port})
	}
	return xs
}

func fromServers(xs []wire.Server) []ServerAddr {
	var as []ServerAddr
	for _, x := range xs {
		as = append(as, ServerAddr{ID: x.ID, Host: x.Host, Port: x.Port})
	}
	return as
}

func inviteChecksum(b []byte) []byte {
	h := sha256.Sum256(append([]byte(contextInviteChecksum), b...))
	return h[:inviteChecksumLen]
}

// Knock returns what the inviter tells its relay and the joiner shows it. It
// reveals nothing of the other keys.
func (i Invite) Knock() [32]byte { return i.derive("SREMP v1 invite knock") }

// PSK returns the pre-shared key of the first prekey agreement.
func (i Invite) PSK() [32]byte { return i.derive("SREMP v1 invite psk") }

// HelloKey returns the key that seals hello probes (spec §5).
func (i Invite) HelloKey() [32]byte { return i.derive("SREMP v1 invite hello") }

// IntroKey returns the key that seals the introduction of first contact.
func (i Invite) IntroKey() [32]byte { return i.derive("SREMP v1 invite introduction") }

// derive is HKDF-SHA256 of the secret with the inviter's id as salt.
func (i Invite) derive(context string) [32]byte {
	k, err := hkdf.Key(sha256.New, i.Secret[:], i.Peer[:], context, 32)
	if err != nil {
		panic(err)
	}
	return [32]byte(k)
}

// Format implements [fmt.Formatter]: an invite is a secret, its URI says all.
func (i Invite) Format(s fmt.State, _ rune) {
	io.WriteString(s, "identity.Invite("+i.Peer.Short()+", redacted)")
}

// LogValue implements [slog.LogValuer].
func (i Invite) LogValue() slog.Value {
	return slog.StringValue("identity.Invite(" + i.Peer.Short() + ", redacted)")
}
