package rpc

import (
	"context"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// SendFile implements [client.API]. The path is the other process's: make it
// absolute.
func (c *Client) SendFile(ctx context.Context, to identity.PeerID, d client.FileDraft) (m client.Message, err error) {
	err = c.call(ctx, "send_file", sendFileParams{To: to, File: d}, &m)
	return m, err
}

// Files implements [client.API].
func (c *Client) Files(ctx context.Context, with identity.PeerID) (list []client.File, err error) {
	err = c.call(ctx, "files", filesParams{With: with}, &list)
	return list, err
}

// ControlFile implements [client.API].
func (c *Client) ControlFile(ctx context.Context, with identity.PeerID, id client.MessageID, a client.FileAction) (f client.File, err error) {
	err = c.call(ctx, "control_file", controlFileParams{With: with, ID: id, Action: a}, &f)
	return f, err
}

// FilePreview implements [client.API].
func (c *Client) FilePreview(ctx context.Context, with identity.PeerID, id client.MessageID) (jpeg []byte, err error) {
	err = c.call(ctx, "file_preview", fileParams{With: with, ID: id}, &jpeg)
	return jpeg, err
}
