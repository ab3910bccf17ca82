package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// directoryTime bounds a search at one server.
const directoryTime = 20 * time.Second

// maxPictureFile is more than any picture that may be listed.
const maxPictureFile = 1 << 20

type directoryOptions struct {
	server string
	limit  int
	asJSON bool
}

func (o *directoryOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.server, "server", "", "ask this server's `address` alone, without a profile")
	cmd.Flags().IntVar(&o.limit, "limit", 100, "show at most `n` people")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "one JSON object a line")
}

func (a *app) findCommand() *cobra.Command {
	var o directoryOptions
	var anywhere bool
	cmd := &cobra.Command{
		Use:   "find NAME",
		Short: "Search the public lists of your servers",
		Long: "Search the public lists of your servers for people who chose to be found. A name proves nothing:\n" +
			"compare the id. Lines with a \"!\" have a name that looks like another one's, or mixes alphabets.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.directory(cmd.Context(), o, client.BrowseQuery{Name: args[0], Anywhere: anywhere})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&anywhere, "anywhere", false, "find names that contain NAME, not only those that begin with it")
	return cmd
}

func (a *app) listCommand() *cobra.Command {
	var o directoryOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the public lists of your servers",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.directory(cmd.Context(), o, client.BrowseQuery{})
		},
	}
	o.flags(cmd)
	return cmd
}

// directory shows people, page by page. No server learns who searches.
func (a *app) directory(ctx context.Context, o directoryOptions, q client.BrowseQuery) error {
	if o.limit < 1 {
		return usageError{errors.New("--limit is at least 1")}
	}
	if o.server != "" {
		return a.directoryAt(ctx, o, q)
	}
	return a.with(ctx, func(s *session) error {
		for left := o.limit; left > 0; {
			q.Limit = min(left, rendezvous.MaxPage)
			page, err := s.Browse(ctx, q)
			if err != nil {
				return err
			}
			if err := printDirectory(a.stdout, page.People, o.asJSON); err != nil {
				return err
			}
			left -= len(page.People)
			if q.After = page.Next; len(q.After) == 0 {
				return nil
			}
		}
		return nil
	})
}

// directoryAt asks one server, from a socket of its own.
func (a *app) directoryAt(ctx context.Context, o directoryOptions, q client.BrowseQuery) error {
	addr, err := identity.ParseServerAddr(o.server)
	if err != nil {
		return usageError{err}
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
	found, err := rendezvous.BrowseServers(ctx, func(ctx context.Context, s identity.ServerAddr) (*rendezvous.Client, error) {
		return rendezvous.Dial(ctx, ep, s)
	}, []identity.ServerAddr{addr}, rendezvous.Search{Name: q.Name, Substring: q.Anywhere}, o.limit, time.Now())
	switch {
	case errors.Is(err, transport.ErrServerKey):
		return fmt.Errorf("%w (%w)", client.ErrServerIdentity, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, transport.ErrUnreachable):
		return client.ErrUnreachable
	case err != nil:
		return err
	}
	var people []client.ListedPerson
	for _, p := range found {
		people = append(people, client.ListedPerson{
			ID: p.Record.Identity, Name: p.Record.Name, Note: p.Note, Picture: p.Picture, Online: p.Online, Seen: p.Seen.UTC(), Suspect: p.Suspect,
		})
	}
	return printDirectory(a.stdout, people, o.asJSON)
}

func printDirectory(w io.Writer, people []client.ListedPerson, asJSON bool) error {
	for _, p := range people {
		if asJSON {
			if err := json.NewEncoder(w).Encode(p); err != nil {
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
		if _, err := fmt.Fprintf(w, "%s %s  %s  %s  %s\n", mark, p.ID, printable(p.Name), seen, printable(p.Note)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) registerCommand() *cobra.Command {
	var listed, unlisted bool
	var note, picture string
	cmd := &cobra.Command{
		Use:   "register --listed [--note TEXT] [--picture FILE] | --unlisted",
		Short: "Put yourself on the public lists of your servers, or take yourself off",
		Long: "Put yourself on the public lists of your servers, where anybody finds you by name, or take yourself\n" +
			"off. Profiles are unlisted until you say otherwise: then only contacts find you.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if listed == unlisted {
				return usageError{errors.New("register takes --listed or --unlisted")}
			}
			l := client.Listing{Listed: listed, Note: note}
			if picture != "" {
				var err error
				if l.Picture, err = readPicture(picture); err != nil {
					return err
				}
			}
			return a.register(cmd.Context(), l)
		},
	}
	cmd.Flags().BoolVar(&listed, "listed", false, "anybody may find you")
	cmd.Flags().BoolVar(&unlisted, "unlisted", false, "only contacts may find you")
	cmd.Flags().StringVar(&note, "note", "", "one line of `text` beside your name")
	cmd.Flags().StringVar(&picture, "picture", "", "PNG or JPEG `file` of at most 4096 bytes")
	return cmd
}

func readPicture(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPictureFile))
	if err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	return b, nil
}

func (a *app) register(ctx context.Context, l client.Listing) error {
	return a.with(ctx, func(s *session) error {
		n, err := s.SetListing(ctx, l)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w; your choice is stored, and takes effect when one does", client.ErrNoServer)
		}
		what := "you are on the public list of"
		if !l.Listed {
			what = "you are off the public list of"
		}
		a.say("%s %d of your servers; those that are away follow", what, n)
		return nil
	})
}
