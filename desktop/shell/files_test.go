package shell

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAutostart(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	profile := filepath.Join(t.TempDir(), `my "50%" $profile\`)
	if Autostart(profile) {
		t.Error("it starts by itself before anybody wanted it")
	}
	for range 2 {
		if err := SetAutostart(profile, true); err != nil {
			t.Fatal(err)
		}
	}
	if !Autostart(profile) || Autostart(t.TempDir()) {
		t.Error("the switch is not on for this profile alone")
	}
	files, _ := filepath.Glob(filepath.Join(config, "autostart", AppID+"*.desktop"))
	if len(files) != 1 {
		t.Fatalf("got %q, want one file", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"[Desktop Entry]\n", "\nType=Application\n", ` --background --profile "`,
		`my \\"50%%\\" \\$profile\\\\"` + "\n"} {
		if !strings.Contains(string(b), part) {
			t.Errorf("there is no %s in:\n%s", part, b)
		}
	}
	for range 2 {
		if err := SetAutostart(profile, false); err != nil {
			t.Fatal(err)
		}
	}
	if Autostart(profile) {
		t.Error("it cannot be switched off")
	}
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	first := State{Width: 960, Height: 680, Pane: 280, Last: -1, Background: true}
	if got := LoadState(dir, first); got != first {
		t.Errorf("of a new profile: got %+v, want %+v", got, first)
	}
	s := State{Width: 800, Height: 600, Maximized: true, Pane: 300, Last: 7}
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	if got := LoadState(dir, first); got != s {
		t.Errorf("got %+v, want %+v", got, s)
	}
	if info, err := os.Stat(filepath.Join(dir, StateFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want it to be read by its owner alone", info.Mode(), err)
	}
	if err := s.Save(filepath.Join(dir, "gone")); err != nil {
		t.Errorf("of a profile that is gone: %v", err)
	}
	for text, want := range map[string]State{
		"{":                                first,
		`{"width": -5, "height": 1000000}`: first,
		`{"width": 700}`:                   {Width: 700, Height: 680, Pane: 280, Last: -1, Background: true},
	} {
		if err := os.WriteFile(filepath.Join(dir, StateFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := LoadState(dir, first); got != want {
			t.Errorf("of %s: got %+v, want %+v", text, got, want)
		}
	}
}

// FuzzState has every file give a window that can be shown.
func FuzzState(f *testing.F) {
	first := State{Width: 960, Height: 680, Pane: 280, Last: -1}
	b, err := json.Marshal(first)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"width": 1e9, "pane": -1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := parseState(b, first)
		for _, side := range []int{s.Width, s.Height, s.Pane} {
			if side < smallest || side > largest {
				t.Errorf("%q: got %+v", b, s)
			}
		}
	})
}
