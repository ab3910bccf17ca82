package present

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
)

// field returns a field of the open dialog.
func (u *ui) field(key string) Field {
	u.t.Helper()
	for _, f := range u.last().Dialog.Fields {
		if f.Key == key {
			return f
		}
	}
	u.t.Fatalf("no field %q in %+v", key, u.last().Dialog)
	return Field{}
}

func TestEmptyPassphraseIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake(), attach: client.ErrNoProfile}
		u := newUI(t, p)
		u.run(0)
		u.Create("Alice", "")
		u.run(3 * callTime)
		if v := u.last(); v.Stage != Welcome || !v.Warned || v.Problem == "" || p.name != "" {
			t.Fatalf("at first: %+v, created %q", v, p.name)
		}
		u.Create("Alice", "")
		u.run(3 * callTime)
		if v := u.last(); v.Stage != Main || p.name != "Alice" {
			t.Errorf("after the warning: stage %v, created %q", v.Stage, p.name)
		}
	})
}

// A keyring that fails is not insisted on: a passphrase is asked for.
func TestKeyringFailsAtFirstStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake(), attach: client.ErrNoProfile, hasPassphrase: true, open: client.ErrKeyring}
		u := newUI(t, p)
		u.run(0)
		u.Create("Alice", "")
		p.hasPassphrase = false
		u.run(3 * callTime)
		if v := u.last(); v.Stage != Welcome || !v.AskPassphrase || !strings.Contains(v.Problem, "Choose a passphrase") {
			t.Errorf("got %+v", v)
		}
	})
}

func TestOffers(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		if o := u.last().Offers; !slices.Contains(o, InviteOffer) || !slices.Contains(o, ServerOffer) || slices.Contains(o, KitOffer) {
			t.Errorf("offers %v, want an invite and a server, and no kit that is gone", o)
		}
	})
}

func TestLock(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.api.set(func(f *fakeAPI) { f.keys = client.Keys{Passphrase: true} })
		u.Select(bob)
		u.run(2 * callTime)
		u.OpenSettings()
		u.Lock()
		u.run(3 * callTime)
		if v := u.last(); v.Stage != Locked || v.Chat.Open || len(v.Contacts) != 0 || v.Dialog.Kind != NoDialog {
			t.Fatalf("locked: %+v", v)
		}
		u.Unlock("secret")
		u.run(5 * callTime)
		if v := u.last(); v.Stage != Main || len(people(v.Contacts)) != 2 {
			t.Errorf("unlocked: stage %v, contacts %v", v.Stage, v.Contacts)
		}
		if n := u.api.calls["subscribe"]; n > 1 {
			t.Errorf("%d subscriptions, want one over the lock", n)
		}
	})
}

// What was begun when somebody else locks is there afterwards: what was typed just
// now, and a change of a message.
func TestLockByAnother(t *testing.T) {
	for _, edit := range []bool{false, true} {
		bubble(t, func(t *testing.T, u *ui) {
			mine := incoming(bob, 1, "The old text", time.Now())
			mine.Mine = true
			u.api.set(func(f *fakeAPI) { f.history[bob] = []client.Message{mine} })
			u.Select(bob)
			u.run(2 * callTime)
			if edit {
				u.EditLast()
			}
			u.SetDraft("Half a sent")
			go u.api.lockByAnother(t.Context())
			u.run(3 * callTime)
			if v := u.last(); v.Stage != Locked {
				t.Fatalf("stage %v, want Locked", v.Stage)
			}
			i := slices.IndexFunc(u.api.contacts, func(c client.Contact) bool { return c.ID == bob })
			if got := u.api.contacts[i].Draft; got != "Half a sent" {
				t.Errorf("a change %v: the draft is %q, want what was typed", edit, got)
			}
		})
	}
}

