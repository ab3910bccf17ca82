package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/identity"
)

// kitWords is how many words a recovery kit has.
const kitWords = 24

func (a *app) recoverCommand() *cobra.Command {
	var newFile, kitFile string
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Open the profile with the recovery kit when the passphrase is forgotten or the keyring is gone",
		Long: "Ask for the 24 words of the recovery kit (or read them from --kit FILE or from standard input), open the\n" +
			"profile on this computer with them, and set another passphrase. Nothing is lost: identity, contacts and\n" +
			"history stay as they are. On a new computer it takes a backup: see restore.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			if kitFile != "" {
				a.kit, err = a.readKit(kitFile)
			} else {
				a.kit, err = a.askKit()
			}
			if err != nil {
				return err
			}
			return a.with(ctx, func(s *session) error {
				next, err := a.newPassphrase(newFile)
				if err != nil {
					return err
				}
				if err := s.ChangePassphrase(ctx, next); err != nil {
					return err
				}
				contacts, err := s.Contacts(ctx)
				if err != nil {
					return err
				}
				a.say("the profile is open again, with all of its %d conversations; the new passphrase opens it from now on", len(contacts))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&newFile, "new-file", "", "read the new passphrase from the first line of `file`")
	cmd.Flags().StringVar(&kitFile, "kit", "", "read the words from `file`")
	return cmd
}

// askKit reads the words as a person types them: on one line or several, with or
// without their numbers.
func (a *app) askKit() (*[32]byte, error) {
	if a.isTerminal() {
		a.say("type the %d words of the recovery kit, on one line or several:", kitWords)
	}
	var text strings.Builder
	for {
		line, err := a.line(4096)
		fmt.Fprintln(&text, line)
		words := strings.FieldsFunc(text.String(), func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
		count := 0
		for _, w := range words {
			if strings.Trim(w, "0123456789.") != "" {
				count++
			}
		}
		if count >= kitWords || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the recovery kit: %w", err)
		}
	}
	seed, err := identity.ParseKit(text.String())
	if err != nil {
		return nil, err
	}
	return &seed, nil
}
