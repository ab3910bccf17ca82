package client

import (
	"context"
	"time"

	"github.com/sremp/sremp/identity"
)

// Managing is the part of [API] about the profile as a whole.
type Managing interface {
	// SetName changes the name that others see; they learn it by a new record.
	SetName(ctx context.Context, name string) (Me, error)
	// SetPicture makes a small picture of the middle of an image file, and shows it
	// to all accepted contacts. The path is of the client's computer: make it
	// absolute; an empty one takes the picture away. [ErrNoFile], [ErrBadPicture].
	SetPicture(ctx context.Context, path string) (Me, error)
	// RotateKeys replaces the X25519 keys now; the old ones answer for 30 days.
	RotateKeys(ctx context.Context) error
	// Settings returns what is set for this profile.
	Settings(ctx context.Context) (Settings, error)
	// SetSettings checks and stores s. It returns a [*SettingError] for a value
	// that cannot be, and changes nothing then.
	SetSettings(ctx context.Context, s Settings) error
	// MarkRead marks a conversation as read here, or with unread as not looked at.
	MarkRead(ctx context.Context, with identity.PeerID, unread bool) error
	// DeleteContact removes a contact with everything that is known of it. It is
	// not told; if it comes again, it is a stranger.
	DeleteContact(ctx context.Context, id identity.PeerID) error
	// DeleteAllHistory removes the messages of all conversations here.
	DeleteAllHistory(ctx context.Context) error
	// Erase takes the identity off its servers, as far as they can be reached,
	// destroys the keys and the database, and closes the client. Only a backup
	// with the recovery kit brings it back.
	Erase(ctx context.Context) error
	// Introduce tells a contact, in the name of this identity, that its owner
	// has another one from now on, which made the invite: what to do when the
	// key was stolen and the recovery kit is lost. The contact decides.
	Introduce(ctx context.Context, to identity.PeerID, uri string) error
	// Keys says who can open this profile.
	Keys(ctx context.Context) (Keys, error)
	// UseKeyring lets the desktop's keyring open the profile, or no longer. Off
	// needs a passphrase to be set, else it returns [ErrNoHolder].
	UseKeyring(ctx context.Context, on bool) error
}

// Keys say who can open a profile besides its recovery kit.
type Keys struct {
	Passphrase bool `json:"passphrase"` // there is one; it may be empty
	Keyring    bool `json:"keyring"`    // the desktop's keyring
	KitHere    bool `json:"kit_here"`   // the kit's words are still on this computer: write them down
	// CopySeen is when another live copy of the profile was noticed last.
	CopySeen time.Time `json:"copy_seen,omitzero"`
	// LeftBehind is when a contact said that the identity was restored elsewhere:
	// contacts take nothing from this copy any more.
	LeftBehind time.Time `json:"left_behind,omitzero"`
}

// Locking is what a client that can be locked offers besides [API]; while it is
// locked, every other method returns [ErrLocked].
type Locking interface {
	// Lock forgets all keys and ends all connections.
	Lock(ctx context.Context) error
	// Unlock opens the profile again. [ErrWrongPassphrase] and the others of Open.
	Unlock(ctx context.Context, u Unlock) error
	// Locked reports whether the profile is locked.
	Locked(ctx context.Context) (bool, error)
}

// An Unlock says with what. The zero value asks the keyring.
type Unlock struct {
	Passphrase *string `json:"passphrase,omitempty"`
	Kit        string  `json:"kit,omitempty"` // the 24 words
}

// String keeps what is in it out of logs.
func (u Unlock) String() string { return "unlock(redacted)" }

// GoString is String.
func (u Unlock) GoString() string { return u.String() }

// A LockEvent reports that the profile was locked or unlocked. Subscriptions go
// on over it.
type LockEvent struct {
	Locked bool `json:"locked"`
}

// A ContactGoneEvent reports that a contact was deleted.
type ContactGoneEvent struct {
	Contact identity.PeerID `json:"contact"`
}

// A SettingsEvent reports that settings changed.
type SettingsEvent struct{ Settings Settings }

// A NotificationKind says what a notification is about.
type NotificationKind string

// The kinds of notifications.
const (
	NotifyMessage   NotificationKind = "message"
	NotifyMention   NotificationKind = "mention"   // a message that names us
	NotifyReaction  NotificationKind = "reaction"  // to a message of ours
	NotifyRequest   NotificationKind = "request"   // a stranger knocks: once, and without its words
	NotifyKeys      NotificationKind = "keys"      // a contact's keys, or what it says of them, changed
	NotifySuccessor NotificationKind = "successor" // a contact says that it has a new identity
	NotifyCopy      NotificationKind = "copy"      // another copy of this profile is in use, or has replaced it
	NotifyServer    NotificationKind = "server"    // something about a server that its owner must know
)

// A NotificationEvent asks faces to notify their user, unless it sees that
// conversation already. Title and Body say no more than the settings allow:
// they hold no ids and, unless that is wanted, no text.
type NotificationEvent struct {
	Kind    NotificationKind `json:"kind"`
	Title   string           `json:"title"`
	Body    string           `json:"body,omitempty"`
	Contact identity.PeerID  `json:"contact,omitzero"` // the conversation to open; not to be shown
	Message MessageID        `json:"message,omitzero"` // what it is about, to withdraw it with that
}

// A WithdrawEvent says that notifications have no more reason: the conversation
// was read, or these messages are gone. No ids: all of that contact.
type WithdrawEvent struct {
	Contact identity.PeerID `json:"contact"`
	IDs     []MessageID     `json:"ids,omitempty"`
}

func (LockEvent) event()         {}
func (SettingsEvent) event()     {}
func (NotificationEvent) event() {}
func (WithdrawEvent) event()     {}
func (ContactGoneEvent) event()  {}
