package rpc

import (
	"context"
	"encoding/json"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// contactParams are the parameters of the methods about one contact; each uses
// the fields that it needs.
type contactParams struct {
	Contact    identity.PeerID         `json:"contact"`
	Trust      *client.TrustState      `json:"trust,omitempty"`
	Proof      string                  `json:"proof,omitempty"`
	Settings   *client.ContactSettings `json:"settings,omitempty"`
	Draft      *client.Draft           `json:"draft,omitempty"`
	ID         client.MessageID        `json:"id,omitzero"`
	IDs        []client.MessageID      `json:"ids,omitempty"`
	Text       string                  `json:"text,omitempty"`
	Everywhere bool                    `json:"everywhere,omitempty"`
	On         bool                    `json:"on,omitempty"`
}

// keepingParams are those of the methods about keys and backups.
type keepingParams struct {
	Passphrase []byte `json:"passphrase,omitempty"` // base64, as all bytes in JSON
	Path       string `json:"path,omitempty"`
}

// A method decodes its parameters and runs.
type method func(ctx context.Context, api client.API, raw json.RawMessage) (any, *wireError, error)

func takes[P, R any](f func(context.Context, client.API, P) (R, error)) method {
	return func(ctx context.Context, api client.API, raw json.RawMessage) (any, *wireError, error) {
		var p P
		if werr := params(message{Params: raw}, &p); werr != nil {
			return nil, werr, nil
		}
		r, err := f(ctx, api, p)
		return r, nil, err
	}
}

// does is takes for methods without a result.
func does[P any](f func(context.Context, client.API, P) error) method {
	return takes(func(ctx context.Context, api client.API, p P) (any, error) { return nil, f(ctx, api, p) })
}

// methods beyond those of session.call.
var methods = map[string]method{
	"set_trust": does(func(ctx context.Context, api client.API, p contactParams) error {
		if p.Trust == nil {
			return client.ErrUnknownContact
		}
		return api.SetTrust(ctx, p.Contact, *p.Trust)
	}),
	"verification": takes(func(ctx context.Context, api client.API, p contactParams) (client.Verification, error) {
		return api.Verification(ctx, p.Contact)
	}),
	"verify": does(func(ctx context.Context, api client.API, p contactParams) error {
		return api.Verify(ctx, p.Contact, p.Proof)
	}),
	"set_contact": takes(func(ctx context.Context, api client.API, p contactParams) (client.Contact, error) {
		var s client.ContactSettings
		if p.Settings != nil {
			s = *p.Settings
		}
		return api.SetContact(ctx, p.Contact, s)
	}),
	"send_draft": takes(func(ctx context.Context, api client.API, p contactParams) (client.Message, error) {
		var d client.Draft
		if p.Draft != nil {
			d = *p.Draft
		}
		return api.SendDraft(ctx, p.Contact, d)
	}),
	"edit": takes(func(ctx context.Context, api client.API, p contactParams) (client.Message, error) {
		return api.Edit(ctx, p.Contact, p.ID, p.Text)
	}),
	"react": takes(func(ctx context.Context, api client.API, p contactParams) (client.Message, error) {
		return api.React(ctx, p.Contact, p.ID, p.Text)
	}),
	"delete": does(func(ctx context.Context, api client.API, p contactParams) error {
		return api.Delete(ctx, p.Contact, p.IDs, p.Everywhere)
	}),
	"delete_history": does(func(ctx context.Context, api client.API, p contactParams) error {
		return api.DeleteHistory(ctx, p.Contact)
	}),
	"set_typing": does(func(ctx context.Context, api client.API, p contactParams) error {
		return api.SetTyping(ctx, p.Contact, p.On)
	}),
	"recovery_kit": takes(func(ctx context.Context, api client.API, _ keepingParams) ([]string, error) {
		return api.RecoveryKit(ctx)
	}),
	"forget_kit": does(func(ctx context.Context, api client.API, _ keepingParams) error { return api.ForgetKit(ctx) }),
	"change_passphrase": does(func(ctx context.Context, api client.API, p keepingParams) error {
		return api.ChangePassphrase(ctx, p.Passphrase)
	}),
	"backup": does(func(ctx context.Context, api client.API, p keepingParams) error { return api.Backup(ctx, p.Path) }),
	"search": takes(func(ctx context.Context, api client.API, q client.SearchQuery) ([]client.Message, error) {
		return api.Search(ctx, q)
	}),
}

// SetTrust implements [client.API].
func (c *Client) SetTrust(ctx context.Context, id identity.PeerID, t client.TrustState) error {
	return c.call(ctx, "set_trust", contactParams{Contact: id, Trust: &t}, nil)
}

// Verification implements [client.API].
func (c *Client) Verification(ctx context.Context, id identity.PeerID) (v client.Verification, err error) {
	err = c.call(ctx, "verification", contactParams{Contact: id}, &v)
	return v, err
}

// Verify implements [client.API].
func (c *Client) Verify(ctx context.Context, id identity.PeerID, proof string) error {
	return c.call(ctx, "verify", contactParams{Contact: id, Proof: proof}, nil)
}

// SetContact implements [client.API].
func (c *Client) SetContact(ctx context.Context, id identity.PeerID, s client.ContactSettings) (ct client.Contact, err error) {
	err = c.call(ctx, "set_contact", contactParams{Contact: id, Settings: &s}, &ct)
	return ct, err
}

// SendDraft implements [client.API].
func (c *Client) SendDraft(ctx context.Context, to identity.PeerID, d client.Draft) (m client.Message, err error) {
	err = c.call(ctx, "send_draft", contactParams{Contact: to, Draft: &d}, &m)
	return m, err
}

// Edit implements [client.API].
func (c *Client) Edit(ctx context.Context, with identity.PeerID, id client.MessageID, text string) (m client.Message, err error) {
	err = c.call(ctx, "edit", contactParams{Contact: with, ID: id, Text: text}, &m)
	return m, err
}

// React implements [client.API].
func (c *Client) React(ctx context.Context, with identity.PeerID, id client.MessageID, emoji string) (m client.Message, err error) {
	err = c.call(ctx, "react", contactParams{Contact: with, ID: id, Text: emoji}, &m)
	return m, err
}

// Delete implements [client.API].
func (c *Client) Delete(ctx context.Context, with identity.PeerID, ids []client.MessageID, everywhere bool) error {
	return c.call(ctx, "delete", contactParams{Contact: with, IDs: ids, Everywhere: everywhere}, nil)
}

// DeleteHistory implements [client.API].
func (c *Client) DeleteHistory(ctx context.Context, with identity.PeerID) error {
	return c.call(ctx, "delete_history", contactParams{Contact: with}, nil)
}

// SetTyping implements [client.API].
func (c *Client) SetTyping(ctx context.Context, to identity.PeerID, on bool) error {
	return c.call(ctx, "set_typing", contactParams{Contact: to, On: on}, nil)
}

// RecoveryKit implements [client.API].
func (c *Client) RecoveryKit(ctx context.Context) (words []string, err error) {
	err = c.call(ctx, "recovery_kit", keepingParams{}, &words)
	return words, err
}

// ForgetKit implements [client.API].
func (c *Client) ForgetKit(ctx context.Context) error {
	return c.call(ctx, "forget_kit", keepingParams{}, nil)
}

// ChangePassphrase implements [client.API].
func (c *Client) ChangePassphrase(ctx context.Context, passphrase []byte) error {
	return c.call(ctx, "change_passphrase", keepingParams{Passphrase: passphrase}, nil)
}

// Backup implements [client.API]. The path is the other process's: make it absolute.
func (c *Client) Backup(ctx context.Context, path string) error {
	return c.call(ctx, "backup", keepingParams{Path: path}, nil)
}

// Search implements [client.API].
func (c *Client) Search(ctx context.Context, q client.SearchQuery) (list []client.Message, err error) {
	err = c.call(ctx, "search", q, &list)
	return list, err
}
