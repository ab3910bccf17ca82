package client

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Settings are what a person chose. [DefaultSettings] has what holds if nothing
// is said; docs/cli.md explains each.
type Settings struct {
	Notifications NotificationSettings `json:"notifications" toml:"notifications"`
	Contacts      ContactDefaults      `json:"contacts" toml:"contacts"`
	Lock          LockSettings         `json:"lock" toml:"lock"`
	Network       NetworkSettings      `json:"network" toml:"network"`
	Files         FileSettings         `json:"files" toml:"files"`
	Appearance    AppearanceSettings   `json:"appearance" toml:"appearance"`
}

// NotificationSettings say what notifications show.
type NotificationSettings struct {
	Show      string `json:"show" toml:"show"`           // none, sender or full
	Requests  bool   `json:"requests" toml:"requests"`   // notify of strangers' requests
	Reactions bool   `json:"reactions" toml:"reactions"` // and of reactions
	Mentions  bool   `json:"mentions" toml:"mentions"`   // and of mentions in muted conversations
}

// What notifications show.
const (
	ShowNone   = "none"   // that there is something
	ShowSender = "sender" // and of whom
	ShowFull   = "full"   // and the text
)

// ContactDefaults are what new contacts begin with.
type ContactDefaults struct {
	ShareRead   bool `json:"share_read" toml:"share_read"`
	ShareTyping bool `json:"share_typing" toml:"share_typing"`
	RelayOnly   bool `json:"relay_only" toml:"relay_only"`
}

// LockSettings say when the profile locks itself.
type LockSettings struct {
	After Span `json:"after" toml:"after"` // without a command; 0: never
}

// NetworkSettings say how the client uses the network.
type NetworkSettings struct {
	Listen string `json:"listen" toml:"listen"` // UDP address, from the next start on
	// Whether a program that stays asks the router for a port that leads to it,
	// and finds contacts on the local network: from the next start on.
	MapPorts bool `json:"map_ports" toml:"map_ports"`
	LAN      bool `json:"lan" toml:"lan"`
}

// FileSettings say what becomes of files (spec §8.14).
type FileSettings struct {
	Downloads         string `json:"downloads" toml:"downloads"`                     // folder of received files; empty: the face's choice
	Accept            Size   `json:"accept" toml:"accept"`                           // of trusted contacts, taken without asking up to it
	DeleteWithMessage bool   `json:"delete_with_message" toml:"delete_with_message"` // a received file goes with its message
}

// AppearanceSettings say how a face with a window looks.
type AppearanceSettings struct {
	Scheme string  `json:"scheme" toml:"scheme"` // system, light or dark
	Text   Percent `json:"text" toml:"text"`     // of the system's text size
}

// The colours of a window.
const (
	SchemeSystem = "system"
	SchemeLight  = "light"
	SchemeDark   = "dark"
)

// DefaultSettings are those of a new profile.
func DefaultSettings() Settings {
	return Settings{
		Notifications: NotificationSettings{Show: ShowSender, Requests: true, Reactions: true, Mentions: true},
		Network:       NetworkSettings{Listen: ":0", MapPorts: true, LAN: true},
		Files:         FileSettings{Accept: 25_000_000},
		Appearance:    AppearanceSettings{Scheme: SchemeSystem, Text: 100},
	}
}

// A Span is a time span written as 10m or 1h30m; 0 is never.
type Span time.Duration

// String returns never, or a duration.
func (s Span) String() string {
	if s == 0 {
		return "never"
	}
	return time.Duration(s).String()
}

// MarshalText implements [encoding.TextMarshaler].
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Span) UnmarshalText(b []byte) error {
	if v := string(b); v == "never" || v == "0" || v == "off" {
		*s = 0
		return nil
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time span; write 90s, 10m, 24h or never", b)
	}
	*s = Span(d)
	return nil
}

// A Size is a number of bytes written as 25MB; 0 is never.
type Size int64

// sizeUnits are the units of sizes, the largest first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// String returns never, or a number with its unit that UnmarshalText reads as s.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s > 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "never"
}

