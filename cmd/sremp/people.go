package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

// withContact runs f for the contact that a person named.
func (a *app) withContact(ctx context.Context, name string, f func(*session, client.Contact) error) error {
	return a.with(ctx, func(s *session) error {
		c, err := s.find(ctx, name)
		if err != nil {
			return err
		}
		return f(s, c)
	})
}

func (a *app) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust CONTACT",
		Short: "Accept a request, or somebody whom you had blocked",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setTrust(cmd.Context(), args[0], client.Trusted)
		},
	}
}

func (a *app) blockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "block CONTACT",
		Short: "Block a contact, or refuse a request",
		Long: "Block a contact: it is disconnected, can leave no messages, and is not told. The history stays;\n" +
			"sremp trust takes it back.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setTrust(cmd.Context(), args[0], client.Rejected)
		},
	}
}

func (a *app) setTrust(ctx context.Context, name string, t client.TrustState) error {
	return a.withContact(ctx, name, func(s *session, c client.Contact) error {
		if err := s.SetTrust(ctx, c.ID, t); err != nil {
			return err
		}
		a.say("%s is %s", printable(c.Label()), t)
		if t == client.Trusted {
			return a.settleContact(ctx, s, c)
		}
		return nil
	})
}

func (a *app) verifyCommand() *cobra.Command {
	var qr, undo bool
	cmd := &cobra.Command{
		Use:   "verify CONTACT [WORDS]",
		Short: "Compare words with a contact, to be sure that nobody stands between",
		Long: "Print 12 words. Your contact sees the same ones; compare them in person or on the phone. Then run it\n" +
			"again with the words that your contact sees, or with what its QR code says: the contact is\n" +
			"marked as verified if they are the same.",
		Example: "  sremp verify Bob\n  sremp verify Bob 'abandon ability … zoo'",
		Args:    takes(1, 13),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withContact(ctx, args[0], func(s *session, c client.Contact) error {
				proof := strings.Join(args[1:], " ")
				switch {
				case undo:
					return s.Verify(ctx, c.ID, "")
				case proof != "":
					if err := s.Verify(ctx, c.ID, proof); err != nil {
						return err
					}
					a.say("%s is verified", printable(c.Label()))
					return nil
				}
				v, err := s.Verification(ctx, c.ID)
				if err != nil {
					return err
				}
				if qr {
					if err := drawQR(a.stdout, v.Code); err != nil {
						return err
					}
				}
				for row := range 3 {
					fmt.Fprintln(a.stdout, strings.Join(v.Words[4*row:4*row+4], " "))
				}
				if v.Verified.IsZero() {
					a.say("not verified yet: compare these words with %s", printable(c.Label()))
				} else {
					a.say("verified on %s", v.Verified.Local().Format("2006-01-02 15:04"))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&qr, "qr", false, "draw a QR code for the contact to scan as well")
	cmd.Flags().BoolVar(&undo, "undo", false, "take the mark away")
	return cmd
}

func (a *app) setCommand() *cobra.Command {
	var nick, timer, draft string
	var pin, mute, archive, read, typing, relayOnly bool
	cmd := &cobra.Command{
		Use:   "set CONTACT",
		Short: "Change settings of a conversation",
		Example: "  sremp set Bob --nick Robert --pin\n" +
			"  sremp set Bob --disappear 24h\n" +
			"  sremp set Bob --share-read --mute=false",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			var s client.ContactSettings
			for name, to := range map[string]**bool{
				"pin": &s.Pinned, "mute": &s.Muted, "archive": &s.Archived, "share-read": &s.ShareRead, "share-typing": &s.ShareTyping,
				"relay-only": &s.RelayOnly,
			} {
				if cmd.Flags().Changed(name) {
					v, err := cmd.Flags().GetBool(name)
					if err != nil {
						return err
					}
					*to = &v
				}
			}
			if cmd.Flags().Changed("nick") {
				s.Nick = &nick
			}
			if cmd.Flags().Changed("draft") {
				s.Draft = &draft
			}
			if cmd.Flags().Changed("disappear") {
				d, err := parseTimer(timer)
				if err != nil {
					return err
				}
				s.Timer = &d
			}
			return a.withContact(ctx, args[0], func(sn *session, c client.Contact) error {
				_, err := sn.SetContact(ctx, c.ID, s)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&nick, "nick", "", "your own `name` for the contact, empty for none")
	f.StringVar(&timer, "disappear", "", "new messages disappear on both sides after this `time`; never for off")
	f.StringVar(&draft, "draft", "", "keep a `text` that is not sent yet, empty for none")
	f.BoolVar(&pin, "pin", false, "first in lists")
	f.BoolVar(&mute, "mute", false, "no notifications")
	f.BoolVar(&archive, "archive", false, "not in lists")
	f.BoolVar(&read, "share-read", false, "tell the contact what you have read")
	f.BoolVar(&relayOnly, "relay-only", false, "give the contact no address of yours: through your relay only")
	f.BoolVar(&typing, "share-typing", false, "tell the contact that you write")
	return cmd
}

var errTimer = errors.New("--disappear takes a time such as 30s, 24h or 168h, or never")

func parseTimer(s string) (time.Duration, error) {
	if s == "never" || s == "off" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usageError{errTimer}
	}
	return d, nil
}
