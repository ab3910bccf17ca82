package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sremp/sremp/client"
)

// writeFile makes a file of n random bytes.
func writeFile(t *testing.T, name string, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seed := [32]byte{byte(n), byte(n >> 8)}
	if _, err := io.CopyN(f, rand.NewChaCha8(seed), int64(n)); err != nil {
		t.Fatal(err)
	}
	return path
}

func sum(t *testing.T, path string) string {
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

// downloads is where the user's files arrive.
func (u *user) downloads() string { return filepath.Join(filepath.Dir(u.dir), "downloads") }

// lastFile returns the newest file that the user's client knows, as the command
// prints it.
func (u *user) lastFile(t *testing.T) (f fileJSON) {
	t.Helper()
	lines := strings.Split(u.run(t, "files", "--json"), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &f); err != nil && lines[0] != "" {
		t.Fatal(err)
	}
	return f
}

// waitFile waits until the user's newest file is in a state.
func (u *user) waitFile(t *testing.T, state client.FileState) (f client.File) {
	t.Helper()
	within(t, "the file to be "+state.String(), func() (bool, string) {
		files, err := u.api.Files(t.Context(), [32]byte{})
		if err != nil || len(files) == 0 {
			return false, fmt.Sprint(files, err)
		}
		f = files[len(files)-1]
		return f.State == state, fmt.Sprintf("%+v", f)
	})
	return f
}

func sameFile(t *testing.T, got client.File, sent string, to *user) {
	t.Helper()
	if want := filepath.Join(to.downloads(), filepath.Base(sent)); got.Path != want {
		t.Errorf("the file is at %s, want %s", got.Path, want)
	}
	if sum(t, got.Path) != sum(t, sent) {
		t.Error("another file arrived than was sent")
	}
}

// A file goes over a direct connection, by the command line from end to end.
func TestFileDirect(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	small := writeFile(t, "photo.bin", 1_000_000)
	if out := ann.run(t, "send", "Bob", "--file", small, "--wait", "delivered"); !strings.Contains(out, "photo.bin, 1.0 MB, sent") {
		t.Errorf("send --file printed %q", out)
	}
	sameFile(t, bob.waitFile(t, client.FileDone), small, bob)
	if f := ann.lastFile(t); f.State != "done" || !f.Mine || f.Done != 1_000_000 {
		t.Errorf("the sender's client says %+v", f)
	}

	// Over 25 MB it waits for consent.
	large := writeFile(t, "film.bin", 30_000_000)
	ann.run(t, "send", "Bob", "--file", large)
	bob.waitFile(t, client.FileOffered)
	if out := bob.run(t, "files", "Ann"); !strings.Contains(out, "film.bin, 30 MB, offered") {
		t.Errorf("files printed %q", out)
	}
	bob.run(t, "file", "accept", "Ann", "film.bin")
	sameFile(t, bob.waitFile(t, client.FileDone), large, bob)
	ann.waitFile(t, client.FileDone)

	// And it is not an order: declined is declined.
	other := writeFile(t, "other.bin", 30_000_001)
	ann.run(t, "send", "Bob", "--file", other)
	bob.waitFile(t, client.FileOffered)
	bob.run(t, "file", "decline", "Ann", "other.bin")
	ann.waitFile(t, client.FileDeclined)
	_, errs, status := sremp(t, "--profile", bob.dir, "file", "accept", "Ann", "other.bin")
	checkFailure(t, "accepting what was declined", status, 24, errs, "over")
	_, errs, status = sremp(t, "--profile", ann.dir, "send", "Bob", "--file", filepath.Join(t.TempDir(), "none"))
	checkFailure(t, "sending what is not there", status, 24, errs, "no such file")
}

// Who is given no address of ours gets files through the relay.
func TestFileByRelay(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	ann.run(t, "set", "Bob", "--relay-only")
	within(t, "the relay", func() (bool, string) {
		p, err := ann.api.Path(t.Context(), bob.id)
		q, err2 := bob.api.Path(t.Context(), ann.id)
		return err == nil && err2 == nil && p.Kind == client.PathRelay && q.Kind == client.PathRelay, describePath(p) + " " + describePath(q)
	})
	path := writeFile(t, "photo.bin", 5_000_000)
	ann.run(t, "send", "Bob", "--file", path, "--wait", "delivered")
	sameFile(t, bob.waitFile(t, client.FileDone), path, bob)
}

// The two are never there at the same time: sender and receiver each run one
// command, and the server keeps the chunks.
func TestFileThroughMailbox(t *testing.T) {
	t.Parallel() // it mostly waits
	serverDir := t.TempDir()
	server, addr := startServer(t, serverDir, "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	bob.end(t, syscall.SIGTERM)
	path := writeFile(t, "photo.bin", 4_000_000)
	ann.run(t, "send", "Bob", "--file", path)
	within(t, "the chunks at the server", func() (bool, string) {
		files, err := ann.api.Files(t.Context(), bob.id)
		return err == nil && mailed(files), fmt.Sprint(files, err)
	})
	ann.end(t, syscall.SIGKILL)
	server.end(t, syscall.SIGKILL)
	startServer(t, serverDir, addr.HostPort())
	bob.listen(t)
	sameFile(t, bob.waitFile(t, client.FileDone), path, bob)
	// What is sent after the news that the file came is at the relay after it.
	bob.run(t, "send", "Ann", "it came", "--wait", "held", "--timeout", "3m")
	bob.end(t, syscall.SIGTERM)
	ann.listen(t)
	ann.waitFile(t, client.FileDone)
}

// mailed reports whether a file of ours is at the relay as a whole.
func mailed(files []client.File) bool {
	return len(files) == 1 && files[0].Held == files[0].Size
}

// Both sides are killed in the middle, each more than once. The file arrives
// byte for byte, and what had arrived before is not fetched again.
func TestFileKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	path := writeFile(t, "film.bin", 400_000_000)
	ann.run(t, "send", "Bob", "--file", path)
	bob.waitFile(t, client.FileOffered)
	bob.run(t, "file", "accept", "Ann", "film.bin")
	killed := 0
	for i, victim := range []*user{bob, ann, bob, ann} {
		var at client.File
		within(t, "progress", func() (bool, string) {
			files, err := bob.api.Files(t.Context(), ann.id)
			if err != nil || len(files) != 1 {
				return false, fmt.Sprint(files, err)
			}
			at = files[0]
			return at.Done > int64(i+1)*20_000_000 || at.State == client.FileDone, fmt.Sprintf("%+v", at)
		})
		if at.State == client.FileDone {
			break
		}
		killed++
		victim.end(t, syscall.SIGKILL)
		victim.listen(t)
	}
	if killed < 2 {
		t.Errorf("only %d kills came before the file's end", killed)
	}
	sameFile(t, bob.waitFile(t, client.FileDone), path, bob)
	ann.waitFile(t, client.FileDone)
	within(t, "one file in the folder", func() (bool, string) {
		entries, err := os.ReadDir(bob.downloads())
		return err == nil && len(entries) == 1, fmt.Sprint(entries, err)
	})
}