// The words of the kit are recognised in the passphrase's place.
func TestUnlockWithKit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProfile{api: newFake(), attach: ErrLocked}
		u := newUI(t, p)
		u.run(0)
		kit := strings.Repeat("abandon ", 23) + "art"
		u.Unlock(" " + kit + "\n")
		u.run(3 * callTime)
		if p.kit != kit || p.phrase != "" {
			t.Errorf("kit %q, passphrase %q", p.kit, p.phrase)
		}
	})
}

// What arrives does not keep the profile open; what the person does, does.
func TestAutoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newFake()
		api.settings.Lock.After = client.Span(time.Minute)
		u := newUI(t, &fakeProfile{api: api, hasPassphrase: true})
		u.run(5 * callTime)
		for i := range 8 {
			u.run(10 * time.Second)
			u.Touch()
			u.api.emit(client.MessageEvent{Message: incoming(bob, i+1, "hello", time.Now())})
		}
		if v := u.last(); v.Stage != Main {
			t.Fatalf("stage %v while somebody is there", v.Stage)
		}
		for i := range 8 {
			u.run(10 * time.Second)
			u.api.emit(client.MessageEvent{Message: incoming(bob, i+20, "hello", time.Now())})
		}
		u.run(2 * callTime)
		if v := u.last(); v.Stage != Locked {
			t.Errorf("stage %v, want Locked: nobody was there for a minute", v.Stage)
		}
	})
}

func TestSettingsAreStored(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenSettings()
		u.run(3 * callTime)
		u.SelectTab(privacyPage)
		u.Act("typing", Value{On: true})
		u.run(3 * callTime)
		if !u.api.settings.Contacts.ShareTyping || !u.field("typing").On {
			t.Errorf("settings %+v", u.api.settings)
		}
		u.SelectTab(appearancePage)
		u.Act("scheme", Value{Chosen: 2})
		u.run(3 * callTime)
		u.Act("text", Value{Chosen: len(textSizes) - 1})
		u.run(3 * callTime)
		if v := u.last(); v.Dark != Dark || v.TextSize != 200 || u.api.settings.Appearance.Scheme != client.SchemeDark {
			t.Errorf("view %v, %v; settings %+v", v.Dark, v.TextSize, u.api.settings.Appearance)
		}
		u.api.set(func(f *fakeAPI) { f.fail = client.ErrDiskFull })
		u.Act("scheme", Value{Chosen: 1})
		u.run(3 * callTime)
		if v := u.last(); v.Dark != Dark || v.Dialog.Problem == "" {
			t.Errorf("after a failure: %v, problem %q; want dark as before", v.Dark, v.Dialog.Problem)
		}
	})
}

// The page of keys says what was noticed of other copies of the profile.
func TestOtherCopiesAreSaid(t *testing.T) {
	for _, tt := range []struct {
		name       string
		keys       client.Keys
		copy, left bool
	}{
		{"alone", client.Keys{}, false, false},
		{"a copy is in use", client.Keys{CopySeen: time.Unix(1, 0)}, true, false},
		{"left behind", client.Keys{LeftBehind: time.Unix(1, 0)}, false, true},
	} {
		bubble(t, func(t *testing.T, u *ui) {
			u.api.set(func(f *fakeAPI) { f.keys = tt.keys })
			u.OpenSettings()
			u.run(3 * callTime)
			u.SelectTab(keysPage)
			if copied, left := u.has("copytext"), u.has("lefttext"); copied != tt.copy || left != tt.left {
				t.Errorf("%s: says that there is a copy %v, that it is left behind %v; want %v, %v", tt.name, copied, left, tt.copy, tt.left)
			}
		})
	}
}

// Another face changes a setting: the window follows.
func TestSettingsFromElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		s := client.DefaultSettings()
		s.Appearance.Text = 150
		u.api.emit(client.SettingsEvent{Settings: s})
		u.run(callTime)
		if got := u.last().TextSize; got != 150 {
			t.Errorf("text size %d, want 150", got)
		}
	})
}

