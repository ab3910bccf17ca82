package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/wire"
)

// contextConversation is hashed with the two sorted ids (spec §8.1).
const contextConversation = "SREMP v1 conversation"

// A contactInfo is what changes rarely about a contact. It is one sealed row.
type contactInfo struct {
	ID        identity.PeerID `json:"id"`
	Nick      string          `json:"nick"`
	Name      string          `json:"name"` // of the record, or of the invite before there is one
	Trust     TrustState      `json:"trust"`
	Record    []byte          `json:"record"`
	FirstSeen time.Time       `json:"first_seen"`

	// First contact. Joined is the invite that we used, Invited the number of
	// ours that the contact used, 0 if it was the other way.
	Joined  hidden `json:"joined"`
	Invited int64  `json:"invited"`
	PSK     secret `json:"psk"`

	// What the contact is told about us, in cards.
	Inbox    secret `json:"inbox"`
	Token    secret `json:"token"`
	Intro    secret `json:"intro"`
	Hello    secret `json:"hello"`
	CardSent uint64 `json:"card_sent"` // version of the last card put into the outbox

	// What the contact told us: its newest card, encoded.
	Card hidden `json:"card"`
	// KnockKey and where the contact's first messages go, until its card is here.
	KnockKey []byte `json:"knock_key"`
	LastAddr string `json:"last_addr"` // of the last direct connection
	Serial   uint64 `json:"serial"`    // of the newest prekey bundle seen

	Verified    time.Time     `json:"verified,omitzero"`
	KeysChanged time.Time     `json:"keys_changed,omitzero"`
	Draft       string        `json:"draft,omitempty"`
	Timer       time.Duration `json:"timer,omitempty"`
	TimerBy     payloadPlace  `json:"timer_by,omitzero"` // of the contact that set it last
	Pinned      bool          `json:"pinned,omitempty"`
	Muted       bool          `json:"muted,omitempty"`
	Archived    bool          `json:"archived,omitempty"`
	ShareRead   bool          `json:"share_read,omitempty"`
	ShareTyping bool          `json:"share_typing,omitempty"`
	RelayOnly   bool          `json:"relay_only,omitempty"`
	FormerName  string        `json:"former_name,omitempty"`
	Successor   hidden        `json:"successor,omitzero"`

	Picture     pictureState `json:"picture,omitzero"`
	PictureSent uint64       `json:"picture_sent,omitempty"` // version of ours that was put into the outbox last
}

// A flow is what changes with every message. It is one sealed row, written at
// most once in a transaction.
type flow struct {
	NextOut uint64     `json:"next_out"` // counter of our next message
	Acked   counterSet `json:"acked"`    // of ours: they are not sent again
	// Theirs is what the contact said that it has of ours, if that is less than Acked:
	// it went back, or we gave what waited other numbers.
	Theirs      *counterSet `json:"theirs,omitempty"`
	AckedSum    digest      `json:"acked_sum,omitzero"` // of what the contact has; zero: not known
	ReadThrough uint64      `json:"read"`               // of ours, by the contact
	// Of ours through ReadThrough, those that the contact did not have when it
	// read: ascending.
	ReadPast []wire.Range `json:"read_past,omitempty"`

	InEpoch uint32     `json:"in_epoch"`
	In      counterSet `json:"in"` // received
	InSum   digest     `json:"in_sum,omitzero"`
	Shown   uint64     `json:"shown"` // every message received below it is in the conversation
	AckDue  bool       `json:"ack_due"`

	ReadTold uint64      `json:"read_told,omitempty"` // how far the contact was told that we have read
	Deleted  []MessageID `json:"deleted,omitempty"`   // by the contact before they came

	Gaps []shownGap `json:"gaps,omitempty"` // in what was shown

	Rewrite bool `json:"rewrite,omitempty"` // the outbox is encrypted for a session that is over

	NextSeq  int64     `json:"next_seq"`
	Unread   int       `json:"unread"`
	Mentions int       `json:"mentions,omitempty"`
	Knocked  bool      `json:"knocked,omitempty"` // as a stranger, and we were notified of it
	LastText string    `json:"last_text"`
	LastAt   time.Time `json:"last_at"`
	LastSeen time.Time `json:"last_seen"`
}

func newFlow() flow {
	return flow{NextOut: 1, Acked: counterSet{Next: 1}, In: counterSet{Next: 1}, Shown: 1, NextSeq: 1}
}

