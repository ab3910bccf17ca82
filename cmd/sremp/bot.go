package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// botTime bounds one answer.
const botTime = time.Minute

func (a *app) botCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bot COMMAND [ARG]...",
		Short: "Answer messages by a program",
		Long: "Run COMMAND for every message that a contact sends, also for those that came while no bot ran. It gets\n" +
			"the text on standard input; what it prints is sent as the answer, nothing if it prints nothing.\n" +
			"SREMP_CONTACT, SREMP_CONTACT_NAME, SREMP_MESSAGE and SREMP_SENT_AT say more. Requests get no\n" +
			"answer. For more than answers use sremp listen --json, or the socket (docs/rpc.schema.json).",
		Example: "  sremp --profile bot bot examples/bot.sh",
		Args:    takes(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			a.keepEvents = true
			return a.with(ctx, func(s *session) error {
				stop, err := s.serve(ctx, a.socket())
				if err != nil {
					return err
				}
				err = a.bot(ctx, s, args)
				if stopErr := stop(); err == nil {
					err = stopErr
				}
				if errors.Is(err, context.Canceled) && ctx.Err() != nil {
					return nil // this is how it is meant to end
				}
				return err
			})
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows COMMAND is its own
	a.listenFlag(cmd)
	return cmd
}

func (a *app) bot(ctx context.Context, s *session, command []string) error {
	events, err := s.Subscribe(ctx)
	if err != nil {
		return err
	}
	contacts, err := s.Contacts(ctx)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		if err := a.answerUnread(ctx, s, c, command); err != nil {
			return err
		}
	}
	for e := range events {
		m, ok := e.(client.MessageEvent)
		if !ok || m.Message.Mine {
			continue
		}
		c, err := contactOf(ctx, s, m.Message.Contact)
		if err == nil {
			err = a.answerUnread(ctx, s, c, command)
		}
		if err != nil && !errors.Is(err, client.ErrUnknownContact) {
			return err
		}
	}
	if ctx.Err() == nil {
		return errLostClient
	}
	return nil
}

func contactOf(ctx context.Context, s *session, id identity.PeerID) (client.Contact, error) {
	contacts, err := s.Contacts(ctx)
	if err != nil {
		return client.Contact{}, err
	}
	for _, c := range contacts {
		if c.ID == id {
			return c, nil
		}
	}
	return client.Contact{}, client.ErrUnknownContact
}

// answerUnread answers what a contact said since the last answer. What is unread
// is kept with the messages: a restart forgets none, and answers one twice at most.
func (a *app) answerUnread(ctx context.Context, s *session, c client.Contact, command []string) error {
	if c.Self || c.Trust != client.Trusted || c.Unread == 0 {
		return nil
	}
	// Before: so that looking at them is not reading them yet.
	h, err := s.History(ctx, c.ID, client.HistoryQuery{Before: 1 << 62, Limit: 4*c.Unread + 100})
	if err != nil {
		return err
	}
	var todo []client.Message
	for _, m := range h {
		if !m.Mine {
			todo = append(todo, m)
		}
	}
	todo = todo[max(0, len(todo)-c.Unread):]
	for len(todo) > 0 {
		last := todo[len(todo)-1].Seq
		for _, m := range todo {
			if m.Mine {
				continue
			}
			if err := a.answer(ctx, s, c, m, command); err != nil {
				return err
			}
		}
		if err := s.MarkRead(ctx, c.ID, false); err != nil {
			return err
		}
		// What came after h was read is marked as well: it is looked for only now.
		if todo, err = s.History(ctx, c.ID, client.HistoryQuery{Forward: true, After: last}); err != nil {
			return err
		}
	}
	return nil
}

// answer runs the command for one message. What goes wrong in it is told to who
// runs the bot, not to the contact.
func (a *app) answer(ctx context.Context, s *session, c client.Contact, m client.Message, command []string) error {
	limited, cancel := context.WithTimeout(ctx, botTime)
	defer cancel()
	cmd := exec.CommandContext(limited, command[0], command[1:]...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(m.Text+"\n"), a.stderr
	var out bytes.Buffer
	cmd.Stdout = &limitedBuffer{b: &out, left: maxText}
	cmd.Env = append(os.Environ(),
		"SREMP_CONTACT="+c.ID.String(), "SREMP_CONTACT_NAME="+printable(c.Label()),
		"SREMP_MESSAGE="+m.ID.String(), "SREMP_SENT_AT="+m.SentAt.UTC().Format(time.RFC3339))
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("running the bot: %w", err)
		}
		a.say("the bot's command failed: %v", err)
		return ctx.Err()
	}
	text := strings.TrimRight(strings.ToValidUTF8(out.String(), "\uFFFD"), "\r\n")
	if text == "" {
		return nil
	}
	_, err := s.SendDraft(ctx, c.ID, client.Draft{Text: text, ReplyTo: m.ID})
	if errors.Is(err, client.ErrNoMessage) { // it disappeared meanwhile
		_, err = s.SendDraft(ctx, c.ID, client.Draft{Text: text})
	}
	return err
}

// A limitedBuffer drops what is too much for one message.
type limitedBuffer struct {
	b    *bytes.Buffer
	left int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.b.Write(p[:n])
	return len(p), nil
}
