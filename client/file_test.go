package client_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// writeFile makes a file of n bytes that differ from place to place, and returns
// its path.
func writeFile(t testing.TB, name string, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for at := 0; at < n; {
		part := buf[:min(len(buf), n-at)]
		for i := 0; i+8 <= len(part); i += 8 {
			binary.LittleEndian.PutUint64(part[i:], uint64(at+i)*0x9e3779b97f4a7c15)
		}
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
		at += len(part)
	}
	return path
}

func sum(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// takesFiles lets a client receive files, into the folder returned.
func takesFiles(t testing.TB, c *client.Client, accept client.Size) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "downloads")
	s, err := c.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Files.Downloads, s.Files.Accept = dir, accept
	if err := c.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sendFile(t testing.TB, c *client.Client, to identity.PeerID, d client.FileDraft) client.Message {
	t.Helper()
	m, err := c.SendFile(t.Context(), to, d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// file returns a file of a conversation; ok is false if it is not there yet.
func file(t testing.TB, c *client.Client, with identity.PeerID, id client.MessageID) (f client.File, ok bool) {
	t.Helper()
	fs, err := c.Files(t.Context(), with)
	if err != nil {
		return f, false
	}
	for _, f := range fs {
		if f.ID == id {
			return f, true
		}
	}
	return f, false
}

func waitFile(t *testing.T, c *client.Client, with identity.PeerID, id client.MessageID, want client.FileState) (f client.File) {
	t.Helper()
	eventually(t, "the file", func() (bool, string) {
		f, _ = file(t, c, with, id)
		return f.State == want && f.ID == id, fmt.Sprintf("%+v, want %v", f, want)
	})
	return f
}

// waitFolder waits for a folder to have n files, and no part of one.
func waitFolder(t *testing.T, dir string, n int) {
	t.Helper()
	eventually(t, "the folder", func() (bool, string) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ".part" {
				return false, fmt.Sprint(entries)
			}
		}
		return err == nil && len(entries) == n, fmt.Sprint(entries, err)
	})
}

func friends(t *testing.T) (a, b *client.Client) {
	t.Helper()
	a, _ = newClient(t, "Alice")
	b, _ = newClient(t, "Bob")
	add(t, b, invite(t, a))
	send(t, b, me(t, a), "hello")
	waitTexts(t, a, me(t, b), "<hello")
	waitTexts(t, b, me(t, a), ">delivered hello")
	return a, b
}

func TestFile(t *testing.T) {
	a, b := friends(t)
	dir := takesFiles(t, b, 25e6)
	for _, size := range []int{0, 1, 258048, 3_000_001} {
		path := writeFile(t, fmt.Sprintf("file-%d.bin", size), size)
		m := sendFile(t, a, me(t, b), client.FileDraft{Path: path})
		got := waitFile(t, b, me(t, a), m.ID, client.FileDone)
		if got.Name != filepath.Base(path) || got.Done != int64(size) || got.Path != filepath.Join(dir, got.Name) {
			t.Errorf("received %+v", got)
		}
		if sum(t, got.Path) != sum(t, path) {
			t.Errorf("%d bytes arrived as something else", size)
		}
		waitFile(t, a, me(t, b), m.ID, client.FileDone)
	}
	waitFolder(t, dir, 4)
	h, err := b.History(t.Context(), me(t, a), client.HistoryQuery{})
	if err != nil || h[len(h)-1].File == nil || h[len(h)-1].File.State != client.FileDone || h[len(h)-1].Text != "file-3000001.bin" {
		t.Errorf("the last message is %+v, %v", h[len(h)-1], err)
	}
	if bytes.Contains([]byte(h[len(h)-1].Text), []byte("/")) {
		t.Error("a path is shown")
	}
}