// A contact is one person and the conversation with it. The core owns it.
type contact struct {
	num     int64
	self    bool // ourselves
	info    contactInfo
	flow    flow
	session *ratchet.Peer // nil before the first
	seen    repeats
	record  *identity.Record
	card    *wire.Card // nil before the first

	cardEpoch uint32 // of the record in it

	found *rendezvous.Content // its record at a rendezvous, the newest of this run

	conversation [32]byte
	waiting      map[uint64]waitingMessage // received behind a gap
	early        map[uint64]waitingMessage // about messages that have not come
	waitingSince time.Time                 // of the oldest of them
	ackSince     time.Time                 // since when an acknowledgement is due; zero: send it now
	ackCount     int                       // messages that it is due for

	expiries   map[int64]time.Time // of messages that disappear, by position
	nextExpiry time.Time
	askAt      time.Time // when what is missing is asked for again
	askWait    time.Duration
	files      map[int64]*file // whose transfer is not over, by position of the message
	readDue    bool            // a read mark is to be sent
	typing     bool            // what the contact was told last, and when
	typingAt   time.Time

	unindexed unindexed

	dirtyInfo, dirtyFlow, dirtySession, dirtySeen bool

	activeAt time.Time     // when something went on last
	tickAt   time.Time     // when time-outs are looked at next, if something is outstanding
	tickWait time.Duration // between two such looks
	away     time.Time     // since when it is looked for in vain; zero: it is not
	pokeAt   time.Time     // when it is looked for again

	pictureSent   time.Time // when our picture was last put into the outbox
	pictureOpened time.Time // when one of the contact's was last decoded

	renewal renewal
	link    *link // newest connection, nil if there is none
	path    Path
	sending sending
	refused bool // what a relay gave as its prekeys is not its own, and nothing else came since
}

func (c *contact) setInfo(k *core)    { c.dirtyInfo = true; k.touched[c] = true }
func (c *contact) setFlow(k *core)    { c.dirtyFlow = true; k.touched[c] = true }
func (c *contact) setSession(k *core) { c.dirtySession = true; k.touched[c] = true }

// conversationOf names the conversation of two people.
func conversationOf(a, b identity.PeerID) [32]byte {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return sha256.Sum256(bytes.Join([][]byte{[]byte(contextConversation), a[:], b[:]}, nil))
}

// newContact returns a contact that is not stored yet.
func (k *core) newContact(id identity.PeerID, name string) *contact {
	k.profile.LastContact++
	k.dirtyProfile = true
	defaults := k.c.settings.Load().Contacts
	c := &contact{
		num: k.profile.LastContact, flow: newFlow(), conversation: conversationOf(k.local.PeerID(), id),
		waiting: map[uint64]waitingMessage{}, early: map[uint64]waitingMessage{}, files: map[int64]*file{},
		info: contactInfo{
			ID: id, Name: name, Trust: Trusted, FirstSeen: k.now(),
			ShareRead: defaults.ShareRead, ShareTyping: defaults.ShareTyping, RelayOnly: defaults.RelayOnly,
			Inbox: randomSecret(), Token: randomSecret(), Intro: randomSecret(), Hello: randomSecret(),
		},
	}
	c.path = Path{Contact: id, Kind: PathNone, Reason: textUntried, Why: WhyUntried, Since: k.now()}
	k.contacts[id] = c
	c.setInfo(k)
	c.setFlow(k)
	return c
}

