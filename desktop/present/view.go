package present

import "github.com/sremp/sremp/identity"

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

	Me       string // own name
	Network  string // one line about the servers
	Contacts []Contact
	Chat     Chat
	Dialog   Dialog
	Toast    Toast
}

// A Contact is a row of the contact list.
type Contact struct {
	ID       identity.PeerID
	Label    string
	Initials string
	Colour   int
	Last     string // newest text, in one line
	When     string
	Unread   int
	Badge    Badge
	Selected bool
}

// Spoken is the row's name for a screen reader.
func (c Contact) Spoken() string {
	s := c.Label + ", " + c.Badge.Text
	if c.Unread > 0 {
		s += ", " + plural(c.Unread, "unread message")
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
	Badge    Badge
	Rows     []Row
	Loading  bool // the first messages are on their way
	Earlier  bool // there are earlier messages to load
	Draft    string
	Drafts   int // changes when Draft is to replace what stands in the entry
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
}

// Spoken is the row's name for a screen reader.
func (r Row) Spoken() string {
	if r.Kind != MessageRow {
		return r.Text
	}
	s := r.Author + ", " + r.Time + ": " + r.Text
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
	AddDialog
	ServersDialog
)

// A Dialog is what stands over the main window.
type Dialog struct {
	Kind    DialogKind
	Busy    bool
	Problem string
	Link    string   // InviteDialog: the invite, empty while Busy
	QR      *QR      // InviteDialog
	Expires string   // InviteDialog: in words
	Servers []Server // ServersDialog
	Clears  int      // changes when an answer was accepted and the fields are to be emptied
}

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
}
