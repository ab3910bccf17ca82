package client

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// A secret is 32 bytes that never print: a func prints as an address even where
// fmt cannot call a method, in unexported fields. The zero value is no secret.
type secret struct{ get func() [32]byte }

func newSecret(b [32]byte) secret { return secret{func() [32]byte { return b }} }

func randomSecret() secret {
	var b [32]byte
	rand.Read(b[:]) // never fails, see crypto/rand.Read
	return newSecret(b)
}

// bytes returns the secret; zero if it is none.
func (s secret) bytes() [32]byte {
	if s.get == nil {
		return [32]byte{}
	}
	return s.get()
}

func (s secret) isZero() bool { return s.get == nil }

// Format implements [fmt.Formatter] for every verb.
func (s secret) Format(w fmt.State, _ rune) { io.WriteString(w, "secret(redacted)") }

// LogValue implements [slog.LogValuer].
func (s secret) LogValue() slog.Value { return slog.StringValue("secret(redacted)") }

// MarshalText is for sealed rows only.
func (s secret) MarshalText() ([]byte, error) {
	if s.get == nil {
		return nil, nil
	}
	b := s.get()
	return hex.AppendEncode(nil, b[:]), nil
}

// UnmarshalText is the inverse of MarshalText.
func (s *secret) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = secret{}
		return nil
	}
	var b [32]byte
	if n, err := hex.Decode(b[:], text[:min(len(text), 64)]); err != nil || n != 32 || len(text) != 64 {
		return ErrDamaged
	}
	*s = newSecret(b)
	return nil
}

// A hidden is a byte string that never prints, as a secret.
type hidden struct{ get func() []byte }

func newHidden(b []byte) hidden { return hidden{func() []byte { return b }} }

// bytes returns the string; nil if there is none. It is shared, not a copy.
func (h hidden) bytes() []byte {
	if h.get == nil {
		return nil
	}
	return h.get()
}

// Format implements [fmt.Formatter] for every verb.
func (h hidden) Format(w fmt.State, _ rune) { io.WriteString(w, "hidden(redacted)") }

// LogValue implements [slog.LogValuer].
func (h hidden) LogValue() slog.Value { return slog.StringValue("hidden(redacted)") }

// MarshalText is for sealed rows only.
func (h hidden) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h.bytes()), nil }

// UnmarshalText is the inverse of MarshalText.
func (h *hidden) UnmarshalText(text []byte) error {
	b := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(b, text); err != nil {
		return ErrDamaged
	}
	*h = newHidden(b)
	return nil
}
