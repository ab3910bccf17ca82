package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sremp/sremp/identity"
)

// API is what every face of the messenger uses: the terminal, the desktop,
// scripts through the local socket. [*Client] implements it, and so does the
// remote end of a running client's socket (package client/rpc).
//
// Every method is safe for concurrent use. Errors are matched with errors.Is
// against the sentinels of this package, also when they came over the socket.
type API interface {
	// WhoAmI describes the profile's owner.
	WhoAmI(ctx context.Context) (Me, error)
	// Invite makes an invite and stores it; it can be used by one person.
	Invite(ctx context.Context, o InviteOptions) (Invite, error)
	// Add joins by an invite's URI or words. It returns once the contact and its first
	// message are stored; delivery goes on in the background.
	Add(ctx context.Context, uri, nick string) (Contact, error)
	// Contacts lists all contacts, in the order of their names.
	Contacts(ctx context.Context) ([]Contact, error)
	// Send stores a text in the outbox and returns it in state Queued.
	Send(ctx context.Context, to identity.PeerID, text string) (Message, error)
	// History returns messages of one conversation, oldest first.
	History(ctx context.Context, with identity.PeerID, q HistoryQuery) ([]Message, error)
	People
	Writing
	Keeping
	Nearby
	Managing
	Filing
	Directory
	// Path returns the path to a contact now.
	Path(ctx context.Context, to identity.PeerID) (Path, error)
	// AddServer makes the profile use a server from now on.
	AddServer(ctx context.Context, addr identity.ServerAddr) error
	// RemoveServer leaves a server: contacts are told of it no longer, and mail
	// that still comes there is fetched for 30 days. A server that was left
	// already is forgotten at once. Only the key of addr counts.
	// [ErrUnknownServer].
	RemoveServer(ctx context.Context, addr identity.ServerAddr) error
	// Servers lists the servers in use.
	Servers(ctx context.Context) ([]Server, error)
	// Subscribe delivers events until ctx is done, then closes the channel. A
	// subscriber that does not keep up misses no event: it slows nobody down,
	// its queue grows to 4096 events, and past that the channel is closed early.
	Subscribe(ctx context.Context) (<-chan Event, error)
}

// A MessageID is random and names one message for ever (spec §4.2).
type MessageID [16]byte

// String returns 32 hexadecimal digits.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *MessageID) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	if err != nil || len(v) != len(id) {
		return fmt.Errorf("client: %q is not a message id", b)
	}
	copy(id[:], v)
	return nil
}

// A DeliveryState is a step of the delivery ladder. It never goes back.
type DeliveryState uint8

// The steps, in order (spec §8.4).
const (
	Queued    DeliveryState = iota // stored here
	Held                           // a relay signed that it holds it
	Delivered                      // the peer acknowledged it, end to end
	Read                           // the peer says that it was read
)

var deliveryNames = [...]string{"queued", "held", "delivered", "read"}

// String returns queued, held, delivered or read.
func (s DeliveryState) String() string { return deliveryNames[s] }

// MarshalText implements [encoding.TextMarshaler].
func (s DeliveryState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *DeliveryState) UnmarshalText(b []byte) error {
	for i, n := range deliveryNames {
		if n == string(b) {
			*s = DeliveryState(i)
			return nil
		}
	}
	return fmt.Errorf("client: unknown delivery state %q", b)
}

// A PathKind is how a contact is reached.
type PathKind uint8

// The kinds of path.
const (
	PathNone    PathKind = iota // not reachable now
	PathDirect                  // packets go straight to the peer
	PathRelay                   // packets go through a relay's forwarding
	PathMailbox                 // the peer is away; its relay keeps the mail
)

var pathNames = [...]string{"none", "direct", "relay", "mailbox"}

// String returns none, direct, relay or mailbox.
func (k PathKind) String() string { return pathNames[k] }

