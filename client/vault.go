package client

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"runtime/debug"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// Contexts of data at rest (spec §8.7).
const (
	contextDatabaseKey = "SREMP v1 database key"
	contextRowKey      = "SREMP v1 row key"
	contextRow         = "SREMP v1 row"
	contextTagKey      = "SREMP v1 row tag key"
)

// A vault seals rows on their way into a store and opens them on their way out.
type vault struct {
	store Store
	aead  cipher.AEAD
	tags  sync.Pool     // of hash.Hash: HMACs under the tags' key
	key   func() []byte // the database key: a func does not print
}

// openVault unwraps the database key.
func openVault(ctx context.Context, cfg Config) (*vault, error) {
	header, err := cfg.Store.Header(ctx)
	switch {
	case err != nil:
		return nil, err
	case header == nil:
		return nil, ErrNoProfile
	}
	key, err := openHolders(header, cfg.Passphrase, cfg.Kit, cfg.KeyringKey)
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // Argon2id took 64 MiB, which nobody needs again
	v := newVault(cfg.Store, key)
	return v, v.holdByKit(ctx, header)
}

func newVault(s Store, key []byte) *vault {
	rowKey, err := hkdf.Key(sha256.New, key, nil, contextRowKey, chacha20poly1305.KeySize)
	if err != nil {
		panic(err)
	}
	aead, err := chacha20poly1305.NewX(rowKey)
	if err != nil {
		panic(err)
	}
	tagKey, err := hkdf.Key(sha256.New, key, nil, contextTagKey, sha256.Size)
	if err != nil {
		panic(err)
	}
	v := &vault{store: s, aead: aead, key: func() []byte { return key }}
	v.tags.New = func() any { return hmac.New(sha256.New, tagKey) }
	return v
}

// tag returns by what a message of a contact is found.
func (v *vault) tag(owner int64, id MessageID) int64 {
	h := v.tags.Get().(hash.Hash) // to begin one hashes the key twice
	defer v.tags.Put(h)
	h.Reset()
	b := make([]byte, 0, sha256.Size)
	h.Write(append(binary.BigEndian.AppendUint64(b, uint64(owner)), id[:]...))
	return int64(binary.BigEndian.Uint64(h.Sum(b))>>1 | 1)
}

// placeLen is room for a place.
const placeLen = len(contextRow) + 1 + 8 + 8 + 1

// place is the associated data of a row: a row moved elsewhere, or whose state
// was changed, does not open. State 0 is not said, as before it was part of this.
func place(t Table, owner, seq int64, state uint8) []byte {
	return appendPlace(make([]byte, 0, placeLen), t, owner, seq, state)
}

func appendPlace(b []byte, t Table, owner, seq int64, state uint8) []byte {
	b = append(b, contextRow...)
	b = append(b, byte(t))
	b = binary.BigEndian.AppendUint64(b, uint64(owner))
	if b = binary.BigEndian.AppendUint64(b, uint64(seq)); state != 0 {
		b = append(b, state)
	}
	return b
}

// newBody returns what a row's body of n bytes is appended to for sealInto.
func newBody(n int) []byte {
	return make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+n+chacha20poly1305.Overhead)
}

// sealInto seals a body that was appended to newBody where it stands, and returns
// nonce(24) and the sealed body.
func (v *vault) sealInto(t Table, owner, seq int64, state uint8, b []byte) []byte {
	nonce, body := b[:chacha20poly1305.NonceSizeX], b[chacha20poly1305.NonceSizeX:]
	rand.Read(nonce)
	var ad [placeLen]byte
	return v.aead.Seal(nonce, nonce, body, appendPlace(ad[:0], t, owner, seq, state))
}

func (v *vault) open(t Table, r Row) ([]byte, error) {
	n := chacha20poly1305.NonceSizeX
	if len(r.Body) < n {
		return nil, ErrDamaged
	}
	body, err := v.aead.Open(nil, r.Body[:n], r.Body[n:], place(t, r.Owner, r.Seq, r.State))
	if err != nil {
		return nil, ErrDamaged
	}
	return body, nil
}

// put returns the change that writes a row.
func (v *vault) put(t Table, owner, seq int64, state uint8, body []byte) Change {
	return v.putInto(t, owner, seq, state, append(newBody(len(body)), body...))
}

// putInto is put of a body that was appended to newBody, and is no more afterwards.
func (v *vault) putInto(t Table, owner, seq int64, state uint8, b []byte) Change {
	return Change{Kind: Put, Table: t, Row: Row{Owner: owner, Seq: seq, State: state, Body: v.sealInto(t, owner, seq, state, b)}}
}

// putJSON is put of a structure that this program alone reads.
func (v *vault) putJSON(t Table, owner, seq int64, x any) Change {
	b, err := json.Marshal(x)
	if err != nil {
		panic(fmt.Sprintf("client: row of table %d does not encode: %v", t, err))
	}
	return v.put(t, owner, seq, 0, b)
}

// bindStates seals the rows of an older version, whose state anybody could change
// who has the file, with their state. It runs once.
func (v *vault) bindStates(ctx context.Context) error {
	var p profile
	if ok, err := v.rowJSON(ctx, TableSettings, 0, settingProfile, &p); err != nil || !ok || p.StatesBound {
		return err
	}
	contacts, err := v.rows(ctx, Query{Table: TableContacts})
	if err != nil {
		return err
	}
	p.StatesBound = true
	changes := []Change{v.putJSON(TableSettings, 0, settingProfile, p)}
	for _, c := range contacts {
		rows, err := v.store.Rows(ctx, Query{Table: TableOutbox, Owner: c.Seq})
		if err != nil {
			return err
		}
		for _, r := range rows {
			state := r.State
			r.State = 0
			body, err := v.open(TableOutbox, r)
			if err != nil {
				return err
			}
			changes = append(changes, v.put(TableOutbox, r.Owner, r.Seq, state, body))
		}
	}
	return v.store.Apply(ctx, changes)
}

// rows returns what q selects, opened.
func (v *vault) rows(ctx context.Context, q Query) ([]Row, error) {
	rows, err := v.store.Rows(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Body, err = v.open(q.Table, rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// row returns one row's body, nil if it does not exist.
func (v *vault) row(ctx context.Context, t Table, owner, seq int64) ([]byte, error) {
	rows, err := v.rows(ctx, Query{Table: t, Owner: owner, From: seq, Below: seq + 1})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].Body, nil
}

// rowJSON reads one row into x and reports whether it exists.
func (v *vault) rowJSON(ctx context.Context, t Table, owner, seq int64, x any) (bool, error) {
	b, err := v.row(ctx, t, owner, seq)
	if err != nil || b == nil {
		return false, err
	}
	if err := json.Unmarshal(b, x); err != nil {
		return false, fmt.Errorf("%w (table %d: %w)", ErrDamaged, t, err)
	}
	return true, nil
}
