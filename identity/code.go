package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrBadCode: the words of an invite are not complete or not in order.
var ErrBadCode = errors.New("these are not the 8 words of an invite; check each word and their order")

// The words of an invite (spec §2.13). They lead to what the inviter left with a
// relay, and open it: 80 random bits behind a slow hash, so that the relay, which
// may guess for as long as the invite lies there, finds nothing.
const (
	contextCode   = "SREMP v1 invite words"
	codeBytes     = 10
	codeWords     = 8
	codeTime      = 3
	codeMemoryKiB = 64 << 10
	codeThreads   = 1
)

// An InviteCode is the secret that 8 words say. It never prints.
type InviteCode struct{ get func() [codeBytes]byte }

// NewInviteCode makes one.
func NewInviteCode() InviteCode {
	var b [codeBytes]byte
	rand.Read(b[:]) // never fails, see crypto/rand.Read
	return InviteCode{func() [codeBytes]byte { return b }}
}

// Words returns the code as 8 words, the last 8 bits being a checksum.
func (c InviteCode) Words() string {
	b := c.get()
	sum := sha256.Sum256(append([]byte(contextCode), b[:]...))
	return strings.Join(toWords(append(b[:], sum[0]), codeWords), " ")
}

// ParseInviteCode is the inverse of Words, as forgiving as [ParseKit]. It returns
// [ErrBadCode].
func ParseInviteCode(s string) (InviteCode, error) {
	bits, ok := fromWords(s, codeWords)
	if !ok {
		return InviteCode{}, ErrBadCode
	}
	b := [codeBytes]byte(bits)
	if sum := sha256.Sum256(append([]byte(contextCode), b[:]...)); sum[0] != bits[codeBytes] {
		return InviteCode{}, ErrBadCode
	}
	return InviteCode{func() [codeBytes]byte { return b }}, nil
}

// Keys returns the relay's inbox in which the invite lies, the knock that a relay
// asks for, and the key that seals it. It takes some tenths of a second.
func (c InviteCode) Keys() (inbox, knock, seal [32]byte) {
	b := c.get()
	k := argon2.IDKey(b[:], []byte(contextCode), codeTime, codeMemoryKiB, codeThreads, 96)
	return [32]byte(k), [32]byte(k[32:]), [32]byte(k[64:])
}

// Format implements [fmt.Formatter] for every verb.
func (c InviteCode) Format(w fmt.State, _ rune) { io.WriteString(w, "code(redacted)") }
