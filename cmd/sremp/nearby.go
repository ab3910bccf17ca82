package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// minIDPrefix is how much of an id names somebody.
const minIDPrefix = 4

// A neighbourLine is a person on the local network, for scripts.
type neighbourLine struct {
	ID        identity.PeerID `json:"id"`
	Name      string          `json:"name"`
	Contact   bool            `json:"contact"`
	Interface string          `json:"interface"`
	Invite    string          `json:"invite"`
	Seen      time.Time       `json:"seen"`
}

type nearbyOptions struct {
	announce, hide, asJSON bool
	add, nick              string
}

func (a *app) nearbyCommand() *cobra.Command {
	var o nearbyOptions
	cmd := &cobra.Command{
		Use:   "nearby",
		Short: "List people on the local network, or let them see you",
		Long: "List who announces itself on the local network, without any server. Contacts find each other there\n" +
			"by themselves, and nobody else recognises them; strangers see you only after --announce, and then\n" +
			"your name and id. Who adds you is a request until you trust it. A name proves nothing.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.announce && o.hide || o.add != "" && (o.announce || o.hide) || o.nick != "" && o.add == "" {
				return usageError{errors.New("nearby takes --announce, --hide, or --add NAME with --as")}
			}
			a.near = true
			return a.with(cmd.Context(), func(s *session) error { return a.nearby(cmd.Context(), s, o) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.announce, "announce", false, "announce your name to everybody on the local network from now on")
	f.BoolVar(&o.hide, "hide", false, "no longer announce it")
	f.StringVar(&o.add, "add", "", "send a request to the one with this `name` or id")
	f.StringVar(&o.nick, "as", "", "your own `name` for who is added")
	f.BoolVar(&o.asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (a *app) nearby(ctx context.Context, s *session, o nearbyOptions) error {
	if o.announce || o.hide {
		if err := s.SetVisible(ctx, o.announce); err != nil {
			return err
		}
		if o.announce {
			a.say("everybody on the local network can see your name while sremp listen, chat or the desktop runs")
		} else {
			a.say("strangers on the local network no longer see you")
		}
		return nil
	}
	list, err := s.Neighbours(ctx)
	if err != nil {
		return err
	}
	if o.add != "" {
		return a.addNeighbour(ctx, s, list, o)
	}
	for _, x := range list {
		if o.asJSON {
			if err := json.NewEncoder(a.stdout).Encode(neighbourOf(x)); err != nil {
				return err
			}
			continue
		}
		known := ""
		if x.Contact {
			known = "  (a contact has this id)"
		}
		if _, err := fmt.Fprintf(a.stdout, "%s  %s%s\n", x.ID.Short(), printable(x.Name), known); err != nil {
			return err
		}
	}
	if len(list) == 0 && !o.asJSON {
		a.say("nobody announces itself here; others can with: sremp nearby --announce")
	}
	return nil
}

func neighbourOf(x client.Neighbour) neighbourLine {
	return neighbourLine{ID: x.ID, Name: x.Name, Contact: x.Contact, Interface: x.Interface, Invite: x.Invite, Seen: x.Seen.UTC()}
}

func (a *app) addNeighbour(ctx context.Context, s *session, list []client.Neighbour, o nearbyOptions) error {
	x, err := pickNeighbour(list, o.add)
	if err != nil {
		return err
	}
	c, err := s.Add(ctx, x.Invite, o.nick)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s  %s\n", c.ID, printable(c.Label()))
	return a.settleContact(ctx, s, c)
}

// pickNeighbour finds the only one with a name, or whose id begins so.
func pickNeighbour(list []client.Neighbour, who string) (found client.Neighbour, err error) {
	n := 0
	for _, x := range list {
		if strings.EqualFold(x.Name, who) || len(who) >= minIDPrefix && strings.HasPrefix(x.ID.String(), strings.ToLower(who)) {
			found = x
			n++
		}
	}
	switch n {
	case 0:
		return found, errNoNeighbour
	case 1:
		return found, nil
	}
	return found, errNeighbours
}

var (
	errNoNeighbour = errors.New("nobody of that name announces itself on the local network; sremp nearby lists who does")
	errNeighbours  = errors.New("more than one announces itself by that name; use the beginning of the id")
)
