package rpc

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A method decodes its parameters and runs. Its types are what docs/rpc.schema.json
// is made of.
type method struct {
	doc            string
	params, result reflect.Type // result is nil if there is none
	run            func(ctx context.Context, api client.API, raw json.RawMessage) (any, *wireError, error)
}

func takes[P, R any](doc string, f func(context.Context, client.API, P) (R, error)) method {
	return method{
		doc: doc, params: reflect.TypeFor[P](), result: reflect.TypeFor[R](),
		run: func(ctx context.Context, api client.API, raw json.RawMessage) (any, *wireError, error) {
			var p P
			if werr := params(message{Params: raw}, &p); werr != nil {
				return nil, werr, nil
			}
			r, err := f(ctx, api, p)
			return r, nil, err
		},
	}
}

// does is takes for methods without a result.
func does[P any](doc string, f func(context.Context, client.API, P) error) method {
	m := takes(doc, func(ctx context.Context, api client.API, p P) (any, error) { return nil, f(ctx, api, p) })
	m.result = nil
	return m
}

// locks is does for what only a client that can be locked offers.
func locks[P, R any](doc string, f func(context.Context, client.Locking, P) (R, error)) method {
	return takes(doc, func(ctx context.Context, api client.API, p P) (r R, err error) {
		l, ok := api.(client.Locking)
		if !ok {
			return r, errNoLocking
		}
		return f(ctx, l, p)
	})
}

// Parameters of the methods. Those with a name of the API's parameter have it.
type (
	none     struct{}
	toParams struct {
		To identity.PeerID `json:"to"`
	}

	inviteParams struct {
		TTLMillis int64 `json:"ttl_ms,omitempty"`
		Ask       bool  `json:"ask,omitempty"`
		Words     bool  `json:"words,omitempty"`
	}
	addParams struct {
		URI  string `json:"uri"`
		Nick string `json:"nick,omitempty"`
	}
	sendParams struct {
		To   identity.PeerID `json:"to"`
		Text string          `json:"text"`
	}
	historyParams struct {
		With    identity.PeerID `json:"with"`
		Before  int64           `json:"before,omitempty"`
		Limit   int             `json:"limit,omitempty"`
		Forward bool            `json:"forward,omitempty"`
		After   int64           `json:"after,omitempty"`
	}
	addServerParams struct {
		Address identity.ServerAddr `json:"address"`
	}
	discoverParams struct {
		From string `json:"from,omitempty"`
	}
	trustParams struct {
		Contact identity.PeerID   `json:"contact"`
		Trust   client.TrustState `json:"trust"`
	}
	contactParams struct {
		Contact identity.PeerID `json:"contact"`
	}
	ofParams struct {
		Of identity.PeerID `json:"of"`
	}
	proofParams struct {
		Contact identity.PeerID `json:"contact"`
		Proof   string          `json:"proof"`
	}
	settingsParams struct {
		Contact  identity.PeerID        `json:"contact"`
		Settings client.ContactSettings `json:"settings"`
	}
	draftParams struct {
		Contact identity.PeerID `json:"contact"`
		Draft   client.Draft    `json:"draft"`
	}
	textParams struct {
		Contact identity.PeerID  `json:"contact"`
		ID      client.MessageID `json:"id"`
		Text    string           `json:"text"`
	}
	deleteParams struct {
		Contact    identity.PeerID    `json:"contact"`
		IDs        []client.MessageID `json:"ids"`
		Everywhere bool               `json:"everywhere,omitempty"`
	}
	visibleParams struct {
		On bool `json:"on"`
	}
	onParams struct {
		Contact identity.PeerID `json:"contact"`
		On      bool            `json:"on"`
	}
	markParams struct {
		With   identity.PeerID `json:"with"`
		Unread bool            `json:"unread,omitempty"`
	}
	sendFileParams struct {
		To   identity.PeerID  `json:"to"`
		File client.FileDraft `json:"file"`
	}
	filesParams struct {
		With identity.PeerID `json:"with,omitzero"` // none: all conversations
	}
	fileParams struct {
		With identity.PeerID  `json:"with"`
		ID   client.MessageID `json:"id"`
	}
	controlFileParams struct {
		With   identity.PeerID   `json:"with"`
		ID     client.MessageID  `json:"id"`
		Action client.FileAction `json:"action"`
	}
	introduceParams struct {
		To  identity.PeerID `json:"to"`
		URI string          `json:"uri"`
	}
	nameParams struct {
		Name string `json:"name"`
	}
	keyringParams struct {
		On bool `json:"on"`
	}
	passphraseParams struct {
		Passphrase []byte `json:"passphrase"` // base64, as all bytes in JSON
	}
	pathParams struct {
		Path string `json:"path"`
	}
)

