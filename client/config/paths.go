package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where things are, after the XDG base directory specification.
const (
	program        = "sremp"
	configName     = "config.toml"
	profilesDir    = "profiles"
	databaseName   = "client.db"
	DefaultProfile = "default" // the name of the profile that needs none
	maxName        = 40
)

// ErrProfileName is returned for what can be neither a name nor a directory.
var ErrProfileName = errors.New("a profile's name has letters, digits, - and _, at most 40; a directory has a / in it")

// xdg returns the directory that a variable names, or one below the home.
func xdg(variable string, below ...string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, program)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return program + "-data"
	}
	return filepath.Join(append(append([]string{home}, below...), program)...)
}

// DataDir is $XDG_DATA_HOME/sremp: the default profile's directory, with those of
// the named ones in it.
func DataDir() string { return xdg("XDG_DATA_HOME", ".local", "share") }

// SettingsFile is $XDG_CONFIG_HOME/sremp/config.toml.
func SettingsFile() string { return filepath.Join(xdg("XDG_CONFIG_HOME", ".config"), configName) }

// Profile returns the directory that a user named: a name is one below DataDir,
// what has a slash is a directory. name is the profile's in the settings file.
func Profile(s string) (dir, name string, err error) {
	switch {
	case s == "" || s == DefaultProfile:
		return DataDir(), DefaultProfile, nil
	case strings.ContainsRune(s, filepath.Separator) || s == "." || s == "..":
		if dir, err = filepath.Abs(s); err != nil {
			return "", "", fmt.Errorf("config: %w", err)
		}
		return dir, nameOf(dir), nil
	case len(s) > maxName || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
		return "", "", ErrProfileName
	}
	return filepath.Join(DataDir(), profilesDir, s), s, nil
}

// nameOf is the inverse of Profile for the directories of names; others are
// their own names.
func nameOf(dir string) string {
	if dir == DataDir() {
		return DefaultProfile
	}
	if parent, name := filepath.Split(dir); filepath.Clean(parent) == filepath.Join(DataDir(), profilesDir) {
		return name
	}
	return dir
}

// Profiles returns the names of the profiles that exist, the default one first.
func Profiles() (names []string, err error) {
	if _, err := os.Stat(filepath.Join(DataDir(), databaseName)); err == nil {
		names = append(names, DefaultProfile)
	}
	entries, err := os.ReadDir(filepath.Join(DataDir(), profilesDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("config: %w", err)
	}
	var more []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(DataDir(), profilesDir, e.Name(), databaseName)); err == nil {
			more = append(more, e.Name())
		}
	}
	slices.Sort(more)
	return append(names, more...), nil
}
