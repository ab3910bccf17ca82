package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A serverLine is a server, for scripts.
type serverLine struct {
	Address   identity.ServerAddr `json:"address"`
	Used      bool                `json:"used"`
	Connected bool                `json:"connected"`
	Problem   string              `json:"problem,omitempty"`
}

func (a *app) serversCommand() *cobra.Command {
	var announced, asJSON bool
	var domain, invite string
	cmd := &cobra.Command{
		Use:   "servers [--announced | --domain DOMAIN | --invite URI]",
		Short: "Show the servers that you use, or others",
		Long: "Show the servers that you use; with --announced those that they announce, with --domain those that the\n" +
			"DNS names for a domain, with --invite those of an invite. None is used until you add it: sremp servers add ADDRESS.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from := domain + invite
			if announced && from != "" || domain != "" && invite != "" {
				return usageError{errors.New("servers takes one of --announced, --domain and --invite")}
			}
			if _, err := identity.ParseInvite(invite); invite != "" && err != nil {
				return client.ErrBadInvite
			}
			return a.with(cmd.Context(), func(s *session) error {
				lines, err := serverLines(cmd.Context(), s, announced, from)
				if err != nil {
					return err
				}
				for _, l := range lines {
					if err := a.printServer(l, asJSON); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&announced, "announced", false, "what your servers announce, themselves among them")
	cmd.Flags().StringVar(&domain, "domain", "", "what the DNS says of this `domain`")
	cmd.Flags().StringVar(&invite, "invite", "", "the servers of an invite's `URI`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.AddCommand(&cobra.Command{
		Use:   "add ADDRESS",
		Short: "Use a server from now on",
		Args:  takes(1, 1),
		RunE:  a.withServer(func(ctx context.Context, s *session, addr identity.ServerAddr) error { return s.AddServer(ctx, addr) }),
	}, &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Leave a server",
		Long: "Leave a server: contacts are told of it no longer, and what still comes there is fetched for 30 days.\n" +
			"To move, add the new server first. Said again of the same server, it is forgotten at once.",
		Args: takes(1, 1),
		RunE: a.withServer(func(ctx context.Context, s *session, addr identity.ServerAddr) error {
			return s.RemoveServer(ctx, addr)
		}),
	})
	return cmd
}

// withServer runs f with the profile and the server that the argument names.
func (a *app) withServer(f func(context.Context, *session, identity.ServerAddr) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		addr, err := identity.ParseServerAddr(args[0])
		if err != nil {
			return usageError{err}
		}
		return a.with(cmd.Context(), func(s *session) error { return f(cmd.Context(), s, addr) })
	}
}

func serverLines(ctx context.Context, s client.API, announced bool, from string) (lines []serverLine, err error) {
	known, err := s.Servers(ctx)
	if err != nil {
		return nil, err
	}
	var others []identity.ServerAddr
	switch {
	case announced:
		all, err := s.Announced(ctx)
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			others = append(others, x.Address)
		}
	case from != "":
		if others, err = s.Discover(ctx, from); err != nil {
			return nil, err
		}
	default:
		for _, x := range known {
			if x.Problem == "" && !x.Left.IsZero() {
				x.Problem = "left on " + x.Left.Local().Format("2 January") + "; its mail is fetched"
			}
			lines = append(lines, serverLine{x.Address, x.Left.IsZero(), x.Connected, x.Problem})
		}
	}
	for _, x := range others {
		l := serverLine{Address: x}
		for _, k := range known {
			if k.Address.ID == x.ID {
				l.Used, l.Connected = true, k.Connected
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (a *app) printServer(l serverLine, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(l)
	}
	state := "not used"
	switch {
	case l.Connected && l.Used:
		state = "connected"
	case l.Problem != "":
		state = l.Problem
	case l.Used:
		state = "not connected"
	}
	_, err := fmt.Fprintf(a.stdout, "%s  %s\n", l.Address, state)
	return err
}
