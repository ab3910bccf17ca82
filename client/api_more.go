package client

import (
	"context"
	"time"

	"github.com/sremp/sremp/identity"
)

// People is the part of [API] about contacts.
type People interface {
	// SetTrust accepts a request, or one that was rejected, with Trusted, and
	// blocks with Rejected: a blocked contact is disconnected, can leave no mail
	// and learns nothing.
	SetTrust(ctx context.Context, id identity.PeerID, t TrustState) error
	// Verification returns what to compare with a contact, best in person.
	Verification(ctx context.Context, id identity.PeerID) (Verification, error)
	// Verify marks a contact as verified if proof is the words or the code that
	// the contact sees, else it returns [ErrNotSame] and changes nothing. An
	// empty proof takes the mark away.
	Verify(ctx context.Context, id identity.PeerID, proof string) error
	// Picture returns what a contact looks like, or with our own id we do: a square
	// JPEG of our own making. [ErrNoPicture] if it shows none, is no contact yet, or
	// is blocked.
	Picture(ctx context.Context, of identity.PeerID) ([]byte, error)
	// SetContact changes what is set in s.
	SetContact(ctx context.Context, id identity.PeerID, s ContactSettings) (Contact, error)
}

// A Verification is the same at both ends, if nobody stands between.
type Verification struct {
	Words    [12]string `json:"words"`
	Code     string     `json:"code"` // for a QR code: both ids, whole
	Verified time.Time  `json:"verified,omitzero"`
}

// ContactSettings are changes to a contact; nil leaves as it is.
type ContactSettings struct {
	Nick        *string        `json:"nick,omitempty"`
	Draft       *string        `json:"draft,omitempty"`
	Timer       *time.Duration `json:"timer,omitempty"` // in whole seconds, at most a year; for both sides
	Pinned      *bool          `json:"pinned,omitempty"`
	Muted       *bool          `json:"muted,omitempty"`
	Archived    *bool          `json:"archived,omitempty"`
	ShareRead   *bool          `json:"share_read,omitempty"`
	ShareTyping *bool          `json:"share_typing,omitempty"`
	RelayOnly   *bool          `json:"relay_only,omitempty"`
}

// Writing is the part of [API] about messages beyond plain texts.
type Writing interface {
	// SendDraft is Send with more to say.
	SendDraft(ctx context.Context, to identity.PeerID, d Draft) (Message, error)
	// Edit replaces the text of a message of ours, on both sides.
	Edit(ctx context.Context, with identity.PeerID, id MessageID, text string) (Message, error)
	// React sets our reaction to a message; an empty one takes it back.
	React(ctx context.Context, with identity.PeerID, id MessageID, emoji string) (Message, error)
	// Delete removes messages here; with everywhere, which takes messages of
	// ours only, at the contact too.
	Delete(ctx context.Context, with identity.PeerID, ids []MessageID, everywhere bool) error
	// DeleteHistory removes a whole conversation here.
	DeleteHistory(ctx context.Context, with identity.PeerID) error
	// SetTyping tells a contact that we write, if that is shared with it.
	SetTyping(ctx context.Context, to identity.PeerID, on bool) error
	// Search finds messages whose text has q.Text in it, newest first in each
	// conversation.
	Search(ctx context.Context, q SearchQuery) ([]Message, error)
}

// A Draft is a message to send.
type Draft struct {
	Text    string        `json:"text"`
	ReplyTo MessageID     `json:"reply_to,omitzero"`
	Timer   time.Duration `json:"timer,omitempty"` // 0: the conversation's; below 0: it stays
}

// A SearchQuery selects messages by their text; case does not matter.
type SearchQuery struct {
	Text  string          `json:"text"`
	With  identity.PeerID `json:"with,omitzero"` // zero: all conversations
	Limit int             `json:"limit,omitempty"`
}

// A ChangeEvent reports that a message was edited or reacted to.
type ChangeEvent struct{ Message Message }

// A RemovalEvent reports that messages are gone; no ids: the whole conversation.
type RemovalEvent struct {
	Contact identity.PeerID `json:"contact"`
	IDs     []MessageID     `json:"ids"`
}

// A TypingEvent reports that a contact writes, or no longer does. There may be
// no second one: it holds for 6 seconds.
type TypingEvent struct {
	Contact identity.PeerID `json:"contact"`
	On      bool            `json:"on"`
}

func (ChangeEvent) event()  {}
func (RemovalEvent) event() {}
func (TypingEvent) event()  {}
