package client

import "context"

// A Table names one kind of rows (spec §8.7).
type Table uint8

// The tables. Owner is a contact's number where nothing else is said.
const (
	TableSettings Table = 1 // Owner 0, Seq is one of the setting numbers
	TableContacts Table = 2 // Owner 0, Seq is the contact's number
	TableFlows    Table = 3 // Seq 0: counters and what was acknowledged
	TableSessions Table = 4 // Seq 0: the ratchet's state; 1: ends of the messages that it opened last
	TableMessages Table = 5 // Seq is the position in the conversation
	TableOutbox   Table = 6 // Seq is the counter, State an outbox state
	TableWaiting  Table = 7 // Seq is the counter; received behind a gap
	TableInvites  Table = 8 // Owner 0, Seq is the invite's number
	TableExpiries Table = 9 // Seq is a message's position: when it disappears

	TableFiles    Table = 10 // Seq is the position of the file's message
	TableTrees    Table = 11 // Seq is that position times 2^20 and a group's number: its leaves
	TablePreviews Table = 12 // Seq is that position: a JPEG

	TableSegments Table = 13 // Seq is a batch of 1024 positions: their texts, for the search

	TablePictures Table = 14 // Owner 0 for our own; Seq 0: a JPEG, 1: what came and was not opened yet
)

// A Row is what a store keeps. Body is sealed: a store learns how many contacts
// and messages there are, how long, in what order, and no more.
type Row struct {
	Owner, Seq int64
	Tag        int64 // finds the row, 0 for none; of several with one tag any may be found
	State      uint8
	Body       []byte
}

// A ChangeKind says what a [Change] does.
type ChangeKind uint8

// The kinds of changes.
const (
	Put    ChangeKind = iota // write Row, over the one of the same place if there is one
	Delete                   // remove the rows Seq to Through
)

// A Change is one step of a transaction.
type Change struct {
	Kind  ChangeKind
	Table Table
	Row
	Through int64 // Delete: last Seq, inclusive
}

// A Query selects rows of one table and owner.
type Query struct {
	Table      Table
	Owner      int64
	From       int64 // lowest Seq, inclusive
	Below      int64 // Seq bound, exclusive; 0 for none
	Limit      int   // 0 for none
	Descending bool  // from the highest Seq down
	Tag        int64 // if not 0, only rows with it
}

// A Store keeps the rows of one profile. It is safe for concurrent use; only
// one program at a time may hold it open. Its errors match [ErrDiskFull] and
// [ErrDamaged].
type Store interface {
	// Header returns what SetHeader stored, nil if it never did.
	Header(ctx context.Context) ([]byte, error)
	// SetHeader stores the wrapped database key.
	SetHeader(ctx context.Context, header []byte) error
	// Apply makes the changes, in order, all or none. When it returns nil they
	// survive a power failure.
	Apply(ctx context.Context, changes []Change) error
	// Rows returns the rows that q selects.
	Rows(ctx context.Context, q Query) ([]Row, error)
	// Close releases the store.
	Close() error
}
