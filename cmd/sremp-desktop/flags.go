package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/sremp/sremp/client/config"
	"github.com/sremp/sremp/client/keyring"
	"github.com/sremp/sremp/identity"
)

// passphraseVariable is the environment variable for scripts. The passphrase may
// be empty, so it counts when it is set.
const passphraseVariable = "SREMP_PASSPHRASE"

// fromFlags returns the profile that the command line names; nil if there is
// nothing to do but to exit. status is for a non-nil error.
func fromFlags(args []string, stdout, stderr io.Writer) (p *profile, status int, err error) {
	f := flag.NewFlagSet("sremp-desktop", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	named := f.String("profile", "", "`name` of the profile, or its directory; without one the default profile")
	file := f.String("passphrase-file", "", "`file` whose first line is the passphrase; else "+passphraseVariable+" counts, else the window asks")
	listen := f.String("listen", "", "UDP `address` to listen on, instead of any free port")
	background := f.Bool("background", false, "do not show the window at first")
	verbose := f.Bool("verbose", false, "write a log to standard error")
	help := func(w io.Writer) {
		fmt.Fprintln(w, "Usage: sremp-desktop [flags] [LINK]\n\nThe messenger in a window. A LINK begins with sremp: and is an invite or a server's address; it is shown, never followed by itself.")
		f.SetOutput(w)
		f.PrintDefaults()
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(stdout)
		return nil, exitOK, nil
	case err != nil:
		return nil, exitUsage, err
	case f.NArg() > 1 || f.NArg() == 1 && !strings.HasPrefix(strings.ToLower(f.Arg(0)), identity.InviteScheme):
		return nil, exitUsage, fmt.Errorf("unexpected argument %q; --help lists the flags", f.Arg(f.NArg()-1))
	}
	dir, name, err := config.Profile(*named)
	if err != nil {
		return nil, exitUsage, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, exitOther, err
	}
	p = &profile{dir: dir, name: name, ring: keyring.New(dir), listen: *listen, log: slog.New(slog.DiscardHandler),
		links: f.Args(), background: *background}
	if *verbose {
		p.log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if *file != "" {
		b, err := os.ReadFile(*file)
		if err != nil {
			return nil, exitOther, fmt.Errorf("reading the passphrase: %w", err)
		}
		line, _, _ := bytes.Cut(b, []byte("\n"))
		p.given, p.passphrase = true, string(bytes.TrimSuffix(line, []byte("\r")))
	} else if v, ok := os.LookupEnv(passphraseVariable); ok {
		p.given, p.passphrase = true, v
	}
	return p, exitOK, nil
}
