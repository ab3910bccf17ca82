package present

import (
	"context"
	"os"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// A storage is what the profile and the files that came take on the disk.
type storage struct {
	known    bool
	profile  int64 // bytes of the profile's directory
	received []receivedFile
	age      int // place in ages
}

type receivedFile struct {
	path  string
	bytes int64
	at    time.Time
}

const day = 24 * time.Hour

// ages are the times after which received files can be deleted.
var ages = []time.Duration{7 * day, 30 * day, 90 * day, 365 * day, 0}

func ageNames() []string {
	return []string{tr.T("1 week"), tr.T("30 days"), tr.T("90 days"), tr.T("1 year"), tr.T("any age")}
}

// measureStorage finds out what is on the disk.
func (w *Window) measureStorage() {
	host, api := w.host, w.api
	w.do(func(ctx context.Context) func() {
		var s storage
		if host != nil {
			s.profile = host.ProfileSize()
		}
		files, err := api.Files(ctx, identity.PeerID{})
		for _, f := range files {
			if f.Mine || f.State != client.FileDone || f.Path == "" {
				continue
			}
			if info, err := os.Stat(f.Path); err == nil && info.Mode().IsRegular() {
				s.received = append(s.received, receivedFile{f.Path, info.Size(), info.ModTime()})
			}
		}
		return func() {
			if err != nil || w.api != api {
				return
			}
			s.known, s.age = true, w.stored.age
			w.stored = s
		}
	})
}

// old returns the received files that are older than what is chosen.
func (s storage) old(now time.Time) (files []receivedFile, bytes int64) {
	for _, f := range s.received {
		if now.Sub(f.at) >= ages[s.age] {
			files, bytes = append(files, f), bytes+f.bytes
		}
	}
	return files, bytes
}

// acceptSizes are offered for files that are taken without asking.
var acceptSizes = []client.Size{0, 1e6, 5e6, 25e6, 100e6, 1e9}

func (w *Window) storageFields() []Field {
	s := w.stored
	var all int64
	for _, f := range s.received {
		all += f.bytes
	}
	old, bytes := s.old(w.now())
	sizes, on := []string{}, 0
	for i, n := range acceptSizes {
		if n == 0 {
			sizes = append(sizes, tr.T("Always ask"))
		} else {
			sizes = append(sizes, tr.T("Up to %s", bytesOf(int64(n))))
		}
		if n <= w.settings.Files.Accept {
			on = i
		}
	}
	what := tr.T("Measuring…")
	if s.known {
		what = tr.T("Messages, keys and what waits: %s. Files that came: %s.", bytesOf(s.profile), bytesOf(all))
	}
	return []Field{
		{Key: "used", Kind: TextField, Text: what},
		{Key: "accept", Kind: ChoiceField, Label: tr.T("Take files of contacts without asking"), Choices: sizes, Chosen: on,
			act: func(v Value) {
				w.changeSettings(func(s *client.Settings) { s.Files.Accept = acceptSizes[v.Chosen] })
			}},
		{Key: "downloads", Kind: PathField, Folder: true, Label: tr.T("Folder for files that come"), Hint: tr.T("The downloads folder"),
			Text: w.typed("downloads"), Sets: w.sets("downloads"), act: func(v Value) {
				w.changeSettings(func(s *client.Settings) { s.Files.Downloads = v.Text })
			}},
		w.setting("withmessage", tr.T("Delete a file with its message"), "", w.settings.Files.DeleteWithMessage,
			func(s *client.Settings, on bool) { s.Files.DeleteWithMessage = on }),
		heading("clean", tr.T("Make room")),
		{Key: "age", Kind: ChoiceField, Label: tr.T("Files that came, older than"), Choices: ageNames(), Chosen: s.age,
			act: func(v Value) { w.stored.age = v.Chosen }},
		text("oldfiles", tr.N("%d file, %s", "%d files, %s", len(old), len(old), bytesOf(bytes))),
		buttons("cleanbuttons", func() Button {
			b := press("deleteold", tr.T("Delete these files"), w.deleteOld).destructive()
			b.Off = len(old) == 0
			return b
		}()),
	}
}

// deleteOld removes old files from the disk; for a moment it can be undone. Their
// messages stay.
func (w *Window) deleteOld() {
	old, _ := w.stored.old(w.now())
	before := w.stored
	kept := storage{known: true, profile: before.profile, age: before.age}
	for _, f := range before.received {
		if w.now().Sub(f.at) < ages[before.age] {
			kept.received = append(kept.received, f)
		}
	}
	w.stored = kept
	w.soon(tr.N("%d file was deleted.", "%d files were deleted.", len(old), len(old)), func(context.Context) error {
		for _, f := range old {
			if err := os.Remove(f.path); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
		return nil
	}, func() { w.stored = before })
}
