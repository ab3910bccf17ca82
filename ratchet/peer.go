package ratchet

import (
	"time"

	"github.com/sremp/sremp/identity"
)

// A Peer is all state with one remote device.
type Peer struct{ s *peerState }

type peerState struct{}

// A Bundle is a verified prekey bundle.
type Bundle struct{}

// ParseBundle parses and verifies.
func ParseBundle(b []byte, want identity.PeerID, now time.Time) (*Bundle, error) {
	return nil, ErrBundle
}

// Record returns the owner's record.
func (b *Bundle) Record() *identity.Record { return nil }

// Device returns the owner's device.
func (b *Bundle) Device() identity.DeviceID { return identity.DeviceID{} }

// Serial orders the bundles of one device; a lower one than seen must be refused.
func (b *Bundle) Serial() uint64 { return 0 }

// A PrekeyStore is the private half of what we hand out.
type PrekeyStore struct{}

// A OneTimePublic is a signed one-time prekey.
type OneTimePublic struct {
	ID    uint32
	Bytes []byte
}

// NewPrekeyStore makes one with oneTime one-time keys.
func NewPrekeyStore(l *identity.Local, now time.Time, oneTime int) (*PrekeyStore, error) {
	return nil, ErrState
}

// Bundle returns the signed bundle.
func (s *PrekeyStore) Bundle() []byte { return nil }

// OneTime returns one-time prekeys that were not marked as published.
func (s *PrekeyStore) OneTime() []OneTimePublic { return nil }

// Published marks one-time prekeys as handed out: OneTime leaves them out.
func (s *PrekeyStore) Published(ids []uint32) {}

// Replenish rotates, expires, and fills the one-time keys up to n; changed means
// that Bundle or OneTime are to be published and the store persisted.
func (s *PrekeyStore) Replenish(l *identity.Local, now time.Time, n int) (changed bool, err error) {
	return false, ErrState
}

// MarshalBinary returns the secret state.
func (s *PrekeyStore) MarshalBinary() ([]byte, error) { return nil, ErrState }

// ParsePrekeyStore is its inverse.
func ParsePrekeyStore(b []byte) (*PrekeyStore, error) { return nil, ErrState }

// Initiate starts a session.
func Initiate(now time.Time, l *identity.Local, b *Bundle, oneTime []byte, psk [32]byte) (*Peer, error) {
	return nil, ErrBundle
}

// Accept takes the first initial message of a stranger.
func Accept(now time.Time, l *identity.Local, s *PrekeyStore, psk [32]byte, msg []byte) (p *Peer, from *identity.Record, plaintext []byte, err error) {
	return nil, nil, nil, ErrDecrypt
}

// Encrypt appends the message to dst.
func (p *Peer) Encrypt(dst, plaintext []byte) ([]byte, error) { return nil, ErrState }

// Decrypt decrypts.
func (p *Peer) Decrypt(now time.Time, l *identity.Local, s *PrekeyStore, psk [32]byte, msg []byte) ([]byte, error) {
	return nil, ErrDecrypt
}

// Remote returns whose state this is.
func (p *Peer) Remote() (identity.PeerID, identity.DeviceID) {
	return identity.PeerID{}, identity.DeviceID{}
}

// MarshalBinary returns the secret state.
func (p *Peer) MarshalBinary() ([]byte, error) { return nil, ErrState }

// ParsePeer is its inverse.
func ParsePeer(b []byte) (*Peer, error) { return nil, ErrState }

// IsInitial reports whether msg is an initial message.
func IsInitial(msg []byte) bool { return false }

// PeekInitial returns who claims to have sent msg.
func PeekInitial(msg []byte) (*identity.Record, error) { return nil, ErrDecrypt }

// PeekDevice returns the device that claims to have sent msg.
func PeekDevice(msg []byte) (identity.DeviceID, error) { return identity.DeviceID{}, ErrDecrypt }
