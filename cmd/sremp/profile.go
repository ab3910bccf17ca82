package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
	"github.com/sremp/sremp/identity"
)

func (a *app) initCommand() *cobra.Command {
	var name string
	var servers []string
	cmd := &cobra.Command{
		Use:   "init --name NAME [--server ADDRESS]...",
		Short: "Make a profile: a new identity with your name",
		Long: "Make a profile: a new identity with the name that others will see. A server's operator gives\n" +
			"you its address; it helps two people to find each other and keeps mail for who is away.",
		Example: "  sremp init --name Ann --server sremp://KEY@chat.example.org:4433",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.init(cmd.Context(), name, servers)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the `name` that others will see, 1 to 40 characters")
	cmd.Flags().StringArrayVar(&servers, "server", nil, "`address` of a server, as its operator gives it")
	return cmd
}

func (a *app) init(ctx context.Context, name string, servers []string) error {
	if name == "" {
		return usageError{errors.New("init needs a name: sremp init --name NAME")}
	}
	if identity.CheckName(name) != nil {
		return client.ErrBadName
	}
	addrs := make([]identity.ServerAddr, len(servers))
	for i, s := range servers {
		var err error
		if addrs[i], err = identity.ParseServerAddr(s); err != nil {
			return err
		}
	}
	db, err := sqlite.Create(ctx, a.profile)
	if err != nil {
		return err
	}
	cfg, err := a.newConfig(ctx, db)
	if err == nil {
		err = client.Create(ctx, cfg, name)
	}
	if err != nil {
		db.Close()
		return err
	}
	c, err := client.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, addr := range addrs {
		if err := c.AddServer(ctx, addr); err != nil {
			return err
		}
	}
	me, err := c.WhoAmI(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, me.ID)
	if cfg.KeyringKey != nil {
		a.say("the desktop's keyring keeps the key of this profile")
	}
	a.say("%s, your profile is in %s; next: sremp kit, to write down what opens it if all else is lost, and sremp invite",
		printable(me.Name), a.profile)
	return nil
}

func (a *app) whoamiCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Show your id, name and servers",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(s *session) error {
				me, err := s.WhoAmI(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					out := whoamiJSON{"whoami", me.ID, me.Name, jsonTime(me.Created), []serverJSON{}}
					for _, s := range me.Servers {
						out.Servers = append(out.Servers, toServerJSON(s))
					}
					return (&printer{w: a.stdout}).object(out)
				}
				fmt.Fprintf(a.stdout, "%s\n%s\n", me.ID, me.Name)
				for _, s := range me.Servers {
					fmt.Fprintf(a.stdout, "server %s\n", s.Address)
				}
				return nil
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func jsonFlag(cmd *cobra.Command, v *bool) {
	cmd.Flags().BoolVar(v, "json", false, "print one JSON object a line")
}
