package ratchet

import (
	"errors"
	"fmt"
)

// Errors of this package, matched with errors.Is.
var (
	// ErrDecrypt is the one answer to a message that cannot be read, whatever
	// the reason (spec §4.3.5).
	ErrDecrypt = errors.New("ratchet: message cannot be decrypted")
	// ErrDuplicate: the message was decrypted before.
	ErrDuplicate = errors.New("ratchet: message was decrypted before")
	// ErrReused: another message was decrypted under this one's number, or the same
	// one longer ago than is remembered. Where the program has no record of the
	// message, the remote device went back to an old copy of its state: begin anew
	// with [Peer.Renew] (spec §4.4.3). It is an ErrDuplicate.
	ErrReused = fmt.Errorf("%w, or its number was used", ErrDuplicate)
	// ErrNoPrekey: an initial message names prekeys that are used up or destroyed;
	// its sender must begin again with a new bundle. It is an ErrDecrypt.
	ErrNoPrekey = fmt.Errorf("%w: its prekeys are gone", ErrDecrypt)
	// ErrWrongPeer: an initial message of another identity or device than the
	// one the state belongs to. It is an ErrDecrypt.
	ErrWrongPeer = fmt.Errorf("%w: it is somebody else's", ErrDecrypt)
	// ErrBundle: a prekey bundle or one-time prekey that must not be used.
	ErrBundle = errors.New("ratchet: prekey bundle refused")
	// ErrExpired: a prekey bundle past its expiry; fetch a newer one. It is an ErrBundle.
	ErrExpired = fmt.Errorf("%w: expired", ErrBundle)
	// ErrState: bytes that are no state of this package.
	ErrState = errors.New("ratchet: stored state is damaged")
	// ErrExhausted: a chain has sent all the messages it may; a reply is needed.
	ErrExhausted = errors.New("ratchet: too many messages without an answer")
	// ErrTooLarge: a plaintext beyond MaxPlaintext.
	ErrTooLarge = errors.New("ratchet: plaintext too large")
)
