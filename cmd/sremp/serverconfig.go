package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
)

// limitPrefix begins the names of a relay's limits in a configuration file,
// rendezvousPrefix those of a rendezvous.
const (
	limitPrefix      = "limit."
	rendezvousPrefix = "rendezvous."
)

// limits are those of both halves of a server.
type limits struct {
	relay      relay.Limits
	rendezvous rendezvous.Limits
}

func defaultLimits() limits { return limits{relay.DefaultLimits(), rendezvous.DefaultLimits()} }

// A setting is one line of a configuration file.
type setting struct {
	line        int
	name, value string
}

// readConfig parses lines of the form "name = value". Empty lines and those that
// begin with # are nothing.
func readConfig(b []byte) (all []setting, err error) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		s := setting{n, strings.TrimSpace(name), strings.TrimSpace(value)}
		switch {
		case !ok || s.name == "" || s.value == "":
			return nil, fmt.Errorf("line %d of the configuration is not \"name = value\"", n)
		case seen[s.name]:
			return nil, fmt.Errorf("line %d of the configuration sets %s a second time", n, s.name)
		}
		seen[s.name] = true
		all = append(all, s)
	}
	return all, lines.Err()
}

// loadConfig applies a server's configuration file: every flag of cmd but those
// given on the command line, and the limits, which it returns.
func loadConfig(cmd *cobra.Command, path string) (limits, error) {
	l := defaultLimits()
	if path == "" {
		return l, nil
	}
	all, err := configFile(path)
	if err != nil {
		return l, err
	}
	for _, s := range all {
		if strings.HasPrefix(s.name, limitPrefix) || strings.HasPrefix(s.name, rendezvousPrefix) {
			continue
		}
		f := cmd.Flags().Lookup(s.name)
		if f == nil || s.name == "config" || s.name == "help" {
			return l, usageError{fmt.Errorf("line %d of the configuration: there is no setting named %q", s.line, s.name)}
		}
		if f.Changed {
			continue
		}
		if err := f.Value.Set(s.value); err != nil {
			return l, usageError{fmt.Errorf("line %d of the configuration: %w", s.line, err)}
		}
	}
	return l, setLimits(&l, all)
}

func configFile(path string) ([]setting, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	all, err := readConfig(b)
	if err != nil {
		return nil, usageError{err}
	}
	return all, nil
}

func setLimits(l *limits, all []setting) error {
	for _, s := range all {
		var err error
		if name, ok := strings.CutPrefix(s.name, limitPrefix); ok {
			err = l.relay.Set(name, s.value)
		} else if name, ok := strings.CutPrefix(s.name, rendezvousPrefix); ok {
			err = l.rendezvous.Set(name, s.value)
		}
		if err != nil {
			return usageError{fmt.Errorf("line %d of the configuration: %w", s.line, err)}
		}
	}
	return nil
}

// reloadLimits reads the limits of a configuration file anew.
func reloadLimits(path string) (relay.Limits, error) {
	l := defaultLimits()
	all, err := configFile(path)
	if err == nil {
		err = setLimits(&l, all)
	}
	return l.relay, err
}