// methods are all of them but subscribe and unsubscribe.
var methods = map[string]method{
	"who_am_i": takes("Describes the profile's owner.", func(ctx context.Context, api client.API, _ none) (client.Me, error) {
		return api.WhoAmI(ctx)
	}),
	"invite": takes("Makes an invite.", func(ctx context.Context, api client.API, p inviteParams) (client.Invite, error) {
		return api.Invite(ctx, client.InviteOptions{
			TTL: time.Duration(p.TTLMillis) * time.Millisecond, Ask: p.Ask, Words: p.Words,
		})
	}),
	"add": takes("Joins by an invite's URI or words.", func(ctx context.Context, api client.API, p addParams) (client.Contact, error) {
		return api.Add(ctx, p.URI, p.Nick)
	}),
	"contacts": takes("Lists all contacts.", func(ctx context.Context, api client.API, _ none) ([]client.Contact, error) {
		return api.Contacts(ctx)
	}),
	"send": takes("Sends a text.", func(ctx context.Context, api client.API, p sendParams) (client.Message, error) {
		return api.Send(ctx, p.To, p.Text)
	}),
	"history": takes("Returns messages of one conversation, oldest first.",
		func(ctx context.Context, api client.API, p historyParams) ([]client.Message, error) {
			return api.History(ctx, p.With, client.HistoryQuery{
				Before: p.Before, Limit: p.Limit, Forward: p.Forward, After: p.After,
			})
		}),
	"path": takes("Says how a contact is reached now.", func(ctx context.Context, api client.API, p toParams) (client.Path, error) {
		return api.Path(ctx, p.To)
	}),
	"add_server": does("Uses a server from now on.", func(ctx context.Context, api client.API, p addServerParams) error {
		return api.AddServer(ctx, p.Address)
	}),
	"remove_server": does("Leaves a server; its mail is fetched for 30 days. One that was left already is forgotten.",
		func(ctx context.Context, api client.API, p addServerParams) error {
			return api.RemoveServer(ctx, p.Address)
		}),
	"servers": takes("Lists the servers in use.", func(ctx context.Context, api client.API, _ none) ([]client.Server, error) {
		return api.Servers(ctx)
	}),
	"set_trust": does("Accepts a request (trusted), or blocks (rejected).",
		func(ctx context.Context, api client.API, p trustParams) error {
			return api.SetTrust(ctx, p.Contact, p.Trust)
		}),
	"verification": takes("Returns the words to compare with a contact.",
		func(ctx context.Context, api client.API, p contactParams) (client.Verification, error) {
			return api.Verification(ctx, p.Contact)
		}),
	"verify": does("Marks a contact as verified if proof is what the contact sees; with an empty one takes the mark away.",
		func(ctx context.Context, api client.API, p proofParams) error {
			return api.Verify(ctx, p.Contact, p.Proof)
		}),
	"picture": takes("Returns what a contact looks like, or the owner by its own id: a small JPEG.",
		func(ctx context.Context, api client.API, p ofParams) ([]byte, error) {
			return api.Picture(ctx, p.Of)
		}),
	"set_picture": takes("Makes a small picture of an image file, by its absolute path, and shows it to all contacts; an empty path takes it away.",
		func(ctx context.Context, api client.API, p pathParams) (client.Me, error) {
			return api.SetPicture(ctx, p.Path)
		}),
	"set_contact": takes("Changes what is set of a contact: nick, draft, timer, pin, mute, archive and the rest.",
		func(ctx context.Context, api client.API, p settingsParams) (client.Contact, error) {
			return api.SetContact(ctx, p.Contact, p.Settings)
		}),
	"send_draft": takes("Sends a text that answers another, or disappears.",
		func(ctx context.Context, api client.API, p draftParams) (client.Message, error) {
			return api.SendDraft(ctx, p.Contact, p.Draft)
		}),
	"edit": takes("Replaces the text of a message of ours, on both sides.",
		func(ctx context.Context, api client.API, p textParams) (client.Message, error) {
			return api.Edit(ctx, p.Contact, p.ID, p.Text)
		}),
	"react": takes("Sets our reaction to a message; an empty text takes it back.",
		func(ctx context.Context, api client.API, p textParams) (client.Message, error) {
			return api.React(ctx, p.Contact, p.ID, p.Text)
		}),
	"delete": does("Deletes messages here, or messages of ours everywhere.",
		func(ctx context.Context, api client.API, p deleteParams) error {
			return api.Delete(ctx, p.Contact, p.IDs, p.Everywhere)
		}),
	"delete_history": does("Deletes a conversation here.", func(ctx context.Context, api client.API, p contactParams) error {
		return api.DeleteHistory(ctx, p.Contact)
	}),
	"set_typing": does("Tells a contact that we write, if that is shared with it.",
		func(ctx context.Context, api client.API, p onParams) error {
			return api.SetTyping(ctx, p.Contact, p.On)
		}),
	"send_file": takes("Offers a file, by its absolute path; returns when it was read and the offer is in the outbox.",
		func(ctx context.Context, api client.API, p sendFileParams) (client.Message, error) {
			return api.SendFile(ctx, p.To, p.File)
		}),
	"files": takes("Lists the files of a conversation, or of all.",
		func(ctx context.Context, api client.API, p filesParams) ([]client.File, error) {
			return api.Files(ctx, p.With)
		}),
	"control_file": takes("Has a file go on, wait or end: accept, pause, resume, cancel.",
		func(ctx context.Context, api client.API, p controlFileParams) (client.File, error) {
			return api.ControlFile(ctx, p.With, p.ID, p.Action)
		}),
	"file_preview": takes("Returns a small JPEG of an image.",
		func(ctx context.Context, api client.API, p fileParams) ([]byte, error) {
			return api.FilePreview(ctx, p.With, p.ID)
		}),
	"search": takes("Finds messages by a part of their text.",
		func(ctx context.Context, api client.API, q client.SearchQuery) ([]client.Message, error) {
			return api.Search(ctx, q)
		}),
	"browse": takes("Returns a page of the public lists of the profile's servers, as if they were one.",
		func(ctx context.Context, api client.API, q client.BrowseQuery) (client.BrowsePage, error) {
			return api.Browse(ctx, q)
		}),
	"listing": takes("Returns what the servers are to show of the owner on their public lists.",
		func(ctx context.Context, api client.API, _ none) (client.Listing, error) { return api.Listing(ctx) }),
	"set_listing": takes("Puts the owner on the public lists, or takes them off; returns at how many servers that has happened.",
		func(ctx context.Context, api client.API, l client.Listing) (int, error) {
			return api.SetListing(ctx, l)
		}),
	"announced": takes("Returns the servers that the profile's servers announce. That is no reason to use one.",
		func(ctx context.Context, api client.API, _ none) ([]client.AnnouncedServer, error) {
			return api.Announced(ctx)
		}),
	"discover": takes("Returns the servers that this build names, and those that a domain or an invite does. The DNS proves nothing.",
		func(ctx context.Context, api client.API, p discoverParams) ([]identity.ServerAddr, error) {
			return api.Discover(ctx, p.From)
		}),
	"recovery_kit": takes("Returns the 24 words of the recovery kit.",
		func(ctx context.Context, api client.API, _ none) ([]string, error) { return api.RecoveryKit(ctx) }),
	"forget_kit": does("Removes the kit from this computer.",
		func(ctx context.Context, api client.API, _ none) error { return api.ForgetKit(ctx) }),
	"change_passphrase": does("Sets another passphrase.",
		func(ctx context.Context, api client.API, p passphraseParams) error {
			return api.ChangePassphrase(ctx, p.Passphrase)
		}),
	"backup": does("Writes a backup to a new file; the path is absolute.",
		func(ctx context.Context, api client.API, p pathParams) error { return api.Backup(ctx, p.Path) }),
	"set_name": takes("Changes the name that others see.",
		func(ctx context.Context, api client.API, p nameParams) (client.Me, error) {
			return api.SetName(ctx, p.Name)
		}),
	"rotate_keys": does("Replaces the X25519 keys now.",
		func(ctx context.Context, api client.API, _ none) error { return api.RotateKeys(ctx) }),
	"settings": takes("Returns the settings.",
		func(ctx context.Context, api client.API, _ none) (client.Settings, error) { return api.Settings(ctx) }),
	"set_settings": does("Stores the settings, all of them.",
		func(ctx context.Context, api client.API, p client.Settings) error { return api.SetSettings(ctx, p) }),
	"mark_read": does("Marks a conversation as read, or as unread.",
		func(ctx context.Context, api client.API, p markParams) error {
			return api.MarkRead(ctx, p.With, p.Unread)
		}),
	"delete_contact": does("Removes a contact with everything that is known of it.",
		func(ctx context.Context, api client.API, p contactParams) error {
			return api.DeleteContact(ctx, p.Contact)
		}),
	"delete_all_history": does("Deletes all conversations here.",
		func(ctx context.Context, api client.API, _ none) error { return api.DeleteAllHistory(ctx) }),
	"erase": does("Takes the identity off its servers, destroys the keys and the database, and ends the client.",
		func(ctx context.Context, api client.API, _ none) error { return api.Erase(ctx) }),
	"introduce": does("Tells a contact of a new identity of ours, which made the invite.",
		func(ctx context.Context, api client.API, p introduceParams) error {
			return api.Introduce(ctx, p.To, p.URI)
		}),
	"keys": takes("Says who can open this profile.",
		func(ctx context.Context, api client.API, _ none) (client.Keys, error) { return api.Keys(ctx) }),
	"use_keyring": does("Lets the desktop's keyring open the profile, or no longer.",
		func(ctx context.Context, api client.API, p keyringParams) error { return api.UseKeyring(ctx, p.On) }),
	"lock": locks("Forgets all keys and ends all connections.",
		func(ctx context.Context, l client.Locking, _ none) (any, error) { return nil, l.Lock(ctx) }),
	"unlock": locks("Opens the profile again.",
		func(ctx context.Context, l client.Locking, p client.Unlock) (any, error) {
			return nil, l.Unlock(ctx, p)
		}),
	"neighbours": takes("Asks who announces itself on the local network, and waits a second for answers.",
		func(ctx context.Context, api client.API, _ none) ([]client.Neighbour, error) {
			return api.Neighbours(ctx)
		}),
	"set_visible": does("Announces name and an invite to everybody on the local network from now on, or no longer. Who uses the invite is a request.",
		func(ctx context.Context, api client.API, p visibleParams) error { return api.SetVisible(ctx, p.On) }),
	"visible": takes("Says whether set_visible is on.",
		func(ctx context.Context, api client.API, _ none) (bool, error) { return api.Visible(ctx) }),
	"locked": locks("Says whether the profile is locked.",
		func(ctx context.Context, l client.Locking, _ none) (bool, error) { return l.Locked(ctx) }),
}
