package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

func (a *app) listenCommand() *cobra.Command {
	var asJSON bool
	var own ownServer
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Run the client: receive, keep connections, print what happens",
		Long: "Run the client until SIGTERM or Ctrl-C: keep connections to the contacts that are online, send\n" +
			"what is in the outbox, and print messages, how far sent ones got, and each contact's path at\n" +
			"the start and whenever it changes. Other commands on the same profile go through this one.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runListen(cmd.Context(), asJSON, own)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&own.listen, "relay", "", "be your own relay as well, on this UDP `address`: contacts leave mail here")
	cmd.Flags().StringVar(&own.public, "public", "", "`address` by which others reach that relay (default one of this computer's)")
	a.listenFlag(cmd)
	return cmd
}

// An ownServer says how to be one's own relay; the zero value is not to.
type ownServer struct{ listen, public string }

// listenFlag sets how a command that stays uses the network. One that is over
// in a moment asks for no port: nobody would come by it.
func (a *app) listenFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.listen, "listen", "", "UDP `address` to use (default any port on all addresses)")
	cmd.Flags().BoolVar(&a.noPortMapping, "no-port-mapping", false, "do not ask the router for a port")
	cmd.Flags().BoolVar(&a.noLAN, "no-lan", false, "do not look for contacts on the local network, nor be found there")
	cmd.PreRun = func(*cobra.Command, []string) { a.stays = true }
}

func (a *app) runListen(ctx context.Context, asJSON bool, own ownServer) (err error) {
	a.keepEvents = true
	return a.with(ctx, func(s *session) error {
		events, err := s.Subscribe(ctx)
		if err != nil {
			return err
		}
		if own.listen != "" {
			stopOwn, err := a.serveSelf(ctx, s, own.listen, own.public)
			if err != nil {
				return err
			}
			defer func() { err = firstError(err, stopOwn()) }()
		}
		stop, err := s.serve(ctx, a.socket())
		if err != nil {
			return err
		}
		p, err := newPrinter(ctx, s, a.stdout, asJSON)
		if err == nil {
			err = a.printEvents(ctx, s, p, events)
		}
		if stopErr := stop(); err == nil {
			err = stopErr
		}
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil // this is how it is meant to end
		}
		return err
	})
}

var errLostClient = errors.New("the running client has ended, or this command did not keep up; start it again")

// printEvents prints the current paths and then every event until ctx is done.
func (a *app) printEvents(ctx context.Context, s *session, p *printer, events <-chan client.Event) error {
	contacts, err := s.Contacts(ctx)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		path, err := s.Path(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := p.path(path); err != nil {
			return err
		}
	}
	for e := range events {
		if err := p.event(e); err != nil {
			return err
		}
	}
	if ctx.Err() == nil {
		return errLostClient
	}
	return nil
}
