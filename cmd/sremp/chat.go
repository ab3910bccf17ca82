package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

// chatHistory is how many messages of before a chat begins with.
const chatHistory = 50

// inviteWait is how long a chat waits for its contact to come about.
const inviteWait = 24 * time.Hour

func (a *app) chatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chat [CONTACT]",
		Short: "Chat in this terminal",
		Long: "Chat in this terminal. Enter sends, Tab goes to the next contact and Shift-Tab to the one before,\n" +
			"Ctrl-F searches all conversations, Ctrl-L shows the contacts where there is no room for them beside the\n" +
			"chat, Page Up and Page Down or the mouse's wheel scroll, a click opens, Ctrl-C ends. Without a terminal each line of standard input is a message, and what happens is\n" +
			"printed line by line. /file PATH sends a file; /accept, /decline, /pause, /resume and /cancel, with a\n" +
			"file's name or without for the newest, are about one.",
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				name := ""
				if len(args) == 1 {
					name = args[0]
				}
				stop, err := s.serve(ctx, a.socket())
				if err != nil {
					return err
				}
				err = a.chat(ctx, s, name)
				if stopErr := stop(); err == nil {
					err = stopErr
				}
				return err
			})
		},
	}
	a.listenFlag(cmd)
	return cmd
}

// chat runs until the user or ctx ends it. With an empty name it begins with the
// first contact.
func (a *app) chat(ctx context.Context, s *session, name string) error {
	with, err := a.chatPartner(ctx, s, name)
	if err != nil {
		return err
	}
	if a.isTerminal() {
		return a.chatScreen(ctx, s, with)
	}
	return a.chatLines(ctx, s, with)
}

// chatPartner returns the contact of that name, the first one if there is no
// name. A person at a terminal may have come before whom the invite was for.
func (a *app) chatPartner(ctx context.Context, s *session, name string) (with client.Contact, err error) {
	find := func() error {
		contacts, err := s.Contacts(ctx)
		switch {
		case err != nil:
			return err
		case name != "":
			with, err = client.FindContact(contacts, name)
			return err
		case len(contacts) == 0:
			return fmt.Errorf("%w (there is none yet: sremp invite, or sremp add URI)", client.ErrUnknownContact)
		case len(contacts) > 1 && !a.isTerminal():
			return usageError{errors.New("say with whom: chat CONTACT")}
		}
		with = contacts[0]
		return nil
	}
	err = find()
	switch {
	case !errors.Is(err, client.ErrUnknownContact):
		return with, err
	case !a.isTerminal() && name == "":
		return with, err
	case !a.isTerminal():
		return s.find(ctx, name)
	}
	who := name
	if who == "" {
		who = "somebody"
	}
	a.say("waiting for %s to use your invite; Ctrl-C ends", who)
	waitErr := s.await(ctx, inviteWait, func(client.Event) (bool, error) {
		err = find()
		return !errors.Is(err, client.ErrUnknownContact), nil
	})
	return with, cmp.Or(waitErr, err)
}

// chatLines is the chat of pipes and of terminals that can do nothing else.
func (a *app) chatLines(ctx context.Context, s *session, with client.Contact) error {
	listening, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.Subscribe(listening)
	if err != nil {
		return err
	}
	p, err := newPrinter(ctx, s, a.stdout, false)
	if err != nil {
		return err
	}
	path, err := s.Path(ctx, with.ID)
	if err != nil {
		return err
	}
	if err := p.path(path); err != nil {
		return err
	}
	scanner := bufio.NewScanner(a.stdin)
	scanner.Buffer(nil, maxText)
	input := lines(scanner, listening.Done())
	for {
		select {
		case line, open := <-input:
			if !open {
				if err := scanner.Err(); err != nil {
					return fmt.Errorf("reading the messages: %w", err)
				}
				return a.leave(ctx, s)
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			if err := sendLine(ctx, s, with, line); err != nil {
				if !isFileError(err) {
					return err
				}
				a.say("%s", sentence(err))
			}
		case e, open := <-events:
			if !open {
				if ctx.Err() != nil {
					return nil
				}
				return errLostClient
			}
			if concerns(e, with) {
				if err := p.event(e); err != nil {
					return err
				}
			}
		}
	}
}

// leave gives what was just written time to get out.
func (a *app) leave(ctx context.Context, s *session) error {
	if s.own == nil {
		return nil
	}
	if err := flush(ctx, s.own, sendWait); err != nil {
		a.say("%s; what you wrote stays in the outbox and will be sent", s.obstacle(ctx))
	}
	return nil
}

// concerns reports whether a line-by-line chat with c shows e. Own messages are
// on the screen already: the user typed them.
func concerns(e client.Event, c client.Contact) bool {
	switch e := e.(type) {
	case client.MessageEvent:
		return e.Message.Contact == c.ID && !e.Message.Mine
	case client.PathEvent:
		return e.Path.Contact == c.ID
	case client.FileEvent:
		return e.File.Contact == c.ID
	}
	return false
}
