package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

func (a *app) kitCommand() *cobra.Command {
	var forget bool
	cmd := &cobra.Command{
		Use:   "kit",
		Short: "Show the recovery kit: 24 words to write down",
		Long: "Print the recovery kit. It opens the profile when the passphrase is forgotten, and brings you back\n" +
			"on a new computer, with a backup. Write it on paper; then --forget removes it from this computer,\n" +
			"so that nobody who gets at it can become you for good.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				if forget {
					if err := s.ForgetKit(ctx); err != nil {
						return err
					}
					a.say("the kit is no longer on this computer")
					return nil
				}
				words, err := s.RecoveryKit(ctx)
				if err != nil {
					return err
				}
				for i, w := range words {
					fmt.Fprintf(a.stdout, "%2d. %s\n", i+1, w)
				}
				a.say("write these words down, in this order; then: sremp kit --forget")
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "it is written down: remove it from this computer")
	return cmd
}

func (a *app) passphraseCommand() *cobra.Command {
	var newFile, kitFile string
	cmd := &cobra.Command{
		Use:   "passphrase",
		Short: "Change the passphrase, or set one with the recovery kit",
		Long: "Change the passphrase. When it is forgotten, --kit FILE (- for standard input) with the 24 words of\n" +
			"the recovery kit opens the profile instead.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if kitFile != "" {
				var err error
				if a.kit, err = a.readKit(kitFile); err != nil {
					return err
				}
			}
			return a.with(ctx, func(s *session) error {
				next, err := a.newPassphrase(newFile)
				if err != nil {
					return err
				}
				if err := s.ChangePassphrase(ctx, next); err != nil {
					return err
				}
				a.say("the passphrase is changed; backups made before open with the old one")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&newFile, "new-file", "", "read the new passphrase from the first line of `file`")
	cmd.Flags().StringVar(&kitFile, "kit", "", "open the profile with the recovery kit's words in `file`")
	return cmd
}

// restoreConfig is the configuration of a restored profile. Without the kit, the
// passphrase opens the backup as well, and must be that one.
func (a *app) restoreConfig(ctx context.Context, db client.Store, withKit bool) (cfg client.Config, err error) {
	if withKit {
		return a.newConfig(ctx, db)
	}
	cfg = a.baseConfig(db)
	cfg.Passphrase, err = a.passphrase(false)
	return cfg, err
}

// newPassphrase reads a new passphrase from a file or asks for it twice.
func (a *app) newPassphrase(file string) ([]byte, error) {
	if file == "" && os.Getenv(passphraseVariable) != "" {
		return nil, usageError{errors.New("the new passphrase is read from --new-file, or asked for on a terminal")}
	}
	b := *a
	b.passphraseFile = file
	return b.passphrase(true)
}

// readKit reads the words from a file, or from standard input.
func (a *app) readKit(file string) (*[32]byte, error) {
	words, err := a.readWords(file)
	if err != nil {
		return nil, err
	}
	seed, err := identity.ParseKit(words)
	if err != nil {
		return nil, err
	}
	return &seed, nil
}

func (a *app) readWords(file string) (string, error) {
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(io.LimitReader(bufio.NewReader(a.stdin), 4096))
	} else {
		b, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("reading the recovery kit: %w", err)
	}
	return string(b), nil
}

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup that the passphrase or the recovery kit opens, or add to it",
		Long: "Write a backup that the passphrase or the recovery kit opens. If FILE is a backup of this profile, what\n" +
			"is new is added to it; it is written anew when something in it was deleted. No other file is touched.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(s *session) error { return s.Backup(cmd.Context(), path) })
		},
	}
}

func (a *app) restoreCommand() *cobra.Command {
	var kitFile string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a profile from a backup, on a new computer",
		Long: "Make a profile from a backup. The lost computer is shut out: contacts accept the new one by\n" +
			"themselves, and what comes from now on reaches only that one. For this the recovery kit is needed,\n" +
			"unless the backup is older than the moment when the kit was written down.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.restore(cmd.Context(), args[0], kitFile)
		},
	}
	cmd.Flags().StringVar(&kitFile, "kit", "", "the recovery kit's words are in `file`, - for standard input")
	return cmd
}

func (a *app) restore(ctx context.Context, file, kitFile string) (err error) {
	var kit *[32]byte
	if kitFile != "" {
		if kit, err = a.readKit(kitFile); err != nil {
			return err
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the backup: %w", err)
	}
	defer f.Close()
	db, err := sqlite.Create(ctx, a.profile)
	if err != nil {
		return err
	}
	defer db.Close()
	cfg, err := a.restoreConfig(ctx, db, kit != nil)
	if err != nil {
		return err
	}
	cfg.Kit = kit
	out, err := client.Restore(ctx, cfg, f)
	if err != nil {
		return err
	}
	if out.Damaged {
		a.say("the end of the backup is damaged; what was added to it before is restored")
	}
	a.say("%s is restored as it was on %s, with %d contacts: what was written later is not in the backup",
		strings.TrimSpace(a.profile), out.Made.Local().Format("2006-01-02 15:04"), out.Contacts)
	a.say("contacts accept this computer by themselves as soon as they are connected; the old one receives nothing more")
	return nil
}
