package handshake

import (
	"errors"
	"fmt"

	"github.com/flynn/noise"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// messages is how many messages each pattern has.
const messages = 3

// confirms reports whether the last message is a confirmation under the final
// keys: Noise's own patterns IK and NX have two messages.
func (p Pattern) confirms() bool { return p == IK || p == NX }

// WriteMessage returns the next message to send.
func (h *Handshake) WriteMessage() ([]byte, error) {
	if h.turn != Write {
		return nil, h.fail(ErrHandshake)
	}
	payload := h.payload()
	if h.message == messages-1 && h.c.Pattern.confirms() {
		msg := h.keys.seal(payload)
		h.next()
		return msg, nil
	}
	msg, cs1, cs2, err := h.states[0].WriteMessage(nil, payload)
	if err != nil {
		return nil, h.fail(ErrHandshake)
	}
	h.finish(cs1, cs2)
	h.next()
	return msg, nil
}

// payload is what this side says in the next message (spec §3.3).
func (h *Handshake) payload() []byte {
	switch {
	case h.message == 0:
		return nil
	case h.c.Pattern == NX && h.c.Initiator:
		return wire.HandshakePayload{}.Append(nil)
	case h.c.Pattern == NX:
		return wire.HandshakePayload{Credential: h.c.Server.Certificate()}.Append(nil)
	}
	return wire.HandshakePayload{Credential: h.c.Local.Record().Bytes()}.Append(nil)
}

// ReadMessage takes a message that was received.
func (h *Handshake) ReadMessage(msg []byte) error {
	if h.turn != Read || len(msg) > MaxMessage {
		return h.fail(ErrHandshake)
	}
	payload, static, err := h.open(msg)
	if err != nil {
		return h.fail(err)
	}
	if h.message == 0 {
		// Nothing is said before the other side can be known.
		if len(payload) > 0 {
			return h.fail(ErrHandshake)
		}
	} else if err := h.credential(payload, static); err != nil {
		return h.fail(err)
	}
	h.next()
	return nil
}

// open decrypts the next message. static is the sender's static key, if it has
// sent one by now or was known.
func (h *Handshake) open(msg []byte) (payload, static []byte, err error) {
	if h.message == messages-1 && h.c.Pattern.confirms() {
		payload, err := h.keys.open(msg)
		return payload, h.states[0].PeerStatic(), err
	}
	if h.message < 2 {
		// Messages 1 and 2 begin with the ephemeral key, in clear.
		if len(msg) < 32 || identity.CheckX25519([32]byte(msg)) != nil {
			return nil, nil, ErrHandshake
		}
	}
	if h.c.Pattern == IK && h.message == 0 {
		payload, err := h.openIK(msg)
		return payload, nil, err
	}
	s := h.states[0]
	payload, cs1, cs2, err := s.ReadMessage(nil, msg)
	if err != nil {
		return nil, nil, ErrHandshake
	}
	h.finish(cs1, cs2)
	return payload, s.PeerStatic(), nil
}

// openIK finds the key that message 1 was written for.
func (h *Handshake) openIK(msg []byte) ([]byte, error) {
	for _, s := range h.states {
		payload, _, _, err := s.ReadMessage(nil, msg)
		if errors.Is(err, identity.ErrBadKey) {
			return nil, ErrHandshake
		}
		if err == nil {
			h.states = []*noise.HandshakeState{s}
			return payload, nil
		}
	}
	return nil, ErrNeedXX
}

// finish derives the final keys when Noise's own messages are through.
func (h *Handshake) finish(cs1, cs2 *noise.CipherState) {
	if cs1 != nil {
		h.keys = deriveKeys(cs1.UnsafeKey(), cs2.UnsafeKey(), h.states[0].ChannelBinding())
	}
}

// credential checks what the other side says of itself against the static key
// that Noise has authenticated.
func (h *Handshake) credential(payload, static []byte) error {
	p, err := wire.ParseHandshakePayload(payload)
	if err != nil {
		return ErrHandshake
	}
	if h.c.Pattern == NX && !h.c.Initiator {
		if len(p.Credential) > 0 {
			return ErrHandshake
		}
		return nil
	}
	if len(static) != 32 {
		return ErrHandshake
	}
	if h.c.Pattern == NX {
		if !identity.CheckServerCertificate(p.Credential, h.c.RemoteServer, [32]byte(static)) {
			return fmt.Errorf("%w: the server does not have key %s", ErrWrongPeer, h.c.RemoteServer)
		}
		h.result.ServerID = h.c.RemoteServer
		return nil
	}
	r, err := identity.ParseRecord(p.Credential)
	if err != nil {
		return ErrHandshake
	}
	return h.peer(r, [32]byte(static))
}

// peer accepts the other side's record, or not (spec §3.4).
func (h *Handshake) peer(r *identity.Record, static [32]byte) error {
	if !h.c.RemoteID.IsZero() && r.Identity != h.c.RemoteID {
		return ErrWrongPeer
	}
	known := h.c.Remote
	// IK's responder may have rotated its key since our record: it answers with
	// the old one and tells its new record, which the check below lets through.
	old := h.c.Pattern == IK && h.c.Initiator && static == known.Noise && r.Epoch == known.Epoch
	if r.Noise != static && !old {
		return ErrHandshake
	}
	// Only who has the key that an old record names hears that it is old.
	if known != nil {
		if err := identity.CheckSuccessor(known, r); err != nil {
			return fmt.Errorf("%w: %w", ErrWrongPeer, err)
		}
	}
	// A mirror, or a thief of our key: this device does not talk to itself.
	if static == h.c.Local.NoiseKey().Public() {
		return ErrWrongPeer
	}
	h.result.Peer = r
	return nil
}
