package client

import (
	"context"
	"time"

	"github.com/sremp/sremp/identity"
)

// Directory is the part of [API] about public lists and other servers
// (spec §7.10, §7.12, §7.14). Nobody is on a list who did not ask for it.
type Directory interface {
	// Browse returns a page of the public lists of our servers, as if they were
	// one. They do not learn who searches. [ErrNoServer] if none answers.
	Browse(ctx context.Context, q BrowseQuery) (BrowsePage, error)
	// Listing returns what our servers are to show of us.
	Listing(ctx context.Context) (Listing, error)
	// SetListing puts us on the public lists, or takes us off, and returns at
	// how many servers that has happened: no one of them shows anything else from
	// then on. The others follow when they connect. [ErrNote] for a note or a
	// picture that cannot be.
	SetListing(ctx context.Context, l Listing) (servers int, err error)
	// Announced returns what servers our servers announce, themselves among
	// them. That is no reason to use one: see AddServer.
	Announced(ctx context.Context) ([]AnnouncedServer, error)
	// Discover returns the servers that this build names, and those that a
	// domain (by DNS) or an invite does, if one is given. The DNS proves nothing:
	// show them first, and use one by AddServer.
	Discover(ctx context.Context, from string) ([]identity.ServerAddr, error)
}

// A BrowseQuery selects people of the public lists. The zero value selects all.
type BrowseQuery struct {
	Name     string `json:"name,omitempty"`     // what names begin with; letters that look alike are one
	Anywhere bool   `json:"anywhere,omitempty"` // names that contain it, too
	Limit    int    `json:"limit,omitempty"`    // of a page: 0 means 20, at most 100
	After    []byte `json:"after,omitempty"`    // Next of the page before
}

// A BrowsePage is a part of the lists, by name. Next is empty at the end.
type BrowsePage struct {
	People []ListedPerson `json:"people"`
	Next   []byte         `json:"next,omitempty"`
}

// A ListedPerson is what somebody tells everybody. The name, note and picture
// are signed by the id; that somebody is online is a server's word.
type ListedPerson struct {
	ID      identity.PeerID `json:"id"`
	Name    string          `json:"name"`
	Note    string          `json:"note,omitempty"`
	Picture []byte          `json:"picture,omitempty"` // PNG or JPEG, at most 512 by 512
	Online  bool            `json:"online"`
	Seen    time.Time       `json:"seen"`
	Suspect bool            `json:"suspect,omitempty"` // the name looks like another's, or mixes alphabets: show the id
}

// A Listing is what our servers are to show of us to everybody.
type Listing struct {
	Listed  bool   `json:"listed"`
	Note    string `json:"note,omitempty"`    // one line of at most 512 bytes
	Picture []byte `json:"picture,omitempty"` // PNG or JPEG of at most 4096 bytes, 512 by 512
}

// An AnnouncedServer is a server's own, signed word on where it is.
type AnnouncedServer struct {
	Address identity.ServerAddr `json:"address"`
	Expires time.Time           `json:"expires"`
	Used    bool                `json:"used"` // by this profile
}