func TestChangePassphrase(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenSettings()
		u.run(3 * callTime)
		u.SelectTab(keysPage)
		u.Type("pass1", "one")
		u.Type("pass2", "two")
		u.Act("setpass", Value{})
		if u.last().Dialog.Problem == "" || u.api.phrase != "" {
			t.Errorf("different ones: %q was set", u.api.phrase)
		}
		u.Type("pass2", "one")
		u.Act("setpass", Value{})
		u.run(3 * callTime)
		if u.api.phrase != "one" || u.field("pass1").Text != "" {
			t.Errorf("set %q, left %q in the entry", u.api.phrase, u.field("pass1").Text)
		}
		u.Act("setpass", Value{}) // both empty now
		u.run(3 * callTime)
		if u.api.phrase != "one" {
			t.Error("an empty passphrase without a warning")
		}
		u.Act("setpass", Value{})
		u.run(3 * callTime)
		if u.api.phrase != "" {
			t.Errorf("after the warning: %q", u.api.phrase)
		}
	})
}

// Closing the kit's dialog decides nothing; taking it off is asked for twice.
func TestKit(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		u.OpenKit()
		u.run(3 * callTime)
		if s := u.field("kitwords"); !strings.Contains(s.Spoken, "w1 w2") || !strings.Contains(s.Text, "24. w24") {
			t.Errorf("words %q, spoken %q", s.Text, s.Spoken)
		}
		u.CloseDialog()
		u.OpenKit()
		u.run(3 * callTime)
		u.Act("forget", Value{})
		u.run(3 * callTime)
		if u.api.calls["forgetkit"] != 0 {
			t.Fatal("taken off at the first press")
		}
		u.Act("forget", Value{})
		u.run(3 * callTime)
		if u.api.calls["forgetkit"] != 1 || u.last().Dialog.Kind != NoDialog {
			t.Errorf("%d calls, dialog %+v", u.api.calls["forgetkit"], u.last().Dialog)
		}
	})
}

// Old files are deleted only after the time in which that can be undone.
func TestDeleteOldFiles(t *testing.T) {
	bubble(t, func(t *testing.T, u *ui) {
		dir := t.TempDir()
		old, young := filepath.Join(dir, "old"), filepath.Join(dir, "young")
		for path, age := range map[string]time.Duration{old: 40 * day, young: day} {
			if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		u.api.set(func(f *fakeAPI) {
			f.files = []client.File{{Path: old, State: client.FileDone}, {Path: young, State: client.FileDone},
				{Path: dir + "/mine", State: client.FileDone, Mine: true}}
		})
		u.OpenSettings()
		u.run(3 * callTime)
		u.SelectTab(storagePage)
		if got := u.field("oldfiles").Text; got != "1 file, 5 bytes" {
			t.Errorf("old: %q", got)
		}
		u.Act("deleteold", Value{})
		u.Undo()
		u.run(2 * undoTime)
		if _, err := os.Stat(old); err != nil {
			t.Fatalf("after undo: %v", err)
		}
		u.Act("deleteold", Value{})
		u.run(2 * undoTime)
		if _, err := os.Stat(old); err == nil {
			t.Error("the old file is still there")
		}
		if _, err := os.Stat(young); err != nil {
			t.Errorf("the young file is gone: %v", err)
		}
	})
}

func TestPortraitFits(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 900, 500))
	for y := range 500 {
		for x := range 900 {
			m.Set(x, y, color.RGBA{uint8(x * y), uint8(x ^ y), uint8(y * 7), 255}) // hard to compress
		}
	}
	path := filepath.Join(t.TempDir(), "p.png")
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := portrait(path)
	if err != nil || len(p) > portraitBytes {
		t.Fatalf("%d bytes, %v; want at most %d", len(p), err, portraitBytes)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(p)); err != nil || c.Width != portraitSide || c.Height != portraitSide {
		t.Errorf("got %+v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := portrait(path); err == nil {
		t.Error("text is taken for a picture")
	}
}