// MarshalText implements [encoding.TextMarshaler].
func (k PathKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *PathKind) UnmarshalText(b []byte) error {
	for i, n := range pathNames {
		if n == string(b) {
			*k = PathKind(i)
			return nil
		}
	}
	return fmt.Errorf("client: unknown path kind %q", b)
}

// A Path is how a contact is reached now, and why.
type Path struct {
	Contact identity.PeerID `json:"contact"`
	Kind    PathKind        `json:"path"`
	Remote  string          `json:"remote"` // address in use: the peer's or the relay's; empty if none
	RTT     time.Duration   `json:"rtt"`    // 0 if not known
	Reason  string          `json:"reason"` // one plain sentence part, e.g. "the peer is away"
	Why     Why             `json:"why"`    // the same in a word
	Sent    uint64          `json:"sent"`   // packets to the contact lately; only [API.Path] counts them
	Lost    uint64          `json:"lost"`   // of those
	Since   time.Time       `json:"since"`
}

// Me describes the profile's owner.
type Me struct {
	ID      identity.PeerID `json:"id"`
	Name    string          `json:"name"`
	Picture string          `json:"picture,omitempty"` // as a [Contact]'s
	Created time.Time       `json:"created"`
	Servers []Server        `json:"servers"`
}

// A Server is one that the profile uses.
type Server struct {
	Address   identity.ServerAddr `json:"address"`
	Connected bool                `json:"connected"`
	Problem   string              `json:"problem,omitempty"` // empty, or why it is not connected
	Tunnel    bool                `json:"tunnel,omitempty"`  // it is reached over WebSocket: UDP is blocked here
	Left      time.Time           `json:"left,omitzero"`     // when it was left; only its mail is fetched since
}

// TrustState of a contact (spec §2.6).
type TrustState uint8

// The trust states.
const (
	TrustUnknown TrustState = iota
	Trusted
	Rejected
)

var trustNames = [...]string{"unknown", "trusted", "rejected"}

// String returns unknown, trusted or rejected.
func (s TrustState) String() string { return trustNames[s] }

// MarshalText implements [encoding.TextMarshaler].
func (s TrustState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *TrustState) UnmarshalText(b []byte) error {
	for i, n := range trustNames {
		if n == string(b) {
			*s = TrustState(i)
			return nil
		}
	}
	return fmt.Errorf("client: unknown trust state %q", b)
}

// A Contact is a person we can write to.
type Contact struct {
	ID        identity.PeerID `json:"id"`
	Name      string          `json:"name"` // chosen by the contact; empty until its record arrived
	Nick      string          `json:"nick"` // chosen by us, may be empty
	Trust     TrustState      `json:"trust"`
	FirstSeen time.Time       `json:"first_seen"`
	LastSeen  time.Time       `json:"last_seen"`
	Unread    int             `json:"unread"`
	Mentions  int             `json:"mentions,omitempty"` // unread ones that name us
	Path      Path            `json:"path"`
	LastText  string          `json:"last_text,omitempty"` // of the newest message, for lists
	LastAt    time.Time       `json:"last_at"`

	Self        bool          `json:"self,omitempty"`         // ourselves: notes
	Verified    time.Time     `json:"verified,omitzero"`      // when its words were compared
	KeysChanged time.Time     `json:"keys_changed,omitzero"`  // when its identity record last changed
	Draft       string        `json:"draft,omitempty"`        // text not sent yet
	Timer       time.Duration `json:"timer,omitempty"`        // new messages disappear after it; 0: never
	Pinned      bool          `json:"pinned,omitempty"`       // first in lists
	Muted       bool          `json:"muted,omitempty"`        // no notifications
	Archived    bool          `json:"archived,omitempty"`     // not in lists
	ShareRead   bool          `json:"share_read,omitempty"`   // it is told what we have read
	ShareTyping bool          `json:"share_typing,omitempty"` // and that we write
	RelayOnly   bool          `json:"relay_only,omitempty"`   // it is given no address of ours
	FormerName  string        `json:"former_name,omitempty"`  // what it called itself before it changed that
	Successor   string        `json:"successor,omitempty"`    // invite of the identity that it says to have now: to be doubted
	Picture     string        `json:"picture,omitempty"`      // names its picture: another has another name; see [People.Picture]
}

