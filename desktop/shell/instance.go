package shell

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

const (
	appInterface = "org.freedesktop.Application"
	appPath      = "/io/github/sremp/Desktop"
)

var errNoProperty = errors.New("shell: there is no such property")

// Name is what the program of a profile is called on the bus: of the directory
// it tells only whether it is the same.
func Name(profile string) string {
	if abs, err := filepath.Abs(profile); err == nil {
		profile = abs
	}
	if real, err := filepath.EvalSymlinks(profile); err == nil {
		profile = real
	}
	sum := sha256.Sum256([]byte(profile))
	return AppID + ".p" + hex.EncodeToString(sum[:8])
}

// Claim makes this program the one of a profile. If another is that already, it
// is asked to show itself, with links to open, and Claim returns false.
func (s *Shell) Claim(profile string, links ...string) (first bool) {
	if s.bus == nil {
		return true
	}
	name := Name(profile)
	if err := s.bus.Export(application{s}, appPath, appInterface); err != nil {
		return true
	}
	reply, err := s.bus.RequestName(name, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyExists {
		return true
	}
	data := map[string]dbus.Variant{}
	token := os.Getenv("XDG_ACTIVATION_TOKEN")
	if token == "" {
		token = os.Getenv("DESKTOP_STARTUP_ID")
	}
	if token != "" {
		data["activation-token"] = dbus.MakeVariant(token)
		data["desktop-startup-id"] = dbus.MakeVariant(token)
	}
	other := s.bus.Object(name, appPath)
	if len(links) == 0 {
		err = s.call(other, appInterface+".Activate", []any{data})
	} else {
		err = s.call(other, appInterface+".Open", []any{links, data})
	}
	return err != nil // it is about to end
}

// application are the methods of org.freedesktop.Application.
type application struct{ s *Shell }

func token(data map[string]dbus.Variant) string {
	for _, name := range []string{"activation-token", "desktop-startup-id"} {
		if t, ok := data[name].Value().(string); ok {
			return t
		}
	}
	return ""
}

// Activate shows the window.
func (a application) Activate(data map[string]dbus.Variant) *dbus.Error {
	a.s.do(func() { a.s.tell(func(e Events) { e.Raise(token(data)) }) })
	return nil
}

// Open shows the window with links.
func (a application) Open(links []string, data map[string]dbus.Variant) *dbus.Error {
	for _, link := range links {
		a.s.do(func() { a.s.tell(func(e Events) { e.Link(link, token(data)) }) })
	}
	return nil
}

// ActivateAction is not offered.
func (a application) ActivateAction(string, []dbus.Variant, map[string]dbus.Variant) *dbus.Error {
	return dbus.MakeFailedError(errors.New("shell: there is no such action"))
}
