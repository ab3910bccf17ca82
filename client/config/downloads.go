package config

import (
	"os"
	"path/filepath"
	"strings"
)

// Downloads returns the desktop's folder for downloads: $XDG_DOWNLOAD_DIR, or what
// user-dirs.dirs of xdg-user-dirs says, or Downloads in the home directory; empty
// if there is no home.
func Downloads() string {
	if dir := os.Getenv("XDG_DOWNLOAD_DIR"); filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	conf := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(conf) {
		conf = filepath.Join(home, ".config")
	}
	b, err := os.ReadFile(filepath.Join(conf, "user-dirs.dirs"))
	if err != nil {
		b = nil // no desktop
	}
	for line := range strings.Lines(string(b)) {
		v, ok := strings.CutPrefix(strings.TrimSpace(line), "XDG_DOWNLOAD_DIR=")
		if !ok {
			continue
		}
		dir := filepath.Clean(strings.Replace(strings.Trim(v, `"`), "$HOME", home, 1))
		if filepath.IsAbs(dir) && dir != filepath.Clean(home) { // the home itself means none
			return dir
		}
	}
	return filepath.Join(home, "Downloads")
}
