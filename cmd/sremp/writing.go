package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

// parseID reads a message's id from the command line.
func parseID(s string) (id client.MessageID, err error) {
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return id, usageError{errors.New("a message's id has 32 hexadecimal digits; sremp history --json shows it")}
	}
	return id, nil
}

// withMessage runs f for a contact and a message of the conversation with it,
// and waits a moment until what it did has left.
func (a *app) withMessage(ctx context.Context, contact, message string, f func(*session, client.Contact, client.MessageID) error) error {
	id, err := parseID(message)
	if err != nil {
		return err
	}
	return a.withContact(ctx, contact, func(s *session, c client.Contact) error {
		if err := f(s, c, id); err != nil {
			return err
		}
		return s.settleOutbox(ctx)
	})
}

// settleOutbox gives what was just said a moment to leave, if this process is
// the client. What has not left then waits in the outbox.
func (s *session) settleOutbox(ctx context.Context) error {
	if s.own == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	own, err := s.client()
	if err != nil {
		return err
	}
	if err := own.Flush(ctx); err != nil && !errors.Is(err, client.ErrTimeout) {
		return err
	}
	return nil
}

func (a *app) editCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "edit CONTACT ID TEXT",
		Short: "Replace the text of a message of yours, on both sides",
		Args:  takes(3, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withMessage(ctx, args[0], args[1], func(s *session, c client.Contact, id client.MessageID) error {
				_, err := s.Edit(ctx, c.ID, id, args[2])
				return err
			})
		},
	}
}

func (a *app) reactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "react CONTACT ID [EMOJI]",
		Short: "React to a message; without an emoji, take it back",
		Args:  takes(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			emoji := ""
			if len(args) == 3 {
				emoji = args[2]
			}
			return a.withMessage(ctx, args[0], args[1], func(s *session, c client.Contact, id client.MessageID) error {
				_, err := s.React(ctx, c.ID, id, emoji)
				return err
			})
		},
	}
}
