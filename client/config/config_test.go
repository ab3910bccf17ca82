package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

func file(t *testing.T, content string) File {
	t.Helper()
	f := File{Path: filepath.Join(t.TempDir(), "sremp", "config.toml"), Profile: "work"}
	if content == "" {
		return f
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// A profile's own settings count over those of all, those over the defaults.
func TestLayers(t *testing.T) {
	f := file(t, `
[notifications]
show = "none"
reactions = false
[profile.work.notifications]
show = "full"
[profile.work.lock]
after = "10m"
[profile.other.contacts]
share_read = true
`)
	s, err := f.Load()
	want := client.DefaultSettings()
	want.Notifications.Show, want.Notifications.Reactions = client.ShowFull, false
	want.Lock.After = client.Span(10 * time.Minute)
	if err != nil || s != want {
		t.Errorf("got %+v, %v, want %+v", s, err, want)
	}
	if s, err = (File{f.Path, "new"}).Load(); err != nil || s.Notifications.Show != client.ShowNone {
		t.Errorf("another profile: %+v, %v", s, err)
	}
}

func TestNoFile(t *testing.T) {
	if s, err := file(t, "").Load(); err != nil || s != client.DefaultSettings() {
		t.Errorf("got %+v, %v, want the defaults", s, err)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	for _, x := range []struct{ content, want string }{
		{"[notifications]\nshow = \"all\"", `notifications.show cannot be "all"; it is none, sender or full`},
		{"[lock]\nafter = 5", `lock.after cannot be "5"; it is a time span`},
		{"[lock]\nafter = \"1s\"", "at least 10s, or never"},
		{"[contacts]\nshare_read = \"perhaps\"", "true or false"},
		{"[network]\nlisten = \"here\"", "HOST:PORT"},
		{"[lock]\nafter 10m", "line 2"},
	} {
		f := file(t, x.content)
		_, err := f.Load()
		if err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), f.Path) {
			t.Errorf("%q: err = %v, want the file and %q", x.content, err, x.want)
		}
	}
	var se *client.SettingError
	if _, err := file(t, "[notifications]\nshow = 1").Load(); !errors.As(err, &se) || se.Key != "notifications.show" {
		t.Errorf("err = %v, want a SettingError", err)
	}
}

// What no setting has is reported, and stays in the file.
func TestUnknownIsKept(t *testing.T) {
	f := file(t, "[future]\nknob = 7\n[profile.work.notifications]\nsohw = \"none\"\n[profile.other.lock]\nafter = \"1h\"\n")
	unknown, err := f.Unknown()
	if want := []string{"future.knob", "profile.work.notifications.sohw"}; err != nil || !slices.Equal(unknown, want) {
		t.Errorf("Unknown = %q, %v, want %q", unknown, err, want)
	}
	s, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	s.Contacts.ShareRead = true
	if err := f.Save(s); err != nil {
		t.Fatal(err)
	}
	if again, err := f.Unknown(); err != nil || !slices.Equal(again, unknown) {
		t.Errorf("Unknown after Save = %q, %v", again, err)
	}
	if got, err := f.Load(); err != nil || got != s {
		t.Errorf("got %+v, %v, want %+v", got, err, s)
	}
	other, err := File{f.Path, "other"}.Load()
	if err != nil || other.Contacts.ShareRead || time.Duration(other.Lock.After) != time.Hour {
		t.Errorf("another profile got %+v, %v", other, err)
	}
}

// Save writes what is another, and takes back what is not any more.
func TestSaveIsShort(t *testing.T) {
	f := file(t, "")
	s := client.DefaultSettings()
	s.Lock.After = client.Span(time.Minute)
	if err := f.Save(s); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Path)
	if err != nil || !strings.Contains(string(b), "after = \"1m0s\"") || strings.Contains(string(b), "listen") {
		t.Errorf("the file is %q, %v", b, err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := f.Save(client.DefaultSettings()); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(f.Path); err != nil || len(b) != 0 {
		t.Errorf("the file is %q, %v, want nothing in it", b, err)
	}
	bad := s
	bad.Notifications.Show = "loud"
	if err := f.Save(bad); err == nil {
		t.Error("a value that cannot be was saved")
	}
}

// Whatever stands in the file, reading it ends in settings or a sentence.
func FuzzLoad(f *testing.F) {
	f.Add("[notifications]\nshow = \"none\"\n")
	f.Add("[profile.work.lock]\nafter = \"10m\"\n")
	f.Add("profile = 3\n[notifications]\nshow = [1, 2]\n")
	f.Fuzz(func(t *testing.T, content string) {
		if content == "" {
			return
		}
		x := file(t, content)
		s, err := x.Load()
		if err != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Errorf("%q gives settings that cannot be: %v", content, err)
		}
		if err := x.Save(s); err != nil {
			return // a table where a value should be
		}
		if again, err := x.Load(); err != nil || again != s {
			t.Errorf("%q: saved and loaded: %+v, %v, want %+v", content, again, err, s)
		}
	})
}

// A number in the file is as good as a text, and out of bounds it is refused.
func TestAppearance(t *testing.T) {
	s, err := file(t, "[appearance]\nscheme = \"dark\"\ntext = 150\n").Load()
	if want := (client.AppearanceSettings{Scheme: client.SchemeDark, Text: 150}); err != nil || s.Appearance != want {
		t.Errorf("got %+v, %v, want %+v", s.Appearance, err, want)
	}
	for _, bad := range []string{"scheme = \"blue\"", "text = 20", "text = 1000", "text = \"large\""} {
		var se *client.SettingError
		if _, err := file(t, "[appearance]\n"+bad).Load(); !errors.As(err, &se) {
			t.Errorf("%s: err = %v, want a SettingError", bad, err)
		}
	}
}
