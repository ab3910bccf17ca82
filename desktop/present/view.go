package present

import (
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// A Stage is one of the window's pages.
type Stage uint8

// The stages.
const (
	Starting Stage = iota // nothing is known yet
	Welcome               // no profile: asks for a name
	Locked                // asks for the passphrase
	Main                  // contacts and conversation
)

// A View is all there is to draw.
type View struct {
	Stage         Stage
	Busy          bool   // Welcome, Locked: an answer is being worked on
	Problem       string // Welcome, Locked: why the last answer was not accepted
	AskPassphrase bool   // Welcome: a passphrase can be chosen, too
	Warned        bool   // Welcome: going on without one was warned of
	KeyringOpens  bool   // Locked: no answer is needed

	Dark     Darkness
	TextSize int // percent of the system's

	Me       string    // own name
	Network  string    // one line about the servers
	Contacts []Contact // of the list that Filter names
	Filter   Filter
	Requests int // how many wait
	Archived int // how many there are
	Search   Search
	Chat     Chat
	Dialog   Dialog
	Toast    Toast
	Offers   []Offer // what to do first, as long as no conversation is open
}

// An Offer is a step that one may take, or not.
type Offer uint8

// The offers.
const (
	InviteOffer Offer = iota
	AddOffer
	ServerOffer // there is none yet
	KitOffer    // its words are still on this computer
)

// Darkness says which colours a person wants.
type Darkness uint8

// The choices.
const (
	AsSystem Darkness = iota
	Light
	Dark
)

// A Contact is a row of the contact list.
type Contact struct {
	ID       identity.PeerID
	Label    string
	Initials string
	Colour   int
	Picture  *Picture // instead of the initials; nil: there is none
	Last     string   // newest text, in one line
	When     string
	Unread   int
	Mentions int // unread ones that name us
	Badge    Badge
	Selected bool
	Verified bool
	Pinned   bool
	Muted    bool
	Self     bool // note to self
	Draft    bool // Last is a text that was not sent
	Typing   bool
}

// A Filter chooses what the contact list shows.
type Filter uint8

// The filters.
const (
	Inbox    Filter = iota // everybody but the others' lists
	Requests               // strangers who knocked
	Archive                // conversations that were put away
)

// A Search is what the search over all conversations found.
type Search struct {
	Open  bool
	Query string
	Busy  bool
	Hits  []Hit
}

// A Hit is one message that was found; Before, Match and After make up the part
// of its text that is shown.
type Hit struct {
	Key                  string // names it for OpenHit
	Label                string // the conversation
	Initials             string
	Colour               int
	Picture              *Picture
	Author               string
	When                 string
	Before, Match, After string
}

// Spoken is the hit's name for a screen reader.
func (h Hit) Spoken() string {
	return h.Label + ", " + h.When + ", " + h.Author + ": " + h.Before + h.Match + h.After
}

// Spoken is the row's name for a screen reader.
func (c Contact) Spoken() string {
	s := c.Label + ", " + c.Badge.Text
	for _, x := range []struct {
		on   bool
		word string
	}{{c.Verified, tr.T("verified")}, {c.Pinned, tr.T("pinned")}, {c.Muted, tr.T("muted")}, {c.Typing, tr.T("writes")}} {
		if x.on {
			s += ", " + x.word
		}
	}
	if c.Unread > 0 {
		s += ", " + tr.N("%d unread message", "%d unread messages", c.Unread, c.Unread)
	}
	if c.Last != "" {
		s += ", " + c.When + ": " + c.Last
	}
	return s
}

// A Chat is the open conversation; Open is false if none is.
type Chat struct {
	Open     bool
	ID       identity.PeerID
	Label    string
	Initials string
	Colour   int
	Picture  *Picture
	Badge    Badge
	Rows     []Row
	Loading  bool // the first messages are on their way
	Earlier  bool // there are earlier messages to load
	Later    bool // there are later ones: a hit of a search was jumped to
	Draft    string
	Drafts   int // changes when Draft is to replace what stands in the entry

	Self     bool
	Verified bool
	Request  bool   // a stranger: Accept or Block, nothing else
	Blocked  bool   // by us
	Notice   string // what the person must know of this contact, empty for nothing
	Typing   bool
	Compose  Compose
	Timer    string // "1 day" after which messages disappear, empty: never
	Settings ChatSettings
	Jump     string // key of the row to scroll to
	Jumps    int    // changes when Jump is to be scrolled to
}

// ChatSettings are switches of one conversation.
type ChatSettings struct {
	Pinned, Muted, Archived           bool
	ShareRead, ShareTyping, RelayOnly bool
}

// A ComposeMode says what the entry's text becomes.
type ComposeMode uint8

// The modes.
const (
	ComposeNew ComposeMode = iota
	ComposeReply
	ComposeEdit
)

// A Compose is what stands over the entry: the message that is answered or
// edited.
type Compose struct {
	Mode   ComposeMode
	Author string
	Text   string
}

// A RowKind tells what a row of a conversation is.
type RowKind uint8

// The kinds of rows.
const (
	DayRow RowKind = iota // a heading
	MessageRow
	NoticeRow // a remark between the messages
)

// A Row is one line of a conversation. Rows are comparable: one that is equal
// needs no drawing.
type Row struct {
	Key    string // names the row for as long as the conversation is open
	Kind   RowKind
	Text   string // of the message, or the heading
	Author string
	Mine   bool
	First  bool // of a group: messages of one author in one go
	Last   bool
	Time   string
	Date   string // whole, for a tooltip
	Tick   Tick   // of a message of ours
	Failed bool   // not stored; can be tried again

	Quote       string // the beginning of the message that it answers
	QuoteAuthor string
	Edited      bool
	Expires     string // when it disappears, in words; empty: never
	Reaction    string // ours to it
	Reacted     string // the contact's to it
	File        FileView
	Found       bool // it is what was searched for
}

// Spoken is the row's name for a screen reader.
func (r Row) Spoken() string {
	if r.Kind != MessageRow {
		return r.Text
	}
	s := r.Author + ", " + r.Time + ": "
	if r.Quote != "" {
		s += tr.T("answers %s, %s: ", r.QuoteAuthor, r.Quote)
	}
	s += r.Text
	if r.File.Name != "" {
		s += ", " + tr.T("file, %s", r.File.Detail)
	}
	if r.Edited {
		s += ", " + tr.T("edited")
	}
	if r.Reaction != "" {
		s += ", " + tr.T("your reaction %s", r.Reaction)
	}
	if r.Reacted != "" {
		s += ", " + tr.T("reaction %s", r.Reacted)
	}
	if r.Mine {
		s += " (" + r.Tick.Tip + ")"
	}
	return s
}

// A DialogKind is one of the dialogs over the window.
type DialogKind uint8

// The dialogs.
const (
	NoDialog DialogKind = iota
	InviteDialog
	VerifyDialog
	RenameDialog

	// Those that are made of Fields.
	SettingsDialog
	AddDialog
	ServersDialog
	ConnectionDialog
	RestoreDialog // while there is no profile
	KitDialog
)

// firstForm is the first dialog of fields.
const firstForm = SettingsDialog

// A Dialog is what stands over the main window.
type Dialog struct {
	Kind    DialogKind
	Busy    bool
	Problem string
	Link    string // InviteDialog: the invite, empty while Busy
	QR      *QR    // InviteDialog
	// InviteDialog: the same in words, if that was asked for.
	InviteWords string
	Asks        bool     // InviteDialog: who uses it is a request
	Expires     string   // InviteDialog: in words
	Servers     []Server // ServersDialog

	Name     string // of the contact that it is about
	Initials string // with Colour and Picture as a Contact's; empty: it is about nobody
	Colour   int
	Picture  *Picture
	Words    [12]string // VerifyDialog: to compare; empty while Busy
	Verified string     // VerifyDialog: since when, in words; empty if it is not
	Nick     string     // RenameDialog: the name here, empty if it is the contact's own
	Lines    []Fact     // ConnectionDialog

	Title  string // of a dialog of fields, and its pages
	Focus  string // the field that gets the keyboard; empty: the first
	Tabs   []string
	Tab    int
	Fields []Field
}

// A Fact is a line of the connection page.
type Fact struct{ What, Text string }

// A Server is a row of the list of servers.
type Server struct {
	Address   string
	Connected bool
	Status    string
}

// A Toast is a short notice. The zero Toast is none.
type Toast struct {
	Seq  int // differs from toast to toast
	Text string
	Undo bool // what it says can be taken back
}
