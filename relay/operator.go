package relay

import (
	"context"
	"crypto/sha256"
	"time"
)

// An Admission says whether an owner who is not registered may become so.
type Admission struct {
	Open      bool     // everybody may
	TokenHash [32]byte // AdmissionHash of the token shown; zero: none
	Limit     int      // owners that a relay may have
}

// AdmissionHash is what a relay keeps of an admission token.
func AdmissionHash(token []byte) [32]byte {
	return sha256.Sum256(append([]byte("SREMP v1 admission token"), token...))
}

// An AdmissionToken admits owners until it is used up, expired or revoked.
type AdmissionToken struct {
	Hash    [32]byte // AdmissionHash; its first bytes name it towards Revoke
	Note    string   // the operator's own words
	Uses    int      // left
	Created time.Time
	Expires time.Time // s
}

// Totals are what a [Store] holds of everybody together. They name nobody.
type Totals struct {
	Owners  int   `json:"owners"` // registered
	Inboxes int   `json:"inboxes"`
	Mail    int   `json:"mail"`  // blobs
	Bytes   int64 `json:"bytes"` // of the blobs
}

// An OwnerUse is what a [Store] holds of one owner.
type OwnerUse struct {
	Key     [32]byte
	Seen    time.Time // the day of the last visit, UTC
	Inboxes int
	Mail    int   // blobs
	Bytes   int64 // of the blobs
}

// An Operator is what the operator of a relay does with its [Store], beside the
// running server.
type Operator interface {
	// AddToken stores a token; one of the same hash is replaced.
	AddToken(ctx context.Context, t AdmissionToken) error
	// Tokens returns all tokens, the used and the expired too, the oldest first.
	Tokens(ctx context.Context) ([]AdmissionToken, error)
	// RevokeToken deletes the token of this hash and reports whether there was
	// one. Who was admitted with it stays.
	RevokeToken(ctx context.Context, hash [32]byte) (bool, error)
	// Block deletes an owner or an inbox with all its mail, and takes none of
	// that name until Unblock.
	Block(ctx context.Context, key [32]byte, now time.Time) error
	// Unblock reports whether the name was blocked.
	Unblock(ctx context.Context, key [32]byte) (bool, error)
	// Totals counts what is stored of everybody.
	Totals(ctx context.Context) (Totals, error)
	// Owners returns those who hold most bytes, at most n, the fullest first.
	Owners(ctx context.Context, n int) ([]OwnerUse, error)
	// Blocked returns all blocked names.
	Blocked(ctx context.Context) ([][32]byte, error)
	// Knows calls f with every row in which an owner or an inbox occurs: the
	// table's name, and columns with their values, which are int64, string,
	// []byte or nil.
	Knows(ctx context.Context, key [32]byte, f func(table string, columns []string, values []any) error) error
}