// MarshalText implements [encoding.TextMarshaler].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.ReplaceAll(string(b), " ", "")
	if text == "never" || text == "0" || text == "off" {
		*s = 0
		return nil
	}
	for _, u := range sizeUnits {
		if n, ok := cutUnit(text, u.name); ok {
			v, err := strconv.ParseInt(n, 10, 64)
			if err != nil || v < 0 || v > 1<<50/u.bytes {
				break
			}
			*s = Size(v * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("%q is no size; write 500kB, 25MB, 4GB or never", b)
}

// cutUnit removes a unit, in whatever case, from the end of a size.
func cutUnit(text, unit string) (number string, ok bool) {
	if len(text) > len(unit) && strings.EqualFold(text[len(text)-len(unit):], unit) {
		return text[:len(text)-len(unit)], true
	}
	return "", false
}

// A Percent is written as a number, 100 or 150.
type Percent int

// minText and maxText are what text can still be read at.
const minText, maxText = 50, 300

const wantText = "percent of the usual size, 50 to 300"

// A SettingError says which setting cannot be what it was set to.
type SettingError struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Want  string `json:"want"`
}

func (e *SettingError) Error() string {
	if e.Want == "" {
		return fmt.Sprintf("there is no setting %s; sremp settings lists them", e.Key)
	}
	return fmt.Sprintf("the setting %s cannot be %q; it is %s", e.Key, e.Value, e.Want)
}

// minLock keeps a profile from locking itself while it is being used.
const minLock = Span(10 * time.Second)

// Check returns a [*SettingError] for the first value that cannot be.
func (s Settings) Check() error {
	switch s.Notifications.Show {
	case ShowNone, ShowSender, ShowFull:
	default:
		return &SettingError{"notifications.show", s.Notifications.Show, "none, sender or full"}
	}
	switch s.Appearance.Scheme {
	case SchemeSystem, SchemeLight, SchemeDark:
	default:
		return &SettingError{"appearance.scheme", s.Appearance.Scheme, "system, light or dark"}
	}
	if n := s.Appearance.Text; n < minText || n > maxText {
		return &SettingError{"appearance.text", strconv.Itoa(int(n)), wantText}
	}
	if a := s.Lock.After; a < 0 || a > 0 && a < minLock {
		return &SettingError{"lock.after", a.String(), "at least 10s, or never"}
	}
	if d := s.Files.Downloads; d != "" && !filepath.IsAbs(d) {
		return &SettingError{"files.downloads", d, "a whole path, beginning with /"}
	}
	_, port, err := net.SplitHostPort(s.Network.Listen)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n > 65535 {
		return &SettingError{"network.listen", s.Network.Listen, "HOST:PORT, as in :0 or 192.0.2.1:4433"}
	}
	return nil
}

// settingFields are all settings by their dotted keys.
func (s *Settings) fields() map[string]any {
	return map[string]any{
		"notifications.show":      &s.Notifications.Show,
		"notifications.requests":  &s.Notifications.Requests,
		"notifications.reactions": &s.Notifications.Reactions,
		"notifications.mentions":  &s.Notifications.Mentions,
		"contacts.share_read":     &s.Contacts.ShareRead,
		"contacts.share_typing":   &s.Contacts.ShareTyping,
		"contacts.relay_only":     &s.Contacts.RelayOnly,
		"lock.after":              &s.Lock.After,
		"network.listen":          &s.Network.Listen,
		"network.map_ports":       &s.Network.MapPorts,
		"network.lan":             &s.Network.LAN,

		"appearance.scheme": &s.Appearance.Scheme,
		"appearance.text":   &s.Appearance.Text,

		"files.downloads":           &s.Files.Downloads,
		"files.accept":              &s.Files.Accept,
		"files.delete_with_message": &s.Files.DeleteWithMessage,
	}
}

// All returns every setting as text, by its key.
func (s Settings) All() map[string]string {
	out := map[string]string{}
	for key, v := range s.fields() {
		switch v := v.(type) {
		case *string:
			out[key] = *v
		case *bool:
			out[key] = strconv.FormatBool(*v)
		case *Span:
			out[key] = v.String()
		case *Size:
			out[key] = v.String()
		case *Percent:
			out[key] = strconv.Itoa(int(*v))
		}
	}
	return out
}

// Set changes one setting. It returns a [*SettingError] and changes nothing if
// there is none of that key, or the value cannot be.
func (s *Settings) Set(key, value string) error {
	next := *s
	field, ok := next.fields()[key]
	if !ok {
		return &SettingError{Key: key}
	}
	switch f := field.(type) {
	case *string:
		*f = value
	case *bool:
		switch strings.ToLower(value) {
		case "true", "on", "yes":
			*f = true
		case "false", "off", "no":
			*f = false
		default:
			return &SettingError{key, value, "true or false"}
		}
	case *Span:
		if f.UnmarshalText([]byte(value)) != nil {
			return &SettingError{key, value, "a time span such as 90s, 10m or 24h, or never"}
		}
	case *Size:
		if f.UnmarshalText([]byte(value)) != nil {
			return &SettingError{key, value, "a size such as 500kB, 25MB or 4GB, or never"}
		}
	}
	if f, ok := field.(*Percent); ok {
		n, err := strconv.Atoi(strings.TrimSuffix(value, "%"))
		if err != nil {
			return &SettingError{key, value, wantText}
		}
		*f = Percent(n)
	}
	if err := next.Check(); err != nil {
		return err
	}
	*s = next
	return nil
}

// A SettingsStore keeps the settings of one profile.
type SettingsStore interface {
	// Load returns what is stored, over the defaults.
	Load() (Settings, error)
	// Save stores s.
	Save(s Settings) error
}

// Settings implements [API].
func (c *Client) Settings(context.Context) (Settings, error) { return *c.settings.Load(), nil }

// SetSettings implements [API].
func (c *Client) SetSettings(ctx context.Context, s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	return c.do(ctx, func(k *core) error {
		if store := c.cfg.Settings; store != nil {
			if err := store.Save(s); err != nil {
				return err
			}
		}
		c.settings.Store(&s)
		k.emit(SettingsEvent{Settings: s})
		return nil
	})
}

// loadSettings reads them when a profile is opened.
func (c *Client) loadSettings() error {
	s := DefaultSettings()
	if c.cfg.Settings != nil {
		var err error
		if s, err = c.cfg.Settings.Load(); err != nil {
			return err
		}
		if err := s.Check(); err != nil {
			return err
		}
	}
	c.settings.Store(&s)
	return nil
}
