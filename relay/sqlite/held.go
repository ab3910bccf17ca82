package sqlite

import (
	"github.com/sremp/sremp/relay"
)

// maxHeld bounds what is kept in memory of inboxes, and of owners: 30 MiB each.
// Beyond it one is forgotten for each new one.
const maxHeld = 1 << 17

// seqStep is how many numbers of an owner's mail are set aside with one write.
// After what the memory held was lost, restartSeqs are left out: at most so many
// can have been seen by readers in commits that a failure of the power undid.
const (
	seqStep     = 64
	restartSeqs = 1024
)

// held is what the writer keeps in memory of the inboxes that get mail. The
// database is the truth: all of it can be forgotten at any time, and is, when a
// transaction was rolled back or another process has written.
type held struct {
	inboxes map[[32]byte]*inboxRow
	byID    map[int64]*inboxRow
	owners  map[int64]*ownerRow
}

// An inboxRow is an inbox with what is in it.
type inboxRow struct {
	name      [32]byte
	id, owner int64 // row ids
	knock     bool
	tokenHash [32]byte
	work      uint8
	blobs     int
	bytes     int64
}

// An ownerRow is an owner with what is in all inboxes.
type ownerRow struct {
	id       int64
	key      [32]byte
	blobs    int
	bytes    int64
	next     int64 // number of the next blob
	reserved int64 // numbers below are set aside in the database
}

func (h *held) forget() {
	h.inboxes, h.byID, h.owners = map[[32]byte]*inboxRow{}, map[int64]*inboxRow{}, map[int64]*ownerRow{}
}

// inbox returns an inbox, nil if there is none of that name.
func (t *tx) inbox(name [32]byte) (*inboxRow, error) {
	if x := t.held.inboxes[name]; x != nil {
		return x, nil
	}
	x := &inboxRow{name: name}
	var hash []byte
	found, err := t.Get(`SELECT id, owner, knock, token_hash, work,
		(SELECT count(*) FROM mail WHERE inbox = inboxes.id), (SELECT coalesce(sum(size), 0) FROM mail WHERE inbox = inboxes.id)
		FROM inboxes WHERE name = ?`, []any{name[:]}, &x.id, &x.owner, &x.knock, &hash, &x.work, &x.blobs, &x.bytes)
	if err != nil || !found {
		return nil, err
	}
	copy(x.tokenHash[:], hash)
	if len(t.held.inboxes) >= maxHeld {
		for _, any := range t.held.inboxes {
			t.held.drop(any)
			break
		}
	}
	t.held.inboxes[name], t.held.byID[x.id] = x, x
	return x, nil
}

func (h *held) drop(x *inboxRow) {
	delete(h.inboxes, x.name)
	delete(h.byID, x.id)
}

// unhold lets an owner be counted anew.
func (h *held) unhold(owner int64) { delete(h.owners, owner) }

// owner returns the owner of a row that refers to it.
func (t *tx) owner(id int64) (*ownerRow, error) {
	if o := t.held.owners[id]; o != nil {
		return o, nil
	}
	o := &ownerRow{id: id}
	var key []byte
	if _, err := t.Get(`SELECT key, next_seq, (SELECT count(*) FROM mail WHERE owner = owners.id),
		(SELECT coalesce(sum(size), 0) FROM mail WHERE owner = owners.id)
		FROM owners WHERE id = ?`, []any{id}, &key, &o.reserved, &o.blobs, &o.bytes); err != nil {
		return nil, err
	}
	copy(o.key[:], key)
	if o.next = o.reserved; o.next > 1 {
		o.next += restartSeqs
	}
	if len(t.held.owners) >= maxHeld {
		for any := range t.held.owners {
			delete(t.held.owners, any)
			break
		}
	}
	t.held.owners[id] = o
	return o, nil
}

// number returns the number of an owner's next blob.
func (t *tx) number(o *ownerRow) (int64, error) {
	if o.next >= o.reserved {
		o.reserved = o.next + seqStep
		if _, err := t.Exec("UPDATE owners SET next_seq = ? WHERE id = ?", o.reserved, o.id); err != nil {
			return 0, err
		}
	}
	o.next++
	return o.next - 1, nil
}

// gone notes that a blob was deleted.
func (h *held) gone(owner, inbox int64, size int64) {
	if o := h.owners[owner]; o != nil {
		o.blobs--
		o.bytes -= size
	}
	if x := h.byID[inbox]; x != nil {
		x.blobs--
		x.bytes -= size
	}
}

// state is what the decision about a delivery needs.
func (x *inboxRow) state(o *ownerRow) relay.InboxState {
	return relay.InboxState{
		Found: true, Knock: x.knock, TokenHash: x.tokenHash, Work: x.work,
		InboxBlobs: x.blobs, InboxBytes: x.bytes, OwnerBlobs: o.blobs, OwnerBytes: o.bytes,
	}
}
