package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/sremp/sremp/client"
)

// The words with which a line of a chat is about a file instead of a text.
var chatFileWords = map[string]client.FileAction{
	"/accept": client.FileAccept, "/decline": client.FileCancel, "/pause": client.FilePause,
	"/resume": client.FileResume, "/cancel": client.FileCancel,
}

// sendLine sends a line of a chat: /file PATH offers a file, /accept, /decline,
// /pause, /resume and /cancel, with a file's name or id, or without for the
// newest, are about one. Everything else is a text.
func sendLine(ctx context.Context, s client.API, with client.Contact, line string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	if word == "/file" && rest != "" {
		path, err := filepath.Abs(rest)
		if err != nil {
			return err
		}
		_, err = s.SendFile(ctx, with.ID, client.FileDraft{Path: path})
		return err
	}
	action, ok := chatFileWords[word]
	if !ok {
		_, err := s.Send(ctx, with.ID, line)
		return err
	}
	f, err := lineFile(ctx, s, with, rest)
	if err != nil {
		return err
	}
	_, err = s.ControlFile(ctx, with.ID, f.ID, action)
	return err
}

// lineFile returns the file that a line names: by default the newest whose
// transfer is not over.
func lineFile(ctx context.Context, s client.API, with client.Contact, name string) (found client.File, err error) {
	if name != "" {
		return findFile(ctx, s, with, name)
	}
	files, err := s.Files(ctx, with.ID)
	if err != nil {
		return found, err
	}
	err = client.ErrNoFile
	for _, f := range files {
		if f.State <= client.FilePaused || f.State == client.FileFailed {
			found, err = f, nil
		}
	}
	return found, err
}

// isFileError reports errors after which a chat goes on.
func isFileError(err error) bool {
	for _, e := range []error{
		client.ErrNoFile, client.ErrFileChanged, client.ErrFileOver, client.ErrNoDownloads, client.ErrNotMine, client.ErrNoMessage,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
