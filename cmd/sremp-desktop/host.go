package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/sremp/sremp/client/config"
	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

var _ present.Host = (*profile)(nil)

// ProfileSize implements [present.Host].
func (p *profile) ProfileSize() (n int64) {
	// What cannot be read counts nothing.
	_ = filepath.WalkDir(p.dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// Documents implements [present.Host].
func (p *profile) Documents() string {
	if dir := config.Downloads(); dir != "" {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return p.dir
	}
	return home
}

// pastedDir is where pictures are kept that were pasted, in the profile.
const pastedDir = "pasted"

// Keep implements [present.Host].
func (p *profile) Keep(png []byte) (string, error) {
	dir := filepath.Join(p.dir, pastedDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "picture-*.png") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(png)
	return f.Name(), errors.Join(err, f.Close())
}

// source is where this program's source is.
const source = "https://github.com/sremp/sremp"

// About implements [present.Host].
func (p *profile) About() []present.Fact {
	version, revision := "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
		version += ", " + info.GoVersion
	}
	facts := []present.Fact{{What: tr.Mark("Version"), Text: version}}
	if revision != "" {
		facts = append(facts, present.Fact{What: tr.Mark("Revision"), Text: revision})
	}
	return append(facts,
		present.Fact{What: tr.Mark("Licence"), Text: "GNU AGPL 3.0"},
		present.Fact{What: tr.Mark("Source"), Text: source},
		present.Fact{What: tr.Mark("Profile"), Text: p.dir},
	)
}
