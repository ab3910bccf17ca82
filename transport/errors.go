package transport

import "errors"

// Errors of connections. They are matched with errors.Is; what quic-go reports
// never leaves the package unwrapped.
var (
	// ErrClosed: this side closed the endpoint, connection or stream.
	ErrClosed = errors.New("transport: closed")
	// ErrServerKey: the server could not prove the key in its address.
	ErrServerKey = errors.New("transport: the server does not have the key in its address; check the address with the operator")
	// ErrUnreachable: nothing answered.
	ErrUnreachable = errors.New("transport: no answer")
	// ErrAuthentication: the other side failed to prove who it is. It is opaque.
	ErrAuthentication = errors.New("transport: authentication failed")
	// ErrLeftBehind: the other side knows a record of ours with a higher epoch. It comes
	// with ErrAuthentication; who said so has proven itself if the connection stood.
	ErrLeftBehind = errors.New("transport: our identity is on another device now")
	// ErrRefused: the other side authenticated us and declined.
	ErrRefused = errors.New("transport: refused by the other side")
	// ErrLost: the connection was established and its path went silent.
	ErrLost = errors.New("transport: connection lost")
	// ErrRemoteClosed: the other side closed the connection.
	ErrRemoteClosed = errors.New("transport: closed by the other side")
	// ErrFrameTooLarge: a frame is longer than the reader allows.
	ErrFrameTooLarge = errors.New("transport: frame too large")
	// ErrNoIdentity: the endpoint was made without an identity and has no peers.
	ErrNoIdentity = errors.New("transport: this endpoint has no identity")
)