// Label returns the name to show: the nick, else the name, else a short id.
func (c Contact) Label() string {
	switch {
	case c.Nick != "":
		return c.Nick
	case c.Name != "":
		return c.Name
	}
	return c.ID.Short()
}

// A Message is one message of a conversation.
type Message struct {
	ID         MessageID       `json:"id"`
	Contact    identity.PeerID `json:"contact"`
	From       identity.PeerID `json:"from"`
	Mine       bool            `json:"mine"`
	Text       string          `json:"text"`
	SentAt     time.Time       `json:"sent_at"`           // by the sender's clock
	ReceivedAt time.Time       `json:"received_at"`       // by ours; zero for our own
	State      DeliveryState   `json:"state"`             // of our own messages
	Seq        int64           `json:"seq"`               // position in the conversation, ascending
	Missing    int             `json:"missing,omitempty"` // messages of its sender before it that have not arrived
	ReplyTo    MessageID       `json:"reply_to,omitzero"` // the message that it answers
	Quote      string          `json:"quote,omitempty"`   // the beginning of that one, while it exists
	EditedAt   time.Time       `json:"edited_at,omitzero"`
	ExpiresAt  time.Time       `json:"expires_at,omitzero"`   // when it disappears here
	MyReaction string          `json:"my_reaction,omitempty"` // ours to it
	Reaction   string          `json:"reaction,omitempty"`    // the contact's to it
	Mention    bool            `json:"mention,omitempty"`     // it names us
	File       *File           `json:"file,omitempty"`        // of a message that is a file; Text is its name
}

// HistoryQuery selects messages of a conversation. The zero value selects the
// newest 100.
type HistoryQuery struct {
	Before  int64 // only messages with Seq below it; 0 for no bound
	Limit   int   // 0 means 100
	Forward bool  // the first ones with Seq above After, instead of the newest
	After   int64
}

// InviteOptions describe an invite to make. Zero fields mean the defaults.
type InviteOptions struct {
	TTL time.Duration // 0 means 7 days
	// Ask makes who uses it a request until SetTrust: for an invite that many
	// can read. A request learns nothing, not even that its messages arrived.
	Ask bool
	// Words also leaves the invite with our relays, so that 8 words find it for
	// whoever uses one of them. [ErrNoRelay] if none could be given it.
	Words bool
}

// An Invite is what another person needs to become a contact.
type Invite struct {
	URI     string    `json:"uri"`
	Words   string    `json:"words,omitempty"` // the same in 8 words, if that was asked for
	Expires time.Time `json:"expires"`
}

// An Event is one of [MessageEvent], [ChangeEvent], [RemovalEvent],
// [DeliveryEvent], [FileEvent], [TypingEvent], [PathEvent], [ContactEvent], [ContactGoneEvent], [ServerEvent],
// [NotificationEvent], [WithdrawEvent], [SettingsEvent] and [LockEvent].
type Event interface{ event() }

// A MessageEvent reports a message that was received or sent.
type MessageEvent struct{ Message Message }

// A DeliveryEvent reports a step of one of our messages.
type DeliveryEvent struct {
	ID      MessageID       `json:"id"`
	Contact identity.PeerID `json:"contact"`
	State   DeliveryState   `json:"state"`
}

// A PathEvent reports that the path to a contact changed.
type PathEvent struct{ Path Path }

// A ContactEvent reports that a contact was added or changed.
type ContactEvent struct{ Contact Contact }

// A ServerEvent reports that a server connected or disconnected.
type ServerEvent struct{ Server Server }

func (MessageEvent) event()  {}
func (DeliveryEvent) event() {}
func (PathEvent) event()     {}
func (ContactEvent) event()  {}
func (ServerEvent) event()   {}
