package rpc

import (
	"context"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// SetTrust implements [client.API].
func (c *Client) SetTrust(ctx context.Context, id identity.PeerID, t client.TrustState) error {
	return c.call(ctx, "set_trust", trustParams{Contact: id, Trust: t}, nil)
}

// Verification implements [client.API].
func (c *Client) Verification(ctx context.Context, id identity.PeerID) (v client.Verification, err error) {
	err = c.call(ctx, "verification", contactParams{Contact: id}, &v)
	return v, err
}

// Verify implements [client.API].
func (c *Client) Verify(ctx context.Context, id identity.PeerID, proof string) error {
	return c.call(ctx, "verify", proofParams{Contact: id, Proof: proof}, nil)
}

// SetContact implements [client.API].
func (c *Client) SetContact(ctx context.Context, id identity.PeerID, s client.ContactSettings) (ct client.Contact, err error) {
	err = c.call(ctx, "set_contact", settingsParams{Contact: id, Settings: s}, &ct)
	return ct, err
}

// SendDraft implements [client.API].
func (c *Client) SendDraft(ctx context.Context, to identity.PeerID, d client.Draft) (m client.Message, err error) {
	err = c.call(ctx, "send_draft", draftParams{Contact: to, Draft: d}, &m)
	return m, err
}

// Edit implements [client.API].
func (c *Client) Edit(ctx context.Context, with identity.PeerID, id client.MessageID, text string) (m client.Message, err error) {
	err = c.call(ctx, "edit", textParams{Contact: with, ID: id, Text: text}, &m)
	return m, err
}

// React implements [client.API].
func (c *Client) React(ctx context.Context, with identity.PeerID, id client.MessageID, emoji string) (m client.Message, err error) {
	err = c.call(ctx, "react", textParams{Contact: with, ID: id, Text: emoji}, &m)
	return m, err
}

// Delete implements [client.API].
func (c *Client) Delete(ctx context.Context, with identity.PeerID, ids []client.MessageID, everywhere bool) error {
	return c.call(ctx, "delete", deleteParams{Contact: with, IDs: ids, Everywhere: everywhere}, nil)
}

// DeleteHistory implements [client.API].
func (c *Client) DeleteHistory(ctx context.Context, with identity.PeerID) error {
	return c.call(ctx, "delete_history", contactParams{Contact: with}, nil)
}

// SetTyping implements [client.API].
func (c *Client) SetTyping(ctx context.Context, to identity.PeerID, on bool) error {
	return c.call(ctx, "set_typing", onParams{Contact: to, On: on}, nil)
}

// RecoveryKit implements [client.API].
func (c *Client) RecoveryKit(ctx context.Context) (words []string, err error) {
	err = c.call(ctx, "recovery_kit", nil, &words)
	return words, err
}

// ForgetKit implements [client.API].
func (c *Client) ForgetKit(ctx context.Context) error {
	return c.call(ctx, "forget_kit", nil, nil)
}

// ChangePassphrase implements [client.API].
func (c *Client) ChangePassphrase(ctx context.Context, passphrase []byte) error {
	return c.call(ctx, "change_passphrase", passphraseParams{Passphrase: passphrase}, nil)
}

// Backup implements [client.API]. The path is the other process's: make it absolute.
func (c *Client) Backup(ctx context.Context, path string) error {
	return c.call(ctx, "backup", pathParams{Path: path}, nil)
}

// Search implements [client.API].
func (c *Client) Search(ctx context.Context, q client.SearchQuery) (list []client.Message, err error) {
	err = c.call(ctx, "search", q, &list)
	return list, err
}

// SetPicture implements [client.API]. The path is the other process's: make it
// absolute.
func (c *Client) SetPicture(ctx context.Context, path string) (me client.Me, err error) {
	err = c.call(ctx, "set_picture", pathParams{path}, &me)
	return me, err
}

// Picture implements [client.API].
func (c *Client) Picture(ctx context.Context, of identity.PeerID) (jpeg []byte, err error) {
	err = c.call(ctx, "picture", ofParams{of}, &jpeg)
	return jpeg, err
}

// SetName implements [client.API].
func (c *Client) SetName(ctx context.Context, name string) (me client.Me, err error) {
	err = c.call(ctx, "set_name", nameParams{name}, &me)
	return me, err
}

// RotateKeys implements [client.API].
func (c *Client) RotateKeys(ctx context.Context) error { return c.call(ctx, "rotate_keys", nil, nil) }

// Settings implements [client.API].
func (c *Client) Settings(ctx context.Context) (s client.Settings, err error) {
	err = c.call(ctx, "settings", nil, &s)
	return s, err
}

// SetSettings implements [client.API].
func (c *Client) SetSettings(ctx context.Context, s client.Settings) error {
	return c.call(ctx, "set_settings", s, nil)
}

// MarkRead implements [client.API].
func (c *Client) MarkRead(ctx context.Context, with identity.PeerID, unread bool) error {
	return c.call(ctx, "mark_read", markParams{With: with, Unread: unread}, nil)
}

// DeleteContact implements [client.API].
func (c *Client) DeleteContact(ctx context.Context, id identity.PeerID) error {
	return c.call(ctx, "delete_contact", contactParams{Contact: id}, nil)
}

// DeleteAllHistory implements [client.API].
func (c *Client) DeleteAllHistory(ctx context.Context) error {
	return c.call(ctx, "delete_all_history", nil, nil)
}

// Erase implements [client.API].
func (c *Client) Erase(ctx context.Context) error { return c.call(ctx, "erase", nil, nil) }

// Neighbours implements [client.API].
func (c *Client) Neighbours(ctx context.Context) (list []client.Neighbour, err error) {
	err = c.call(ctx, "neighbours", nil, &list)
	return list, err
}

// SetVisible implements [client.API].
func (c *Client) SetVisible(ctx context.Context, on bool) error {
	return c.call(ctx, "set_visible", visibleParams{On: on}, nil)
}

// Visible implements [client.API].
func (c *Client) Visible(ctx context.Context) (on bool, err error) {
	err = c.call(ctx, "visible", nil, &on)
	return on, err
}

// Introduce implements [client.API].
func (c *Client) Introduce(ctx context.Context, to identity.PeerID, uri string) error {
	return c.call(ctx, "introduce", introduceParams{To: to, URI: uri}, nil)
}

// Keys implements [client.API].
func (c *Client) Keys(ctx context.Context) (k client.Keys, err error) {
	err = c.call(ctx, "keys", nil, &k)
	return k, err
}

// UseKeyring implements [client.API].
func (c *Client) UseKeyring(ctx context.Context, on bool) error {
	return c.call(ctx, "use_keyring", keyringParams{On: on}, nil)
}

// Lock implements [client.Locking].
func (c *Client) Lock(ctx context.Context) error { return c.call(ctx, "lock", nil, nil) }

// Unlock implements [client.Locking].
func (c *Client) Unlock(ctx context.Context, u client.Unlock) error {
	return c.call(ctx, "unlock", u, nil)
}

// Locked implements [client.Locking].
func (c *Client) Locked(ctx context.Context) (locked bool, err error) {
	err = c.call(ctx, "locked", nil, &locked)
	return locked, err
}

// Browse implements [client.API].
func (c *Client) Browse(ctx context.Context, q client.BrowseQuery) (page client.BrowsePage, err error) {
	err = c.call(ctx, "browse", q, &page)
	return page, err
}

// Listing implements [client.API].
func (c *Client) Listing(ctx context.Context) (l client.Listing, err error) {
	err = c.call(ctx, "listing", nil, &l)
	return l, err
}

// SetListing implements [client.API].
func (c *Client) SetListing(ctx context.Context, l client.Listing) (servers int, err error) {
	err = c.call(ctx, "set_listing", l, &servers)
	return servers, err
}

// Announced implements [client.API].
func (c *Client) Announced(ctx context.Context) (list []client.AnnouncedServer, err error) {
	err = c.call(ctx, "announced", nil, &list)
	return list, err
}

// Discover implements [client.API].
func (c *Client) Discover(ctx context.Context, from string) (list []identity.ServerAddr, err error) {
	err = c.call(ctx, "discover", discoverParams{From: from}, &list)
	return list, err
}
