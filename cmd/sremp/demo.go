package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/natlab"
)

// The values of --network.
const (
	networkAuto     = "auto"
	networkNAT      = "nat"
	networkLoopback = "loopback"
)

// demoStep is how long one step of the demo may take on a slow machine.
const demoStep = time.Minute

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it: a server and two clients that meet, chat, and leave mail",
		Long: "Start a server and two clients as processes of their own, each client behind a NAT router of its\n" +
			"own where this machine allows that. They meet by an invite, chat, show their path as it changes;\n" +
			"one goes away and gets its mail on return. On a terminal it then is a chat with the second one.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch o.network {
			case networkAuto, networkNAT, networkLoopback:
			default:
				return usageError{errors.New("--network takes auto, nat or loopback")}
			}
			if o.network != networkLoopback && natlab.NeedsEnter() {
				entered, err := a.enterDemo(cmd.Context(), o)
				if entered {
					return err
				}
				o.noNAT = err
			}
			return a.runDemo(cmd.Context(), o)
		},
	}
	jsonFlag(cmd, &o.json)
	cmd.Flags().StringVar(&o.network, "network", networkAuto, "`auto`, nat (fail without) or loopback")
	return cmd
}

type demoOptions struct {
	json    bool
	network string
	noNAT   error // why there can be no NATs, if that is known already
}

// enterDemo runs the demo again as root of a user namespace. entered is false
// if this machine does not allow that.
func (a *app) enterDemo(ctx context.Context, o demoOptions) (entered bool, err error) {
	cmd, err := a.self(ctx, "demo", "--network", o.network, fmt.Sprintf("--json=%t", o.json))
	if err != nil {
		return false, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	natlab.Enter(cmd)
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("making a user namespace: %w", err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return true, alreadyTold{exit.ExitCode()}
	}
	return true, err
}

// alreadyTold is the failure of another process of ours, which said why.
type alreadyTold struct{ status int }

func (e alreadyTold) Error() string { return fmt.Sprintf("the demo ended with status %d", e.status) }

// self returns a command that runs this program with other arguments. It ends
// with ctx, as a person would end it.
func (a *app) self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Args = append([]string{"sremp"}, args...) // a test's binary knows by the name what to be
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

// runDemo is the demo's plot.
func (a *app) runDemo(ctx context.Context, o demoOptions) (err error) {
	d, err := a.newDemo(o)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.tellLogs()
		}
		d.close()
	}()
	if err := d.startServer(ctx); err != nil {
		return err
	}
	ann, bob := d.person("Ann", d.places[1]), d.person("Bob", d.places[2])
	for _, p := range []*person{ann, bob} {
		if err := p.create(ctx); err != nil {
			return err
		}
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	if err := d.meet(ctx, ann, bob); err != nil {
		return err
	}
	if err := d.greet(ctx, ann, bob); err != nil {
		return err
	}
	if err := d.away(ctx, ann, bob); err != nil {
		return err
	}
	d.tell("done", "everything above really happened: %s, %d processes, %s", d.network, len(d.processes), d.took())
	if !a.isTerminal() || o.json {
		return nil
	}
	return d.converse(ctx, ann, bob)
}

func (d *demo) meet(ctx context.Context, ann, bob *person) error {
	inv, err := ann.api.Invite(ctx, client.InviteOptions{})
	if err != nil {
		return fmt.Errorf("making the invite: %w", err)
	}
	d.tell("invite", "Ann makes an invite and gives it to Bob: %s", inv.URI)
	if _, err := bob.api.Add(ctx, inv.URI, ""); err != nil {
		return fmt.Errorf("adding by the invite: %w", err)
	}
	if err := d.until(ctx, "they are each other's contacts", func() bool {
		return d.names[ann.id][bob.id] == "Bob" && d.names[bob.id][ann.id] == "Ann"
	}); err != nil {
		return err
	}
	d.tell("met", "They know each other now.")
	return nil
}

func (d *demo) greet(ctx context.Context, ann, bob *person) error {
	for _, m := range []struct {
		from, to *person
		text     string
	}{
		{ann, bob, "Hello Bob, it is me."},
		{bob, ann, "Hello Ann! That was quick."},
	} {
		if err := d.deliver(ctx, m.from, m.to, m.text); err != nil {
			return err
		}
	}
	return d.direct(ctx, ann, bob)
}

// direct waits until both have a direct path. It asks them: an event of before
// the subscription is not seen.
func (d *demo) direct(ctx context.Context, ann, bob *person) error {
	return d.until(ctx, "the path is direct for both", func() bool {
		for _, x := range []struct{ who, to *person }{{ann, bob}, {bob, ann}} {
			if p, err := x.who.api.Path(ctx, x.to.id); err != nil || p.Kind != client.PathDirect {
				return false
			}
		}
		return true
	})
}

// deliver sends a message and waits until it is there and Delivered here.
func (d *demo) deliver(ctx context.Context, from, to *person, text string) error {
	m, err := from.api.Send(ctx, to.id, text)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return d.until(ctx, fmt.Sprintf("%q is delivered", text), func() bool {
		return d.received[m.ID] && d.states[m.ID] >= client.Delivered
	})
}

func (d *demo) away(ctx context.Context, ann, bob *person) error {
	d.tell("away", "Bob goes away.")
	if err := bob.stop(); err != nil {
		return err
	}
	const text = "Are you still there? Read this when you are back."
	m, err := ann.api.Send(ctx, bob.id, text)
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if err := d.until(ctx, "the relay holds the mail", func() bool { return d.states[m.ID] >= client.Held }); err != nil {
		return err
	}
	d.tell("held", "The server keeps Ann's message, sealed, until Bob is back. Here he is.")
	if err := bob.start(ctx); err != nil {
		return err
	}
	if err := d.until(ctx, "Bob has his mail and Ann knows", func() bool {
		return d.received[m.ID] && d.states[m.ID] >= client.Delivered
	}); err != nil {
		return err
	}
	return d.direct(ctx, ann, bob)
}

// converse is the chat of the person at the terminal, as Ann, with Bob, who
// answers by himself.
func (d *demo) converse(ctx context.Context, ann, bob *person) error {
	d.tell("chat", "Now you are Ann. Ctrl-C ends.")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.answer(ctx, bob, ann.id) // ends with ctx
	s := &session{API: ann.api, close: func() error { return nil }}
	contacts, err := ann.api.Contacts(ctx)
	if err != nil {
		return err
	}
	with, err := client.FindContact(contacts, bob.id.String())
	if err != nil {
		return err
	}
	return d.a.chatScreen(ctx, s, with)
}

// answer lets p say something to every message.
func (d *demo) answer(ctx context.Context, p *person, to identity.PeerID) {
	events, err := p.api.Subscribe(ctx)
	if err != nil {
		return
	}
	for e := range events {
		m, ok := e.(client.MessageEvent)
		if !ok || m.Message.Mine {
			continue
		}
		path, err := p.api.Path(ctx, to)
		if err != nil {
			return
		}
		text := fmt.Sprintf("You said %q. It came by this path: %s.", m.Message.Text, describePath(path))
		if _, err := p.api.Send(ctx, to, text); err != nil {
			return
		}
	}
}
