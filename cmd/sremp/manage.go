package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

func (a *app) renameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename NAME",
		Short: "Change the name that others see",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withOutbox(cmd.Context(), func(s *session) error {
				me, err := s.SetName(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				a.say("you are %s now; your contacts see that you changed it", printable(me.Name))
				return nil
			})
		},
	}
}

func (a *app) pictureCommand() *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:   "picture FILE | --none",
		Short: "Show your contacts a picture of you, or no longer",
		Long: "Show your contacts a picture of you: the middle of a PNG, JPEG, GIF or WebP, made small, and without\n" +
			"what else the file tells, as where it was taken. Strangers and servers never get it.",
		Example: "  sremp picture holiday.jpg\n  sremp picture --none",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if none == (len(args) == 1) {
				return usageError{errors.New("picture takes a file or --none")}
			}
			path := ""
			if !none {
				var err error
				if path, err = filepath.Abs(args[0]); err != nil {
					return err
				}
			}
			return a.withOutbox(cmd.Context(), func(s *session) error {
				if _, err := s.SetPicture(cmd.Context(), path); err != nil {
					return err
				}
				if none {
					a.say("your contacts see no picture of you any more")
				} else {
					a.say("your contacts see your picture from now on")
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "show none any more")
	return cmd
}

func (a *app) rotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Replace the keys of connections and first messages now",
		Long: "Replace the X25519 keys now, as is done every 30 days by itself. Your id stays, contacts notice new\n" +
			"keys and stay verified; the old keys answer for another 30 days.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withOutbox(cmd.Context(), func(s *session) error { return s.RotateKeys(cmd.Context()) })
		},
	}
}

// withOutbox runs f and gives what it said a moment to leave.
func (a *app) withOutbox(ctx context.Context, f func(*session) error) error {
	return a.with(ctx, func(s *session) error {
		if err := f(s); err != nil {
			return err
		}
		return s.settleOutbox(ctx)
	})
}

func (a *app) readCommand() *cobra.Command {
	var unread bool
	cmd := &cobra.Command{
		Use:   "read CONTACT",
		Short: "Mark a conversation as read, or as unread",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withContact(ctx, args[0], func(s *session, c client.Contact) error {
				return s.MarkRead(ctx, c.ID, unread)
			})
		},
	}
	cmd.Flags().BoolVar(&unread, "unread", false, "mark it as not looked at")
	return cmd
}

func (a *app) lockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "Lock the running client: it forgets all keys",
		Long: "Lock the client that listen, chat or the desktop runs: it forgets all keys and ends its connections\n" +
			"until sremp unlock. What is sent to you meanwhile waits.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLocking(cmd.Context(), func(l client.Locking) error { return l.Lock(cmd.Context()) })
		},
	}
}

func (a *app) unlockCommand() *cobra.Command {
	var kitFile string
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Unlock the running client",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.withLocking(ctx, func(l client.Locking) error {
				switch locked, err := l.Locked(ctx); {
				case err != nil || !locked:
					return err
				case kitFile != "":
					words, err := a.readWords(kitFile)
					if err != nil {
						return err
					}
					return l.Unlock(ctx, client.Unlock{Kit: words})
				}
				if a.passphraseFile == "" {
					// The keyring opens it without a question, where it holds the key.
					if err := l.Unlock(ctx, client.Unlock{}); err == nil || !errors.Is(err, client.ErrKeyring) {
						return err
					}
				}
				b, err := a.passphrase(false)
				if err != nil {
					return err
				}
				passphrase := string(b)
				return l.Unlock(ctx, client.Unlock{Passphrase: &passphrase})
			})
		},
	}
	cmd.Flags().StringVar(&kitFile, "kit", "", "the recovery kit's words are in `file`, - for standard input")
	return cmd
}

var errNotRunning = errors.New("no client runs on this profile; a profile that is not open is locked")

// withLocking runs f on the running client.
func (a *app) withLocking(ctx context.Context, f func(client.Locking) error) error {
	s, err := a.attach(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s.API.(client.Locking))
}

func (a *app) keyringCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keyring [on|off]",
		Short: "Show who can open the profile; let the desktop's keyring do it",
		Long: "Without an argument, say who can open the profile. With on, the desktop's keyring holds a key that\n" +
			"opens it while you are logged in; with off it no longer does. The recovery kit always opens it.",
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				if len(args) == 1 {
					switch args[0] {
					case "on", "off":
						return s.UseKeyring(ctx, args[0] == "on")
					}
					return usageError{errors.New("keyring takes on or off")}
				}
				k, err := s.Keys(ctx)
				if err != nil {
					return err
				}
				for _, x := range []struct {
					on   bool
					what string
				}{{k.Passphrase, "the passphrase"}, {k.Keyring, "the desktop's keyring"}, {true, "the recovery kit"}} {
					if x.on {
						fmt.Fprintln(a.stdout, x.what)
					}
				}
				if !k.CopySeen.IsZero() {
					a.say("another copy of this profile was in use on %s; stop one of the two", k.CopySeen.Local().Format("2006-01-02 15:04"))
				}
				if !k.LeftBehind.IsZero() {
					a.say("this identity was restored elsewhere, a contact said on %s; it refuses this copy of the profile", k.LeftBehind.Local().Format("2006-01-02 15:04"))
				}
				if k.KitHere {
					a.say("the kit is still on this computer: write it down (sremp kit), then sremp kit --forget")
				}
				return nil
			})
		},
	}
}

func (a *app) successorCommand() *cobra.Command {
	var to string
	var yes bool
	cmd := &cobra.Command{
		Use:   "successor --to PROFILE",
		Short: "Tell all contacts that you have another identity from now on",
		Long: "For when the keys of this profile were stolen and the recovery kit is lost: PROFILE is another\n" +
			"profile of yours, made with init. Each contact gets an invite of it, in this identity's name, and\n" +
			"decides: a thief could say the same, so tell them in another way too. With the recovery kit use\n" +
			"restore instead, which shuts the thief out.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case to == "":
				return usageError{errors.New("successor needs the new profile: --to PROFILE")}
			case !yes:
				return usageError{errors.New("this tells every contact; confirm it with --yes")}
			}
			next := *a
			next.profileArg = to
			if err := next.resolve(); err != nil {
				return err
			}
			return a.succeed(cmd.Context(), &next)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the new `profile`")
	cmd.Flags().BoolVar(&yes, "yes", false, "tell every contact")
	return cmd
}

// succeed introduces next's identity to every contact of a's.
func (a *app) succeed(ctx context.Context, next *app) error {
	return next.with(ctx, func(heir *session) error {
		if err := next.settleServers(ctx, heir); err != nil {
			return err
		}
		return a.withOutbox(ctx, func(s *session) error {
			contacts, err := s.Contacts(ctx)
			if err != nil {
				return err
			}
			for _, c := range contacts {
				if c.Self || c.Trust != client.Trusted {
					continue
				}
				inv, err := heir.Invite(ctx, client.InviteOptions{TTL: successorTTL})
				if err != nil {
					return err
				}
				if err := s.Introduce(ctx, c.ID, inv.URI); err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "%s  %s\n", c.ID, printable(c.Label()))
			}
			return nil
		})
	})
}

// successorTTL is how long contacts have to follow: the longest there is.
const successorTTL = 30 * 24 * time.Hour
