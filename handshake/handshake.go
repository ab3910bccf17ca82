package handshake

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"

	"github.com/flynn/noise"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// A Pattern is a Noise pattern, as it stands in the prologue (spec §3.2).
type Pattern uint8

// The patterns.
const (
	XX Pattern = 1 // peers; the initiator is the QUIC client
	IK Pattern = 2 // peers that know each other; the initiator is the QUIC server
	NX Pattern = 3 // an anonymous QUIC client, the initiator, and a server
)

// String returns XX, IK or NX.
func (p Pattern) String() string {
	switch p {
	case XX:
		return "XX"
	case IK:
		return "IK"
	case NX:
		return "NX"
	}
	return fmt.Sprintf("Pattern(%d)", uint8(p))
}

// Version is the protocol version that this package speaks.
const Version = 1

// MaxMessage is the most bytes a message has.
const MaxMessage = 16 << 10

// A Turn says what the handshake waits for.
type Turn uint8

// The turns.
const (
	Write Turn = iota + 1
	Read
	Done   // the other side is authenticated, see Result
	Failed // by an error
)

// A Config describes one side of a handshake. The first five fields are part of
// the prologue or follow from it: both sides must agree.
type Config struct {
	Pattern   Pattern
	Initiator bool
	ALPN      string   // the negotiated one
	Version   uint16   // 0: Version
	Exporter  [32]byte // TLS exporter of the connection (spec §3.2)

	Local  *identity.Local     // XX, IK: own keys
	Server *identity.ServerKey // NX responder: own keys

	RemoteServer identity.ServerID // NX initiator: whom the server must prove to be
	// Remote is the known record of the other side: required in IK, where the
	// initiator needs its key; optional in XX, where it implies RemoteID.
	Remote   *identity.Record
	RemoteID identity.PeerID // XX: the peer expected; zero: anyone
}

// A Result is what a finished handshake proved.
type Result struct {
	Peer       *identity.Record  // XX, IK: the peer's verified record, which may be newer than the known one
	ServerID   identity.ServerID // NX initiator: the server
	ChannelKey [32]byte          // secret of the two ends of this connection
}

// A Handshake is one side of one handshake. It is not safe for concurrent use.
type Handshake struct {
	c        Config
	states   []*noise.HandshakeState // IK responder before message 1: one for each key that answers
	prologue []byte
	message  int // index of the next message
	turn     Turn
	keys     finalKeys
	result   Result
}

// New starts a handshake.
func New(c Config) (*Handshake, error) {
	if c.Version == 0 {
		c.Version = Version
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	h := &Handshake{c: c, prologue: prologue(c), turn: Read}
	if c.Initiator {
		h.turn = Write
	}
	for _, key := range h.staticKeys() {
		s, err := noise.NewHandshakeState(h.noiseConfig(key))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		h.states = append(h.states, s)
	}
	return h, nil
}

func (c *Config) check() error {
	if c.Exporter == [32]byte{} {
		return fmt.Errorf("%w: no TLS exporter", ErrConfig)
	}
	if len(c.ALPN) == 0 || len(c.ALPN) > 255 {
		return fmt.Errorf("%w: no ALPN", ErrConfig)
	}
	missing := ""
	switch c.Pattern {
	case XX, IK:
		switch {
		case c.Local == nil:
			missing = "own identity"
		case c.Pattern == IK && c.Remote == nil:
			missing = "the peer's record"
		case c.Remote == nil:
		case c.RemoteID.IsZero():
			c.RemoteID = c.Remote.Identity
		case c.RemoteID != c.Remote.Identity:
			missing = "a record of the expected peer"
		}
	case NX:
		switch {
		case c.Initiator && c.RemoteServer == identity.ServerID{}:
			missing = "the server's key"
		case !c.Initiator && c.Server == nil:
			missing = "own server key"
		}
	default:
		missing = "a pattern"
	}
	if missing != "" {
		return fmt.Errorf("%w: %s is missing", ErrConfig, missing)
	}
	return nil
}

// prologue is what both sides must agree on before the first message (spec §3.2).
func prologue(c Config) []byte {
	b := wire.AppendVec8(nil, []byte(contextPrologue))
	b = binary.BigEndian.AppendUint16(b, c.Version)
	b = wire.AppendVec8(b, []byte(c.ALPN))
	b = append(b, byte(c.Pattern))
	return append(b, c.Exporter[:]...)
}

// staticKeys returns the keys that this side may use: one, or none, but for the
// responder of IK, whom peers with an old record address by an old key.
func (h *Handshake) staticKeys() []identity.DHKey {
	switch {
	case h.c.Pattern == NX && h.c.Initiator:
		return []identity.DHKey{{}}
	case h.c.Pattern == NX:
		return []identity.DHKey{h.c.Server.Noise()}
	case h.c.Pattern == IK && !h.c.Initiator:
		return append([]identity.DHKey{h.c.Local.NoiseKey()}, h.c.Local.OldNoiseKeys()...)
	}
	return []identity.DHKey{h.c.Local.NoiseKey()}
}

func (h *Handshake) noiseConfig(key identity.DHKey) noise.Config {
	n := noise.Config{CipherSuite: suite, Initiator: h.c.Initiator, Prologue: h.prologue}
	switch h.c.Pattern {
	case XX:
		n.Pattern = noise.HandshakeXX
	case IK:
		n.Pattern = noise.HandshakeIK
		if h.c.Initiator {
			n.PeerStatic = bytes.Clone(h.c.Remote.Noise[:])
		}
	case NX:
		n.Pattern = noise.HandshakeNX
	}
	if !key.IsZero() {
		n.StaticKeypair = keypair(key)
	}
	return n
}

// Turn says what the handshake waits for.
func (h *Handshake) Turn() Turn { return h.turn }

// Result returns what was proven. Before Turn is Done it is empty.
func (h *Handshake) Result() Result {
	if h.turn != Done {
		return Result{}
	}
	return h.result
}

// MayWriteEarly reports whether the responder of IK may already send what only
// the holder of the peer's own keys can read: message 1 came from the static key
// of the known record, and was answered. It proves nothing yet (spec §3.3).
func (h *Handshake) MayWriteEarly() bool {
	return h.c.Pattern == IK && !h.c.Initiator && h.message == messages-1 && h.turn == Read &&
		bytes.Equal(h.states[0].PeerStatic(), h.c.Remote.Noise[:])
}

// fail makes err the end of the handshake.
func (h *Handshake) fail(err error) error {
	h.turn, h.states, h.keys, h.result = Failed, nil, finalKeys{}, Result{}
	return err
}

// next moves to the next message after a side has spoken.
func (h *Handshake) next() {
	h.message++
	switch {
	case h.message == messages:
		h.turn = Done
		h.result.ChannelKey = h.keys.channel
		h.states, h.keys = nil, finalKeys{}
	case h.turn == Write:
		h.turn = Read
	default:
		h.turn = Write
	}
}

// Format implements [fmt.Formatter]: a handshake is full of keys.
func (h *Handshake) Format(s fmt.State, _ rune) { io.WriteString(s, "handshake.Handshake(redacted)") }

// Format implements [fmt.Formatter].
func (Result) Format(s fmt.State, _ rune) { io.WriteString(s, "handshake.Result(redacted)") }

// LogValue implements [slog.LogValuer].
func (Result) LogValue() slog.Value { return slog.StringValue("handshake.Result(redacted)") }
