package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPaths(t *testing.T) {
	data, conf := t.TempDir(), t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	t.Setenv("XDG_CONFIG_HOME", conf)
	if got, want := SettingsFile(), filepath.Join(conf, "sremp/config.toml"); got != want {
		t.Errorf("SettingsFile = %s, want %s", got, want)
	}
	for _, x := range []struct{ in, dir, name string }{
		{"", filepath.Join(data, "sremp"), "default"},
		{"default", filepath.Join(data, "sremp"), "default"},
		{"work", filepath.Join(data, "sremp/profiles/work"), "work"},
		{filepath.Join(data, "sremp/profiles/work"), filepath.Join(data, "sremp/profiles/work"), "work"},
		{filepath.Join(data, "sremp") + "/", filepath.Join(data, "sremp"), "default"},
		{"/srv/bot", "/srv/bot", "/srv/bot"},
	} {
		dir, name, err := Profile(x.in)
		if err != nil || dir != x.dir || name != x.name {
			t.Errorf("Profile(%q) = %s, %s, %v, want %s, %s", x.in, dir, name, err, x.dir, x.name)
		}
	}
	for _, bad := range []string{"a b", "ü", "a.b", "0123456789012345678901234567890123456789x"} {
		if _, _, err := Profile(bad); !errors.Is(err, ErrProfileName) {
			t.Errorf("Profile(%q): err = %v, want ErrProfileName", bad, err)
		}
	}
	if got, err := Profiles(); err != nil || len(got) != 0 {
		t.Errorf("Profiles = %q, %v, want none", got, err)
	}
	for _, name := range []string{"work", "", "bot"} {
		dir, _, err := Profile(name)
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "client.db"), nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Profiles(); err != nil || !slices.Equal(got, []string{"default", "bot", "work"}) {
		t.Errorf("Profiles = %q, %v", got, err)
	}
}
