package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// directoryTime bounds a search; registerTime is how long a server may take to
// stand.
const (
	directoryTime = 20 * time.Second
	registerTime  = 15 * time.Second
)

// errNoServers has the exit status of a wrong command line.
var errNoServers = errors.New("the profile has no server; give one with --server")

// A directoryLine is a person of the public list, for scripts.
type directoryLine struct {
	ID      identity.PeerID `json:"id"`
	Name    string          `json:"name"`
	Note    string          `json:"note,omitempty"`
	Online  bool            `json:"online"`
	Seen    time.Time       `json:"seen"`
	Suspect bool            `json:"suspect,omitempty"` // looks like another, or mixes scripts
}

type directoryOptions struct {
	server    string
	limit     int
	substring bool
	asJSON    bool
}

func (o *directoryOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.server, "server", "", "ask this server's `address` alone, without a profile")
	cmd.Flags().IntVar(&o.limit, "limit", 100, "show at most `n` people")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "one JSON object a line")
}

func (a *app) findCommand() *cobra.Command {
	var o directoryOptions
	cmd := &cobra.Command{
		Use:   "find NAME",
		Short: "Search the public lists of your servers",
		Long: "Search the public lists of your servers for people who chose to be found. A name proves nothing:\n" +
			"compare the id. Lines with a \"!\" have a name that looks like another one's, or mixes alphabets.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.directory(cmd.Context(), o, rendezvous.Search{Name: args[0], Substring: o.substring})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.substring, "anywhere", false, "find names that contain NAME, not only those that begin with it")
	return cmd
}

func (a *app) listCommand() *cobra.Command {
	var o directoryOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the public lists of your servers",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.directory(cmd.Context(), o, rendezvous.Search{})
		},
	}
	o.flags(cmd)
	return cmd
}

// directory asks anonymously, from a socket of its own: a server does not learn
// who searches.
func (a *app) directory(ctx context.Context, o directoryOptions, search rendezvous.Search) error {
	if o.limit < 1 {
		return usageError{errors.New("--limit is at least 1")}
	}
	servers, err := a.directoryServers(ctx, o.server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, directoryTime)
	defer cancel()
	pc, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	ep, err := transport.New(transport.Config{PacketConn: pc, Logger: a.logger()})
	if err != nil {
		return err
	}
	defer ep.Close()
	people, err := rendezvous.BrowseServers(ctx, func(ctx context.Context, s identity.ServerAddr) (*rendezvous.Client, error) {
		return rendezvous.Dial(ctx, ep, s)
	}, servers, search, o.limit, time.Now())
	if err != nil {
		return err
	}
	return printDirectory(a.stdout, people, o.asJSON)
}

func (a *app) directoryServers(ctx context.Context, server string) (out []identity.ServerAddr, err error) {
	if server != "" {
		addr, err := identity.ParseServerAddr(server)
		if err != nil {
			return nil, usageError{err}
		}
		return []identity.ServerAddr{addr}, nil
	}
	err = a.with(ctx, func(s *session) error {
		known, err := s.Servers(ctx)
		for _, x := range known {
			out = append(out, x.Address)
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = usageError{errNoServers}
	}
	return out, err
}

func printDirectory(w io.Writer, people []rendezvous.Person, asJSON bool) error {
	for _, p := range people {
		line := directoryLine{p.Record.Identity, p.Record.Name, p.Note, p.Online, p.Seen.UTC(), p.Suspect}
		if asJSON {
			if err := json.NewEncoder(w).Encode(line); err != nil {
				return err
			}
			continue
		}
		mark, seen := " ", "online"
		if p.Suspect {
			mark = "!"
		}
		if !p.Online {
			seen = "seen " + p.Seen.Local().Format(time.DateTime)
		}
		if _, err := fmt.Fprintf(w, "%s %s  %s  %s  %s\n", mark, p.Record.Identity, printable(p.Record.Name), seen, printable(p.Note)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) registerCommand() *cobra.Command {
	var listed, unlisted bool
	var note string
	cmd := &cobra.Command{
		Use:   "register --listed [--note TEXT] | --unlisted",
		Short: "Put yourself on the public lists of your servers, or take yourself off",
		Long: "Put yourself on the public lists of your servers, where anybody finds you by name, or take yourself\n" +
			"off. Profiles are unlisted until you say otherwise: then only contacts find you.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if listed == unlisted {
				return usageError{errors.New("register takes --listed or --unlisted")}
			}
			return a.register(cmd.Context(), listed, note)
		},
	}
	cmd.Flags().BoolVar(&listed, "listed", false, "anybody may find you")
	cmd.Flags().BoolVar(&unlisted, "unlisted", false, "only contacts may find you")
	cmd.Flags().StringVar(&note, "note", "", "one line of `text` beside your name")
	return cmd
}

// errOtherProcess: the socket of a running client does not offer this.
var errOtherProcess = errors.New("another program has the profile open; stop it (sremp listen, sremp chat or the desktop), then try again")

func (a *app) register(ctx context.Context, listed bool, note string) error {
	return a.with(ctx, func(s *session) error {
		if s.own == nil {
			return errOtherProcess
		}
		own, err := s.client()
		if err != nil {
			return err
		}
		n, err := setListed(ctx, own, listed, note)
		if err != nil {
			return err
		}
		what := "you are on the public list of"
		if !listed {
			what = "you are off the public list of"
		}
		a.say("%s %d of your servers; those that are away follow", what, n)
		return nil
	})
}

// setListed waits until one server has done it.
func setListed(ctx context.Context, c *client.Client, listed bool, note string) (int, error) {
	give := time.NewTimer(registerTime)
	defer give.Stop()
	look := time.NewTicker(4 * inUseRetry)
	defer look.Stop()
	for {
		n, err := c.SetListed(ctx, listed, note)
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-look.C:
		case <-give.C:
			return 0, errors.New("no rendezvous of yours answers; your choice is stored, and takes effect when one does")
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
