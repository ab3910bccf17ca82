package client

import (
	"context"

	"github.com/sremp/sremp/identity"
)

// The methods of [API], each the one of the client that is open.

// WhoAmI implements [API].
func (l *Lockable) WhoAmI(ctx context.Context) (Me, error) {
	return call(l, func(c *Client) (Me, error) { return c.WhoAmI(ctx) })
}

// Invite implements [API].
func (l *Lockable) Invite(ctx context.Context, o InviteOptions) (Invite, error) {
	return call(l, func(c *Client) (Invite, error) { return c.Invite(ctx, o) })
}

// Add implements [API].
func (l *Lockable) Add(ctx context.Context, uri, nick string) (Contact, error) {
	return call(l, func(c *Client) (Contact, error) { return c.Add(ctx, uri, nick) })
}

// Contacts implements [API].
func (l *Lockable) Contacts(ctx context.Context) ([]Contact, error) {
	return call(l, func(c *Client) ([]Contact, error) { return c.Contacts(ctx) })
}

// Send implements [API].
func (l *Lockable) Send(ctx context.Context, to identity.PeerID, text string) (Message, error) {
	return call(l, func(c *Client) (Message, error) { return c.Send(ctx, to, text) })
}

// History implements [API].
func (l *Lockable) History(ctx context.Context, with identity.PeerID, q HistoryQuery) ([]Message, error) {
	return call(l, func(c *Client) ([]Message, error) { return c.History(ctx, with, q) })
}

// Path implements [API].
func (l *Lockable) Path(ctx context.Context, to identity.PeerID) (Path, error) {
	return call(l, func(c *Client) (Path, error) { return c.Path(ctx, to) })
}

// RemoveServer implements [API].
func (l *Lockable) RemoveServer(ctx context.Context, addr identity.ServerAddr) error {
	return l.run(func(c *Client) error { return c.RemoveServer(ctx, addr) })
}

// AddServer implements [API].
func (l *Lockable) AddServer(ctx context.Context, addr identity.ServerAddr) error {
	return l.run(func(c *Client) error { return c.AddServer(ctx, addr) })
}

// Servers implements [API].
func (l *Lockable) Servers(ctx context.Context) ([]Server, error) {
	return call(l, func(c *Client) ([]Server, error) { return c.Servers(ctx) })
}

// SetTrust implements [API].
func (l *Lockable) SetTrust(ctx context.Context, id identity.PeerID, t TrustState) error {
	return l.run(func(c *Client) error { return c.SetTrust(ctx, id, t) })
}

// Verification implements [API].
func (l *Lockable) Verification(ctx context.Context, id identity.PeerID) (Verification, error) {
	return call(l, func(c *Client) (Verification, error) { return c.Verification(ctx, id) })
}

// Verify implements [API].
func (l *Lockable) Verify(ctx context.Context, id identity.PeerID, proof string) error {
	return l.run(func(c *Client) error { return c.Verify(ctx, id, proof) })
}

// Picture implements [API].
func (l *Lockable) Picture(ctx context.Context, of identity.PeerID) ([]byte, error) {
	return call(l, func(c *Client) ([]byte, error) { return c.Picture(ctx, of) })
}

// SetContact implements [API].
func (l *Lockable) SetContact(ctx context.Context, id identity.PeerID, s ContactSettings) (Contact, error) {
	return call(l, func(c *Client) (Contact, error) { return c.SetContact(ctx, id, s) })
}

// SendDraft implements [API].
func (l *Lockable) SendDraft(ctx context.Context, to identity.PeerID, d Draft) (Message, error) {
	return call(l, func(c *Client) (Message, error) { return c.SendDraft(ctx, to, d) })
}

// Edit implements [API].
func (l *Lockable) Edit(ctx context.Context, with identity.PeerID, id MessageID, text string) (Message, error) {
	return call(l, func(c *Client) (Message, error) { return c.Edit(ctx, with, id, text) })
}

// React implements [API].
func (l *Lockable) React(ctx context.Context, with identity.PeerID, id MessageID, emoji string) (Message, error) {
	return call(l, func(c *Client) (Message, error) { return c.React(ctx, with, id, emoji) })
}

// Delete implements [API].
func (l *Lockable) Delete(ctx context.Context, with identity.PeerID, ids []MessageID, everywhere bool) error {
	return l.run(func(c *Client) error { return c.Delete(ctx, with, ids, everywhere) })
}

// DeleteHistory implements [API].
func (l *Lockable) DeleteHistory(ctx context.Context, with identity.PeerID) error {
	return l.run(func(c *Client) error { return c.DeleteHistory(ctx, with) })
}

// SetTyping implements [API].
func (l *Lockable) SetTyping(ctx context.Context, to identity.PeerID, on bool) error {
	return l.run(func(c *Client) error { return c.SetTyping(ctx, to, on) })
}

// Search implements [API].
func (l *Lockable) Search(ctx context.Context, q SearchQuery) ([]Message, error) {
	return call(l, func(c *Client) ([]Message, error) { return c.Search(ctx, q) })
}

// RecoveryKit implements [API].
func (l *Lockable) RecoveryKit(ctx context.Context) ([]string, error) {
	return call(l, func(c *Client) ([]string, error) { return c.RecoveryKit(ctx) })
}

// ForgetKit implements [API].
func (l *Lockable) ForgetKit(ctx context.Context) error {
	return l.run(func(c *Client) error { return c.ForgetKit(ctx) })
}

