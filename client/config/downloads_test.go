package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDownloads(t *testing.T) {
	home, conf := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", conf)
	t.Setenv("XDG_DOWNLOAD_DIR", "")
	for file, want := range map[string]string{
		"": "Downloads",
		"# made by hand\nXDG_DESKTOP_DIR=\"$HOME/D\"\nXDG_DOWNLOAD_DIR=\"$HOME/Heruntergeladenes\"\n": "Heruntergeladenes",
		"XDG_DOWNLOAD_DIR=\"$HOME/\"\n":   "Downloads",
		"XDG_DOWNLOAD_DIR=\"relative\"\n": "Downloads",
	} {
		if err := os.WriteFile(filepath.Join(conf, "user-dirs.dirs"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Downloads(); got != filepath.Join(home, want) {
			t.Errorf("with %q: %s, want %s in the home", file, got, want)
		}
	}
	t.Setenv("XDG_DOWNLOAD_DIR", "/srv/files")
	if got := Downloads(); got != "/srv/files" {
		t.Errorf("with the variable: %s", got)
	}
}
