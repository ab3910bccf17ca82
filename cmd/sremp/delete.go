package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

var (
	errWhatToDelete = errors.New("delete takes a contact and the ids of messages, --all or --contact; or --all-chats, or --identity")
	errConfirm      = errors.New("what is deleted so cannot be brought back; confirm it with --yes")
)

// deletion is what the flags of delete say.
type deletion struct {
	everywhere, all, contact, allChats, identity, yes bool
}

func (a *app) deleteCommand() *cobra.Command {
	var d deletion
	cmd := &cobra.Command{
		Use:   "delete [CONTACT [ID]...]",
		Short: "Delete messages, conversations, a contact, or the identity",
		Long: "Delete messages here; with --everywhere, messages of yours at the contact too. Deleted is deleted:\n" +
			"the database overwrites it. --identity takes you off your servers, as far as they can be\n" +
			"reached, and destroys this profile; only a backup with the recovery kit brings it back.",
		Example: "  sremp delete Bob 5f0c…\n  sremp delete Bob --all\n  sremp delete --all-chats --yes",
		Args:    takes(0, 1000),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.delete(cmd.Context(), args, d) },
	}
	f := cmd.Flags()
	f.BoolVar(&d.everywhere, "everywhere", false, "messages of yours, at the contact too")
	f.BoolVar(&d.all, "all", false, "the whole conversation, here")
	f.BoolVar(&d.contact, "contact", false, "the contact, with all that is known of it")
	f.BoolVar(&d.allChats, "all-chats", false, "all conversations, here")
	f.BoolVar(&d.identity, "identity", false, "this identity and its profile")
	f.BoolVar(&d.yes, "yes", false, "do it without another question")
	return cmd
}

func (a *app) delete(ctx context.Context, args []string, d deletion) error {
	kinds := 0
	for _, set := range []bool{len(args) > 1, d.all, d.contact, d.allChats, d.identity} {
		if set {
			kinds++
		}
	}
	if kinds != 1 || d.everywhere && len(args) < 2 || (d.allChats || d.identity) != (len(args) == 0) {
		return usageError{errWhatToDelete}
	}
	if (d.contact || d.allChats || d.identity) && !d.yes {
		sure := false
		if a.isTerminal() {
			var err error
			if sure, err = a.sure("What is deleted so cannot be brought back. Delete it? [y/N] "); err != nil {
				return err
			}
		}
		if !sure {
			return usageError{errConfirm}
		}
	}
	switch {
	case d.identity:
		return a.erase(ctx)
	case d.allChats:
		return a.with(ctx, func(s *session) error { return s.DeleteAllHistory(ctx) })
	}
	var ids []client.MessageID
	for _, s := range args[1:] {
		id, err := parseID(s)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	return a.withContact(ctx, args[0], func(s *session, c client.Contact) error {
		switch {
		case d.all:
			return s.DeleteHistory(ctx, c.ID)
		case d.contact:
			if err := s.DeleteContact(ctx, c.ID); err != nil {
				return err
			}
			return s.settleOutbox(ctx) // the others get a new card
		}
		if err := s.Delete(ctx, c.ID, ids, d.everywhere); err != nil {
			return err
		}
		if d.everywhere {
			return s.settleOutbox(ctx)
		}
		return nil
	})
}

// erase destroys the profile, and the directory if nothing else is in it.
func (a *app) erase(ctx context.Context) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Erase(ctx); err != nil {
		return err
	}
	_ = os.Remove(a.profile) // a directory of the user's own may hold more
	a.say("the identity is gone from this computer")
	return nil
}
