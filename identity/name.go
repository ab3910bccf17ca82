package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// A PeerID names a person: an Ed25519 public key (spec §2.1).
type PeerID [32]byte

// A ServerID names a server: an Ed25519 public key.
type ServerID [32]byte

// A DeviceID tells apart the devices of one person.
type DeviceID [16]byte

// ErrBadID is returned for text that is no id: wrong letters, length or checksum.
var ErrBadID = errors.New("identity: not a valid id; check that it was copied whole")

// Lower case, because it is typed and read aloud; parsing takes both cases.
var textEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	checksumLen = 3
	groupLen    = 8
)

// Contexts of the checksums (spec §2.2).
const (
	contextPeerChecksum   = "SREMP v1 peer checksum"
	contextServerChecksum = "SREMP v1 server checksum"
)

// keyText is base32(key checksum): 56 letters, 35 bytes without padding.
func keyText(context string, key [32]byte) string {
	return textEncoding.EncodeToString(append(key[:], keyChecksum(context, key)...))
}

func keyChecksum(context string, key [32]byte) []byte {
	h := sha256.Sum256(append([]byte(context), key[:]...))
	return h[:checksumLen]
}

func parseKeyText(context, s string) (key [32]byte, err error) {
	s = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(s)))
	b, err := textEncoding.DecodeString(s)
	if err != nil || len(b) != 32+checksumLen || textEncoding.EncodeToString(b) != s {
		return key, ErrBadID
	}
	copy(key[:], b)
	if !bytes.Equal(keyChecksum(context, key), b[32:]) || CheckEd25519(key) != nil {
		return [32]byte{}, ErrBadID
	}
	return key, nil
}

// String returns the whole id in groups of eight letters (spec §2.2).
func (id PeerID) String() string {
	s := keyText(contextPeerChecksum, id)
	var groups []string
	for len(s) > groupLen {
		groups = append(groups, s[:groupLen])
		s = s[groupLen:]
	}
	return strings.Join(append(groups, s), "-")
}

// Short returns the first group, for logs and lists. It identifies nobody.
func (id PeerID) Short() string { return id.String()[:groupLen] }

// ParsePeerID is the inverse of String; case, spaces and hyphens do not matter.
func ParsePeerID(s string) (PeerID, error) {
	k, err := parseKeyText(contextPeerChecksum, s)
	return PeerID(k), err
}

// Compare orders ids by their bytes; the lower one is the QUIC client (spec §5.2).
func (id PeerID) Compare(o PeerID) int { return bytes.Compare(id[:], o[:]) }

// IsZero reports whether id names nobody.
func (id PeerID) IsZero() bool { return id == PeerID{} }

// MarshalText implements [encoding.TextMarshaler].
func (id PeerID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *PeerID) UnmarshalText(b []byte) (err error) {
	*id, err = ParsePeerID(string(b))
	return err
}

// String returns the whole id.
func (id ServerID) String() string { return keyText(contextServerChecksum, id) }

// ParseServerID is the inverse of String.
func ParseServerID(s string) (ServerID, error) {
	k, err := parseKeyText(contextServerChecksum, s)
	return ServerID(k), err
}

// A ServerAddr says where a server is and which key it must prove (spec §2.3).
// Its text is sremp://ID@HOST:PORT.
type ServerAddr struct {
	ID   ServerID
	Host string // IP address or domain name
	Port uint16
}

// ServerScheme starts the text of every server address.
const ServerScheme = "sremp://"

// ErrBadServerAddr is returned for text that is no server address.
var ErrBadServerAddr = errors.New("identity: not a server address; it looks like sremp://KEY@HOST:PORT")

// String returns the URI of a.
func (a ServerAddr) String() string { return ServerScheme + a.ID.String() + "@" + a.HostPort() }

// HostPort returns host:port, with brackets around an IPv6 address.
func (a ServerAddr) HostPort() string {
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// MarshalText implements [encoding.TextMarshaler].
func (a ServerAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *ServerAddr) UnmarshalText(b []byte) (err error) {
	*a, err = ParseServerAddr(string(b))
	return err
}

// IsZero reports whether a is no address.
func (a ServerAddr) IsZero() bool { return a == ServerAddr{} }

// ParseServerAddr is the inverse of String.
func ParseServerAddr(s string) (ServerAddr, error) {
	s = strings.TrimSpace(s)
	if len(s) < len(ServerScheme) || !strings.EqualFold(s[:len(ServerScheme)], ServerScheme) {
		return ServerAddr{}, ErrBadServerAddr
	}
	key, hostport, ok := strings.Cut(s[len(ServerScheme):], "@")
	if !ok {
		return ServerAddr{}, ErrBadServerAddr
	}
	id, err := ParseServerID(key)
	if err != nil {
		return ServerAddr{}, fmt.Errorf("%w: its key: %w", ErrBadServerAddr, err)
	}
	host, portText, err := net.SplitHostPort(strings.TrimSuffix(hostport, "/"))
	if err != nil {
		return ServerAddr{}, ErrBadServerAddr
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 || CheckHost(host) != nil {
		return ServerAddr{}, ErrBadServerAddr
	}
	return ServerAddr{ID: id, Host: host, Port: uint16(port)}, nil
}

// CheckHost accepts IP addresses and domain names of 1 to 253 printable ASCII
// letters, digits, dots, hyphens, and the colons and percent sign of IPv6.
func CheckHost(host string) error {
	if len(host) == 0 || len(host) > 253 {
		return ErrBadServerAddr
	}
	for _, c := range host {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%", c) {
			return ErrBadServerAddr
		}
	}
	return nil
}
