package shell

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Autostart says whether the session starts the program of a profile.
func Autostart(profile string) bool {
	_, err := os.Stat(autostartFile(profile))
	return err == nil
}

// SetAutostart has the session start it, in the background, or no longer.
func SetAutostart(profile string, on bool) error {
	path := autostartFile(profile)
	if !on {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("shell: %w", err)
		}
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	if profile, err = filepath.Abs(profile); err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	text := "[Desktop Entry]\nType=Application\nName=SREMP\nIcon=" + AppID + "\nTerminal=false\nX-GNOME-Autostart-enabled=true\n" +
		"Exec=" + execArg(program) + " --background --profile " + execArg(profile) + "\n"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	return replace(path, []byte(text))
}

// autostartFile is one for each profile, so that two do not know of each other.
func autostartFile(profile string) string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "autostart", Name(profile)+".desktop")
}

// execArg quotes an argument of an Exec line (Desktop Entry Specification,
// section "The Exec key"): once for the line, once for the value.
func execArg(s string) string {
	quoted := strings.NewReplacer(`"`, `\"`, "`", "\\`", "$", `\$`, `\`, `\\`).Replace(s)
	return `"` + strings.NewReplacer(`\`, `\\`, "%", "%%", "\n", `\n`).Replace(quoted) + `"`
}

// StateFile holds a [State], in the profile's directory.
const StateFile = "desktop.json"

// A State is what is remembered of the window. It stands on the disk as it is,
// so it says nothing of contacts but a byte: see [State.Last].
type State struct {
	Width     int  `json:"width"`
	Height    int  `json:"height"`
	Maximized bool `json:"maximized,omitempty"`
	Pane      int  `json:"pane"` // the width of the list, in pixels
	// Last is a byte of a hash of the conversation that was open, 0 to 255, or -1
	// for none: enough to find it among a few, and no proof of any.
	Last       int  `json:"last"`
	Background bool `json:"background"` // closing the window leaves the program running
}

// Sizes of a window that a damaged file is not to be believed beyond, in pixels.
const smallest, largest = 200, 16384

// LoadState returns what is remembered in a profile, and first for what is not.
func LoadState(profile string, first State) State {
	b, err := os.ReadFile(filepath.Join(profile, StateFile))
	if err != nil {
		return first
	}
	return parseState(b, first)
}

func parseState(b []byte, first State) State {
	s := first
	if json.Unmarshal(b, &s) != nil {
		return first
	}
	for _, side := range []struct{ v, first *int }{{&s.Width, &first.Width}, {&s.Height, &first.Height}, {&s.Pane, &first.Pane}} {
		if *side.v < smallest || *side.v > largest {
			*side.v = *side.first
		}
	}
	return s
}

// Save remembers the state, if there is such a profile.
func (s State) Save(profile string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	if _, err := os.Stat(profile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return replace(filepath.Join(profile, StateFile), append(b, '\n'))
}

// replace writes a file as a whole.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	_, err = f.Write(b)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("shell: %w", err)
	}
	return nil
}
