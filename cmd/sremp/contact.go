package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

func (a *app) inviteCommand() *cobra.Command {
	var qr, ask, words bool
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Make an invite for one person",
		Long: "Make an invite and print it as one line. Whoever has it can become your contact, the first one\n" +
			"to use it does: send it by a way that you trust.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(s *session) error {
				if err := a.settleServers(cmd.Context(), s); err != nil {
					return err
				}
				inv, err := s.Invite(cmd.Context(), client.InviteOptions{TTL: ttl, Ask: ask, Words: words})
				if err != nil {
					return err
				}
				if qr {
					if err := drawQR(a.stdout, inv.URI); err != nil {
						return err
					}
				}
				fmt.Fprintln(a.stdout, inv.URI)
				if words {
					fmt.Fprintln(a.stdout, inv.Words)
					a.say("the 8 words do the same, for who uses the same server as you")
				}
				a.say("it is for one person, until %s", inv.Expires.Local().Format("2006-01-02 15:04"))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&qr, "qr", false, "draw it as a QR code as well")
	cmd.Flags().BoolVar(&ask, "ask", false, "for one that many can read: who uses it is a request until sremp trust")
	cmd.Flags().BoolVar(&words, "words", false, "print 8 words as well, to be said on the phone: for who uses the same server")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good for (default 7 days)")
	return cmd
}

func (a *app) addCommand() *cobra.Command {
	var nick string
	cmd := &cobra.Command{
		Use:   "add URI | WORD...",
		Short: "Become the contact of who made an invite",
		Long: "Become the contact of who made an invite: by its line, or by its 8 words, which one of your servers\n" +
			"must know.",
		Args: takes(1, 8),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				if err := a.settleServers(ctx, s); err != nil {
					return err
				}
				c, err := s.Add(ctx, strings.Join(args, " "), nick)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "%s  %s\n", c.ID, printable(c.Label()))
				return a.settleContact(ctx, s, c)
			})
		},
	}
	cmd.Flags().StringVar(&nick, "as", "", "your own `name` for the contact")
	return cmd
}

func (a *app) contactsCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "contacts",
		Short: "List your contacts, the pinned ones first",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(s *session) error {
				contacts, err := s.Contacts(cmd.Context())
				if err != nil {
					return err
				}
				p, err := newPrinter(cmd.Context(), s, a.stdout, asJSON)
				if err != nil {
					return err
				}
				slices.SortStableFunc(contacts, func(a, b client.Contact) int { return cmp.Compare(rank(a), rank(b)) })
				for _, c := range contacts {
					if c.Archived && !all && !asJSON {
						continue
					}
					if err := p.contact(c); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&all, "all", false, "archived ones too")
	return cmd
}

// rank orders lists: pinned, others, archived.
func rank(c client.Contact) int {
	switch {
	case c.Archived:
		return 2
	case c.Pinned:
		return 0
	}
	return 1
}

func (a *app) pathCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "path CONTACT [--watch]",
		Short: "Show how a contact is reached now, and why",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				c, err := s.find(ctx, args[0])
				if err != nil {
					return err
				}
				p, err := newPrinter(ctx, s, a.stdout, asJSON)
				if err != nil {
					return err
				}
				if watch {
					return a.watchPath(ctx, s, c, p)
				}
				path, err := s.Path(ctx, c.ID)
				if err != nil {
					return err
				}
				return p.path(path)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and print every change")
	return cmd
}

func (a *app) historyCommand() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "history CONTACT",
		Short: "Print the messages with a contact, oldest first",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				c, err := s.find(ctx, args[0])
				if err != nil {
					return err
				}
				p, err := newPrinter(ctx, s, a.stdout, asJSON)
				if err != nil {
					return err
				}
				messages, err := newest(ctx, s, c, limit)
				if err != nil {
					return err
				}
				for _, m := range messages {
					if err := p.message(m); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().IntVar(&limit, "limit", 100, "print the newest `N` messages only, 0 for all")
	return cmd
}

// newest returns the newest limit messages with c, all if limit is 0, oldest
// first.
func newest(ctx context.Context, api client.API, c client.Contact, limit int) ([]client.Message, error) {
	const page = 1000
	var pages [][]client.Message
	var before int64
	for n := 0; limit == 0 || n < limit; {
		want := page
		if limit > 0 {
			want = min(page, limit-n)
		}
		part, err := api.History(ctx, c.ID, client.HistoryQuery{Before: before, Limit: want})
		if err != nil {
			return nil, err
		}
		if len(part) > 0 {
			pages = append(pages, part)
			before = part[0].Seq
			n += len(part)
		}
		if len(part) < want {
			break
		}
	}
	var all []client.Message
	for i := len(pages) - 1; i >= 0; i-- {
		all = append(all, pages[i]...)
	}
	return all, nil
}
