package client

import "github.com/sremp/sremp/transport"

// A Why is the reason of a path in one word, for programs (spec §5.4.8, docs/cli.md):
// one of [transport.Reason.Code], or of the words below. Empty: nothing to say.
type Why string

// Words for contacts that are not connected.
const (
	WhyAway       Why = "away"      // a rendezvous says so
	WhyNoAnswer   Why = "no-answer" // it was asked for and did not answer
	WhyNoWay      Why = "no-way"    // nothing is known that leads to it
	WhyLost       Why = "lost"      // the connection was lost just now
	WhyConnecting Why = "connecting"
	WhyUntried    Why = "untried"     // the client has just started
	WhyNoRelay    Why = "no-relay"    // it is relay-only, and no relay of ours is there
	WhyInviteUsed Why = "invite-used" // somebody else has used the invite
	WhyUnverified Why = "unverified"  // a server, or somebody in the contact's place, could not prove a key
	WhyBlocked    Why = "blocked"     // by us
	WhyMailbox    Why = "mailbox"     // its mailbox takes no mail of ours
	WhyFailed     Why = "failed"      // anything else
)

// Texts of paths that [plain] does not give.
const (
	textUntried    = "not tried yet"
	textBlocked    = "blocked"
	textConnecting = "trying to connect"
	textLost       = "the connection was lost; trying again"
	textRefused    = "could not verify the contact's keys, not sent"
)

var whys = map[string]Why{
	"the peer is away":                WhyAway,
	"the peer does not answer":        WhyNoAnswer,
	"no way to the peer is known yet": WhyNoWay,
	textLost:                          WhyLost,
	textUntried:                       WhyUntried,
	textConnecting:                    WhyConnecting,
	"no relay of yours is there to hide your address": WhyNoRelay,
	ErrInviteUsed.Error():                             WhyInviteUsed,
	"could not verify the server, not used":           WhyUnverified,
	"could not verify the peer, not connected":        WhyUnverified,
	textRefused:                          WhyUnverified,
	textBlocked:                          WhyBlocked,
	"the mailbox is full":                WhyMailbox,
	"the mailbox does not take our mail": WhyMailbox,
	"the peer cannot be reached now":     WhyFailed,
}

// whyOf returns the word for a reason without a connection.
func whyOf(reason string) Why {
	if w, ok := whys[reason]; ok {
		return w
	}
	return WhyFailed
}

// Settled reports whether w says what keeps a connection on the relay: no direct
// path is looked for any more, or none can be found.
func (w Why) Settled() bool {
	for r := transport.ReasonNone; r <= transport.ReasonUnanswered; r++ {
		if r.Code() == string(w) {
			return r.Settled()
		}
	}
	return false
}

// lookAt returns the path of a contact as it is at this moment.
func (k *core) lookAt(c *contact) Path {
	p := c.path
	if c.link == nil {
		return p
	}
	now := c.link.conn.Path()
	if (now.Kind == transport.PathDirect) != (p.Kind == PathDirect) {
		return p // an event is on its way
	}
	p.RTT, p.Sent, p.Lost = now.RTT, now.Loss.Sent, now.Loss.Lost
	return p
}