// loadContact reads what belongs to a contacts row.
func loadContact(ctx context.Context, v *vault, me identity.PeerID, row Row) (*contact, error) {
	c := &contact{num: row.Seq, waiting: map[uint64]waitingMessage{}, early: map[uint64]waitingMessage{}}
	if err := c.loadExpiries(ctx, v); err != nil {
		return nil, err
	}
	if err := c.loadFiles(ctx, v); err != nil {
		return nil, err
	}
	damaged := func(err error) (*contact, error) {
		return nil, fmt.Errorf("%w (contact %d: %w)", ErrDamaged, c.num, err)
	}
	if err := json.Unmarshal(row.Body, &c.info); err != nil {
		return damaged(err)
	}
	c.conversation, c.self = conversationOf(me, c.info.ID), c.info.ID == me
	if ok, err := v.rowJSON(ctx, TableFlows, c.num, 0, &c.flow); err != nil {
		return nil, err
	} else if !ok {
		c.flow = newFlow()
	}
	state, err := v.row(ctx, TableSessions, c.num, 0)
	if err != nil {
		return nil, err
	}
	if state != nil {
		// A state that this version cannot read is a session lost, not a profile:
		// the next connection makes another (heal).
		if c.session, err = ratchet.ParsePeer(state); err != nil {
			c.session = nil
		}
	}
	seen, err := v.row(ctx, TableSessions, c.num, seqRepeats)
	if err != nil {
		return nil, err
	}
	if c.seen, err = parseRepeats(seen); err != nil {
		return damaged(err)
	}
	if len(c.info.Record) > 0 {
		if c.record, err = identity.ParseRecord(c.info.Record); err != nil {
			return damaged(err)
		}
	}
	if b := c.info.Card.bytes(); len(b) > 0 {
		card, err := wire.ParseCard(b)
		if err != nil {
			return damaged(err)
		}
		c.card, c.cardEpoch = &card, cardEpoch(&card)
	}
	waiting, err := v.rows(ctx, Query{Table: TableWaiting, Owner: c.num})
	if err != nil {
		return nil, err
	}
	for _, r := range waiting {
		m, err := parseWaiting(r.Body)
		if err != nil {
			return damaged(err)
		}
		if uint64(r.Seq) < c.flow.Shown {
			c.early[uint64(r.Seq)] = m
			continue
		}
		c.waiting[uint64(r.Seq)] = m
		c.waitingSince = m.received
	}
	last, err := v.rows(ctx, Query{Table: TableOutbox, Owner: c.num, From: 1, Limit: 1, Descending: true})
	if err != nil {
		return nil, err
	}
	c.sending.plain = len(last) > 0 && last[0].State == outPlain
	c.path = Path{Contact: c.info.ID, Kind: PathNone, Reason: textUntried, Why: WhyUntried}
	return c, nil
}

// contact returns the one with this id.
func (k *core) contact(id identity.PeerID) (*contact, error) {
	c, ok := k.contacts[id]
	if !ok {
		return nil, ErrUnknownContact
	}
	return c, nil
}

// view is what faces see of a contact.
func (c *contact) view() Contact {
	return Contact{
		ID: c.info.ID, Name: c.info.Name, Nick: c.info.Nick, Trust: c.info.Trust,
		FirstSeen: c.info.FirstSeen, LastSeen: c.flow.LastSeen, Unread: c.flow.Unread,
		Path: c.path, LastText: c.flow.LastText, LastAt: c.flow.LastAt,
		Self: c.self, Verified: c.info.Verified, KeysChanged: c.info.KeysChanged, Draft: c.info.Draft,
		Timer: c.info.Timer, Pinned: c.info.Pinned, Muted: c.info.Muted, Archived: c.info.Archived,
		ShareRead: c.info.ShareRead, ShareTyping: c.info.ShareTyping, RelayOnly: c.info.RelayOnly,
		Mentions: c.flow.Mentions, FormerName: c.info.FormerName, Successor: string(c.info.Successor.bytes()),
		Picture: c.shownPicture(),
	}
}

// Contacts implements [API].
func (c *Client) Contacts(ctx context.Context) ([]Contact, error) {
	var out []Contact
	err := c.do(ctx, func(k *core) error {
		for _, p := range k.contacts {
			out = append(out, p.view())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b Contact) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Label()), strings.ToLower(b.Label())), a.ID.Compare(b.ID))
	})
	return out, nil
}

// Path implements [API].
func (c *Client) Path(ctx context.Context, to identity.PeerID) (p Path, err error) {
	err = c.do(ctx, func(k *core) error {
		c, err := k.contact(to)
		if err == nil {
			p = k.lookAt(c)
		}
		return err
	})
	return p, err
}

// setPath changes the path shown, and says so if it is another.
func (k *core) setPath(c *contact, p Path) {
	p.Contact = c.info.ID
	if p.Kind == c.path.Kind && p.Remote == c.path.Remote && p.Reason == c.path.Reason {
		c.path.RTT = p.RTT
		return
	}
	p.Since = c.path.Since
	if p.Kind != c.path.Kind || p.Since.IsZero() {
		p.Since = k.now()
	}
	c.path = p
	k.emit(PathEvent{Path: p})
}
