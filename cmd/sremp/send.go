package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

// maxText is what [client.ErrTooLong] speaks of.
const maxText = 64 << 10

func (a *app) sendCommand() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send CONTACT [TEXT]",
		Short: "Send a message, or a file",
		Long: "Send a message; the text - is read from standard input. Prints the message's id and how far it\n" +
			"got. A message that nobody has yet stays in the outbox and is sent when the client runs again.\n" +
			"With --file, offer a file and stay until it is there, if no other client runs; it goes on from the\n" +
			"same byte whenever the profile is open.",
		Example: "  sremp send Bob 'see you at eight'\n" +
			"  sremp send Bob - --wait delivered --timeout 1m <letter.txt",
		Args: takes(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.file.Path != "") == (len(args) == 2) {
				return usageError{errors.New("say what to send: a text, or --file PATH")}
			}
			if o.file.Path != "" {
				return a.sendFileFlags(cmd.Context(), args[0], o)
			}
			return a.send(cmd.Context(), args[0], args[1], o)
		},
	}
	cmd.Flags().StringVar(&o.wait, "wait", "", "wait for `held` (by a relay) or delivered (to the contact), and fail if it does not come")
	cmd.Flags().StringVar(&o.reply, "reply", "", "answer the message with this `id`")
	cmd.Flags().StringVar(&o.timer, "disappear", "", "it disappears on both sides after this `time`; never for it stays")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait")
	cmd.Flags().StringVar(&o.file.Path, "file", "", "send the file at this `path` instead of a text")
	cmd.Flags().StringVar(&o.file.Name, "name", "", "with --file, the `name` to give it")
	cmd.Flags().DurationVar(&o.file.Duration, "voice", 0, "with --file, it is a voice note of this `duration`")
	jsonFlag(cmd, &o.json)
	return cmd
}

type sendOptions struct {
	wait    string
	timeout time.Duration
	json    bool
	reply   string
	timer   string
	file    client.FileDraft
}

// draft is what the flags make of a text.
func (o sendOptions) draft(text string) (d client.Draft, err error) {
	d.Text = text
	if o.reply != "" {
		if d.ReplyTo, err = parseID(o.reply); err != nil {
			return d, err
		}
	}
	if o.timer != "" {
		if d.Timer, err = parseTimer(o.timer); err != nil {
			return d, err
		}
		if d.Timer == 0 {
			d.Timer = -1
		}
	}
	return d, nil
}

func (a *app) send(ctx context.Context, to, text string, o sendOptions) error {
	goal, limit := client.Held, sendWait
	switch o.wait {
	case "":
	case "held":
		limit = o.timeout
	case "delivered":
		goal, limit = client.Delivered, o.timeout
	default:
		return usageError{errors.New("--wait takes held or delivered")}
	}
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(a.stdin, maxText+2))
		if err != nil {
			return fmt.Errorf("reading the text: %w", err)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	}
	switch {
	case text == "":
		return usageError{errors.New("there is no text to send")}
	case !utf8.ValidString(text):
		return usageError{errors.New("the text is not UTF-8")}
	case len(text) > maxText:
		return client.ErrTooLong
	}
	d, err := o.draft(text)
	if err != nil {
		return err
	}
	return a.with(ctx, func(s *session) error {
		c, err := s.find(ctx, to)
		if err != nil {
			return err
		}
		p, err := newPrinter(ctx, s, a.stdout, o.json)
		if err != nil {
			return err
		}
		if o.wait == "" && s.own == nil {
			limit = 0 // the running client goes on with it
		}
		return s.sendAndWait(ctx, p, c, d, goal, limit, o.wait != "")
	})
}

// sendAndWait sends text, prints how far it got within limit, and returns an
// error if that is not as far as it must.
func (s *session) sendAndWait(ctx context.Context, p *printer, c client.Contact, d client.Draft, goal client.DeliveryState,
	limit time.Duration, must bool,
) error {
	var m client.Message
	state := client.Queued
	if limit == 0 { // a context that is over already would not even send it
		m, err := s.SendDraft(ctx, c.ID, d)
		if err != nil {
			return err
		}
		return p.sent(m.ID, c, state)
	}
	err := s.await(ctx, limit, func(e client.Event) (bool, error) {
		if e == nil { // subscribed: no step of the message can be missed from here on
			var err error
			m, err = s.SendDraft(ctx, c.ID, d)
			state = max(state, m.State)
			return state >= goal, err
		}
		if d, ok := e.(client.DeliveryEvent); ok && d.ID == m.ID {
			state = max(state, d.State)
			if p.json {
				if err := p.delivery(d); err != nil {
					return false, err
				}
			}
		}
		return state >= goal, nil
	})
	if err != nil {
		return err
	}
	if !p.json || state == client.Queued { // the steps are printed already
		err = p.sent(m.ID, c, state)
	}
	if err != nil || state >= goal || !must {
		return err
	}
	if why := s.obstacle(ctx); !errors.Is(why, client.ErrTimeout) {
		return fmt.Errorf("%w (the message stays in the outbox and will be sent)", why)
	}
	return client.ErrTimeout
}

// sent prints how far a message got.
func (p *printer) sent(id client.MessageID, c client.Contact, state client.DeliveryState) error {
	if p.json {
		return p.delivery(client.DeliveryEvent{ID: id, Contact: c.ID, State: state})
	}
	return p.line("%s %s", id, state)
}
