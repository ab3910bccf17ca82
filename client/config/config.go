// Package config keeps settings in one TOML file for all profiles of a user
// (docs/cli.md). What stands at the top holds for every profile, what stands
// under profile.NAME for that one:
//
//	[notifications]
//	show = "none"
//
//	[profile.work.lock]
//	after = "10m"
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/sremp/sremp/client"
)

// maxFile bounds what is read.
const maxFile = 1 << 20

// profiles is the table of what holds for one profile.
const profiles = "profile"

// A File is the settings file, seen from one profile. It implements
// [client.SettingsStore].
type File struct {
	Path    string
	Profile string // the profile's name in it
}

var _ client.SettingsStore = File{}

// Load returns the settings of the profile, over those of all, over the
// defaults. A file that is not there sets nothing.
func (f File) Load() (client.Settings, error) {
	s, _, err := f.load()
	return s, err
}

// Unknown returns the keys that no setting has: misspelt, or of a newer version.
// They are kept in the file.
func (f File) Unknown() ([]string, error) {
	_, unknown, err := f.load()
	return unknown, err
}

func (f File) load() (s client.Settings, unknown []string, err error) {
	all, err := f.read()
	if err != nil {
		return s, nil, err
	}
	s = client.DefaultSettings()
	unknown, err = f.apply(&s, all, "")
	if err == nil {
		var more []string
		more, err = f.apply(&s, own(all, f.Profile), profiles+"."+f.Profile+".")
		unknown = append(unknown, more...)
	}
	slices.Sort(unknown)
	return s, unknown, err
}

// own returns the table of one profile; nil if there is none.
func own(all map[string]any, profile string) map[string]any {
	tables, _ := all[profiles].(map[string]any)
	table, _ := tables[profile].(map[string]any)
	return table
}

// apply sets what a table says; where is for errors.
func (f File) apply(s *client.Settings, table map[string]any, where string) (unknown []string, err error) {
	known := s.All()
	for key, value := range flat(table) {
		if where == "" && strings.HasPrefix(key, profiles+".") {
			continue
		}
		if _, ok := known[key]; !ok {
			unknown = append(unknown, where+key)
			continue
		}
		if err := s.Set(key, fmt.Sprint(value)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return unknown, nil
}

// flat returns the values of a table and those in it by dotted keys.
func flat(table map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range table {
		if t, ok := v.(map[string]any); ok {
			for k, v := range flat(t) {
				out[key+"."+k] = v
			}
			continue
		}
		out[key] = v
	}
	return out
}

func (f File) read() (map[string]any, error) {
	all := map[string]any{}
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return all, nil
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is no settings file: it has more than 1 MiB", f.Path)
	}
	b, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if _, err := toml.Decode(string(b), &all); err != nil {
		var where toml.ParseError
		if errors.As(err, &where) {
			return nil, fmt.Errorf("%s, line %d: %s; correct it, or remove the file", f.Path, where.Position.Line, where.Message)
		}
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return all, nil
}

// Save writes what is another for this profile than for all. Comments in the
// file are lost; keys that no setting has are kept.
func (f File) Save(s client.Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	all, err := f.read()
	if err != nil {
		return err
	}
	base := client.DefaultSettings()
	if _, err := f.apply(&base, all, ""); err != nil {
		return err
	}
	tables, _ := all[profiles].(map[string]any)
	if tables == nil {
		tables = map[string]any{}
	}
	table := own(all, f.Profile)
	if table == nil {
		table = map[string]any{}
	}
	shared := base.All()
	for key, value := range s.All() {
		put(table, strings.Split(key, "."), typed(value), value == shared[key])
	}
	if tables[f.Profile] = table; len(table) == 0 {
		delete(tables, f.Profile)
	}
	if all[profiles] = tables; len(tables) == 0 {
		delete(all, profiles)
	}
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return write(f.Path, b.Bytes())
}

// put sets a value in nested tables, or removes it and the tables that are empty then.
func put(table map[string]any, path []string, value any, remove bool) {
	if len(path) > 1 {
		sub, _ := table[path[0]].(map[string]any)
		sub = maps.Clone(sub)
		if sub == nil {
			sub = map[string]any{}
		}
		put(sub, path[1:], value, remove)
		if table[path[0]] = sub; len(sub) == 0 {
			delete(table, path[0])
		}
		return
	}
	if table[path[0]] = value; remove {
		delete(table, path[0])
	}
}

// typed returns true and false as TOML has them.
func typed(s string) any {
	switch s {
	case "true":
		return true
	case "false":
		return false
	}
	return s
}

// write replaces a file as a whole.
func write(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".config-*")
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	for _, step := range []func() error{tmp.Sync, tmp.Close} {
		if e := step(); err == nil {
			err = e
		}
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}
