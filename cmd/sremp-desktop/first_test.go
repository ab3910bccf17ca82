//go:build gtk

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstStartAndSettings goes from nothing to a profile with a passphrase,
// through every page of the settings, to the lock and back.
func TestFirstStartAndSettings(t *testing.T) {
	s := newSeat(t, "first", "960x680")
	profile := filepath.Join(t.TempDir(), "p")
	s.start(nil, "--profile", profile)
	s.focused("Your name")
	s.write("Lena")
	s.key("Return")
	s.focused("Passphrase")
	s.key("Return") // none
	s.seesPart("Without a passphrase, whoever gets at this computer")
	s.sees("Go on without a passphrase")
	s.shot("50-no-passphrase")
	s.audit("no-passphrase")
	s.round("no-passphrase")
	s.clickOn(s.until("the passphrase", func(n node) bool { return n.name == "Passphrase" }))
	s.focused("Passphrase")
	s.write("staple")
	s.sees("Start")
	s.key("Return")
	s.seesPart("Nobody is here yet.")
	s.sees("Add a server")
	s.seesPart("Note to self")
	s.shot("51-offers")

	s.press("Write down the recovery kit")
	words := s.until("the words", func(n node) bool { return strings.HasPrefix(n.name, "The words: ") }).name
	if n := len(strings.Fields(strings.TrimPrefix(words, "The words: "))); n != 24 {
		t.Errorf("the kit has %d words, want 24", n)
	}
	s.shot("52-kit")
	s.audit("kit")
	s.round("kit")
	s.key("Escape")
	s.sees("Write down the recovery kit") // closing decides nothing

	s.key("ctrl+comma")
	s.sees("Settings")
	for i, page := range []struct{ tab, has string }{
		{"Profile", "Change the name"}, {"Privacy", "Hide my address"}, {"Notifications", "Of reactions"},
		{"Appearance", "Text size"}, {"Storage", "Delete these files"}, {"Keys and backup", "Make a backup"},
		{"Network", "Ask the router for a port"}, {"About", "Copy your id"},
	} {
		s.press(page.tab)
		s.sees(page.has)
		s.shot("53-settings-" + string(rune('a'+i)))
		s.audit("settings-" + string(rune('a'+i)))
	}
	s.press("Privacy")
	s.press("Say that I write")
	s.until("the setting in the file", func(node) bool {
		b, err := os.ReadFile(filepath.Join(s.home, "sremp", "config.toml"))
		return err == nil && strings.Contains(string(b), "share_typing = true")
	})
	s.press("Profile")
	s.key("Escape")
	s.at("Note to self, ") // the list of conversations

	s.key("ctrl+l")
	s.focused("Passphrase")
	s.sees("Locked")
	s.shot("54-locked")
	s.audit("locked")
	s.round("locked")
	s.clickOn(s.until("the passphrase", func(n node) bool { return n.name == "Passphrase" }))
	s.focused("Passphrase")
	s.write("staple")
	s.key("Return")
	s.seesPart("Nobody is here yet.")
	s.key("ctrl+q")
	s.wait()
}

// TestKeyring lets the desktop's keyring keep the key: one question, the name.
func TestKeyring(t *testing.T) {
	daemon, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Log("gnome-keyring is not installed: the keyring's own tests have to do")
		return
	}
	s := newSeat(t, "keyring", "800x600")
	cmd := exec.Command(daemon, "--foreground", "--unlock", "--components=secrets")
	cmd.Env, cmd.Stdin = s.env, strings.NewReader("the login passphrase")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	s.awaitName("org.freedesktop.secrets")
	profile := filepath.Join(t.TempDir(), "p")
	s.start(nil, "--profile", profile)
	s.focused("Your name")
	s.shot("55-keyring-start")
	s.write("Lena")
	s.key("Return")
	s.sees("Write down the recovery kit")
	s.key("ctrl+l")
	s.seesPart("The desktop's keyring opens your messages.")
	s.shot("56-keyring-locked")
	s.focused("Unlock")
	s.key("Return")
	s.sees("Write down the recovery kit")
	s.key("ctrl+q")
	s.wait()
	s.start(nil, "--profile", profile) // opens by itself
	s.sees("Write down the recovery kit")
	s.key("ctrl+q")
	s.wait()
}
