package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// maxContext bounds what is shown on either side of a message found.
const maxContext = 100

func (a *app) searchCommand() *cobra.Command {
	var with string
	var asJSON bool
	var limit, around int
	cmd := &cobra.Command{
		Use:   "search TEXT",
		Short: "Find messages with a text in them",
		Long: "Find messages with a text in them, in any case, newest first. With --context N also the N messages before\n" +
			"and after each, oldest first: what was found has a \">\" before it, and \"--\" stands where some are left out.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if around < 0 || around > maxContext {
				return usageError{fmt.Errorf("--context is 0 to %d", maxContext)}
			}
			return a.with(ctx, func(s *session) error {
				q := client.SearchQuery{Text: args[0], Limit: limit}
				if with != "" {
					c, err := s.find(ctx, with)
					if err != nil {
						return err
					}
					q.With = c.ID
				}
				p, err := newPrinter(ctx, s, a.stdout, asJSON)
				if err != nil {
					return err
				}
				found, err := s.Search(ctx, q)
				if err != nil {
					return err
				}
				if around > 0 {
					return printContext(ctx, s, p, found, around)
				}
				for _, m := range found {
					if err := p.message(m); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&with, "with", "", "only in the conversation with `contact`")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N` messages")
	cmd.Flags().IntVar(&around, "context", 0, "also show `N` messages before and after each")
	return cmd
}

// printContext prints what was found with n messages around each, every message
// once: one conversation after the other, the oldest message first.
func printContext(ctx context.Context, api client.API, p *printer, found []client.Message, n int) error {
	var order []identity.PeerID
	hits := map[identity.PeerID][]client.Message{}
	for _, m := range found {
		if hits[m.Contact] == nil {
			order = append(order, m.Contact)
		}
		hits[m.Contact] = append(hits[m.Contact], m)
	}
	for i, id := range order {
		list := hits[id]
		slices.SortFunc(list, func(a, b client.Message) int { return int(min(max(a.Seq-b.Seq, -1), 1)) })
		shown := int64(0) // the last position that was printed
		for j, hit := range list {
			before, err := api.History(ctx, id, client.HistoryQuery{Before: hit.Seq, Limit: n})
			if err != nil {
				return err
			}
			after, err := api.History(ctx, id, client.HistoryQuery{Forward: true, After: hit.Seq, Limit: n})
			if err != nil {
				return err
			}
			if first := firstSeq(before, hit); (i > 0 || j > 0) && (j == 0 || first > shown+1) && !p.json {
				if _, err := io.WriteString(p.w, "--\n"); err != nil {
					return err
				}
			}
			for _, m := range slices.Concat(before, []client.Message{hit}, after) {
				if m.Seq <= shown {
					continue
				}
				isHit := slices.ContainsFunc(list, func(h client.Message) bool { return h.Seq == m.Seq })
				if err := p.around(m, isHit); err != nil {
					return err
				}
				shown = m.Seq
			}
		}
	}
	return nil
}

func firstSeq(before []client.Message, hit client.Message) int64 {
	if len(before) > 0 {
		return before[0].Seq
	}
	return hit.Seq
}

// around prints a message that was found or stands beside one.
func (p *printer) around(m client.Message, found bool) error {
	if p.json {
		event := "context"
		if found {
			event = "message"
		}
		return p.messageObject(event, m)
	}
	mark := "  "
	if found {
		mark = "> "
	}
	var text bytes.Buffer
	q := *p
	q.w = &text
	err := q.message(m)
	for line := range strings.Lines(text.String()) {
		_, writeErr := io.WriteString(p.w, mark+line)
		err = errors.Join(err, writeErr)
	}
	return err
}