// ChangePassphrase implements [API].
func (l *Lockable) ChangePassphrase(ctx context.Context, passphrase []byte) error {
	return l.run(func(c *Client) error { return c.ChangePassphrase(ctx, passphrase) })
}

// Backup implements [API].
func (l *Lockable) Backup(ctx context.Context, path string) error {
	return l.run(func(c *Client) error { return c.Backup(ctx, path) })
}

// SetName implements [API].
func (l *Lockable) SetName(ctx context.Context, name string) (Me, error) {
	return call(l, func(c *Client) (Me, error) { return c.SetName(ctx, name) })
}

// SetPicture implements [API].
func (l *Lockable) SetPicture(ctx context.Context, path string) (Me, error) {
	return call(l, func(c *Client) (Me, error) { return c.SetPicture(ctx, path) })
}

// RotateKeys implements [API].
func (l *Lockable) RotateKeys(ctx context.Context) error {
	return l.run(func(c *Client) error { return c.RotateKeys(ctx) })
}

// Settings implements [API].
func (l *Lockable) Settings(ctx context.Context) (Settings, error) {
	return call(l, func(c *Client) (Settings, error) { return c.Settings(ctx) })
}

// SetSettings implements [API].
func (l *Lockable) SetSettings(ctx context.Context, s Settings) error {
	return l.run(func(c *Client) error { return c.SetSettings(ctx, s) })
}

// MarkRead implements [API].
func (l *Lockable) MarkRead(ctx context.Context, with identity.PeerID, unread bool) error {
	return l.run(func(c *Client) error { return c.MarkRead(ctx, with, unread) })
}

// DeleteContact implements [API].
func (l *Lockable) DeleteContact(ctx context.Context, id identity.PeerID) error {
	return l.run(func(c *Client) error { return c.DeleteContact(ctx, id) })
}

// DeleteAllHistory implements [API].
func (l *Lockable) DeleteAllHistory(ctx context.Context) error {
	return l.run(func(c *Client) error { return c.DeleteAllHistory(ctx) })
}

// Erase implements [API].
func (l *Lockable) Erase(ctx context.Context) error {
	if err := l.run(func(c *Client) error { return c.Erase(ctx) }); err != nil {
		return err
	}
	return l.Close()
}

// Neighbours implements [API].
func (l *Lockable) Neighbours(ctx context.Context) ([]Neighbour, error) {
	return call(l, func(c *Client) ([]Neighbour, error) { return c.Neighbours(ctx) })
}

// SetVisible implements [API].
func (l *Lockable) SetVisible(ctx context.Context, on bool) error {
	return l.run(func(c *Client) error { return c.SetVisible(ctx, on) })
}

// Visible implements [API].
func (l *Lockable) Visible(ctx context.Context) (bool, error) {
	return call(l, func(c *Client) (bool, error) { return c.Visible(ctx) })
}

// Introduce implements [API].
func (l *Lockable) Introduce(ctx context.Context, to identity.PeerID, uri string) error {
	return l.run(func(c *Client) error { return c.Introduce(ctx, to, uri) })
}

// Keys implements [API].
func (l *Lockable) Keys(ctx context.Context) (Keys, error) {
	return call(l, func(c *Client) (Keys, error) { return c.Keys(ctx) })
}

// UseKeyring implements [API].
func (l *Lockable) UseKeyring(ctx context.Context, on bool) error {
	return l.run(func(c *Client) error { return c.UseKeyring(ctx, on) })
}

// SendFile implements [API].
func (l *Lockable) SendFile(ctx context.Context, to identity.PeerID, d FileDraft) (Message, error) {
	return call(l, func(c *Client) (Message, error) { return c.SendFile(ctx, to, d) })
}

// Files implements [API].
func (l *Lockable) Files(ctx context.Context, with identity.PeerID) ([]File, error) {
	return call(l, func(c *Client) ([]File, error) { return c.Files(ctx, with) })
}

// ControlFile implements [API].
func (l *Lockable) ControlFile(ctx context.Context, with identity.PeerID, id MessageID, a FileAction) (File, error) {
	return call(l, func(c *Client) (File, error) { return c.ControlFile(ctx, with, id, a) })
}

// FilePreview implements [API].
func (l *Lockable) FilePreview(ctx context.Context, with identity.PeerID, id MessageID) ([]byte, error) {
	return call(l, func(c *Client) ([]byte, error) { return c.FilePreview(ctx, with, id) })
}

// Browse implements [API].
func (l *Lockable) Browse(ctx context.Context, q BrowseQuery) (BrowsePage, error) {
	return call(l, func(c *Client) (BrowsePage, error) { return c.Browse(ctx, q) })
}

// Listing implements [API].
func (l *Lockable) Listing(ctx context.Context) (Listing, error) {
	return call(l, func(c *Client) (Listing, error) { return c.Listing(ctx) })
}

// SetListing implements [API].
func (l *Lockable) SetListing(ctx context.Context, x Listing) (int, error) {
	return call(l, func(c *Client) (int, error) { return c.SetListing(ctx, x) })
}

// Announced implements [API].
func (l *Lockable) Announced(ctx context.Context) ([]AnnouncedServer, error) {
	return call(l, func(c *Client) ([]AnnouncedServer, error) { return c.Announced(ctx) })
}

// Discover implements [API].
func (l *Lockable) Discover(ctx context.Context, from string) ([]identity.ServerAddr, error) {
	return call(l, func(c *Client) ([]identity.ServerAddr, error) { return c.Discover(ctx, from) })
}
