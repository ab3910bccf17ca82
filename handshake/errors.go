package handshake

import "errors"

// Errors of handshakes. Each is final for the connection.
var (
	// ErrHandshake says that a message is not what an honest peer would send on
	// this connection: wrong key, changed, replayed, malformed, out of turn.
	ErrHandshake = errors.New("handshake: failed")
	// ErrNeedXX says that IK's first message is not for a Noise key of ours: the
	// peer has an old record. Close, and let the next dial use XX.
	ErrNeedXX = errors.New("handshake: the peer does not know the current key; XX is needed")
	// ErrWrongPeer says that the other side is sound, but not who was expected,
	// or with a record that may not follow the known one.
	ErrWrongPeer = errors.New("handshake: not the expected peer")
	// ErrConfig says that a Config lacks what its pattern needs.
	ErrConfig = errors.New("handshake: incomplete configuration")
)
