package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
)

// errNothingKnown and its like are answers that scripts can tell from success.
var (
	errNothingKnown = errors.New("nothing is stored under that name")
	errNoToken      = errors.New("there is no such token; see sremp server token list")
	errNotBlocked   = errors.New("that name is not blocked")
)

// An admin is what the operator's commands share.
type admin struct {
	*app
	dir, database string
}

// addOperatorCommands adds the operator's commands to "server". They work beside
// a running server.
func (a *app) addOperatorCommands(server *cobra.Command) {
	o := &admin{app: a}
	token := &cobra.Command{
		Use:   "token new|list|revoke",
		Short: "Make, list and revoke the tokens that admit owners",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return usageError{errors.New("token takes new, list or revoke")} },
	}
	token.AddCommand(o.tokenNew(), o.tokenList(), o.tokenRevoke())
	for _, c := range []*cobra.Command{token, o.owners(), o.block(), o.unblock(), o.knows(), o.backup(), o.restore()} {
		c.PersistentFlags().StringVar(&o.dir, "dir", defaultServerDir, "`directory` of the server; without one here, "+packageDir)
		c.PersistentFlags().StringVar(&o.database, "database", "", "connection `string` of its PostgreSQL database, if it has one")
		server.AddCommand(c)
	}
}

// place returns the directory and the database, if it is PostgreSQL, that the
// command is about.
func (o *admin) place() (dir, database string, err error) {
	dir, database = serverDir(o.dir), o.database
	if _, err := os.Stat(dir); err != nil {
		return "", "", fmt.Errorf("%w (%s)", errNoServer, dir)
	}
	if config := serverConfig(dir); database == "" && config != "" {
		all, err := configFile(config)
		if err != nil {
			return "", "", err
		}
		database = valueOf(all, "database", "")
	}
	return dir, database, nil
}

// with runs f on the relay's database.
func (o *admin) with(ctx context.Context, f func(relay.Store) error) error {
	dir, database, err := o.place()
	if err != nil {
		return err
	}
	s, err := openRelayStore(ctx, dir, database)
	if err != nil {
		return err
	}
	return errors.Join(f(s), adopt(dir), s.Close())
}

func (o *admin) tokenNew() *cobra.Command {
	var note string
	var uses int
	var valid time.Duration
	cmd := &cobra.Command{
		Use: "new", Short: "Make a token and print it; it is not shown again", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if uses < 1 || valid <= 0 {
				return usageError{errors.New("--uses and --valid are above 0")}
			}
			text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(randomBytes(20)))
			now := o.now()
			t := relay.AdmissionToken{Hash: relay.AdmissionHash([]byte(text)), Note: note, Uses: uses, Created: now, Expires: now.Add(valid)}
			return o.with(cmd.Context(), func(s relay.Store) error {
				if err := s.AddToken(cmd.Context(), t); err != nil {
					return err
				}
				_, err := fmt.Fprintln(o.stdout, text)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`words` to know it by in the list")
	cmd.Flags().IntVar(&uses, "uses", 1, "how `many` owners it admits")
	cmd.Flags().DurationVar(&valid, "valid", 30*24*time.Hour, "how `long`")
	return cmd
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// tokenName is what list shows and revoke takes: the token itself is not kept.
func tokenName(hash [32]byte) string { return hex.EncodeToString(hash[:6]) }

func (o *admin) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List tokens: name, uses left, expiry, note", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd.Context(), func(s relay.Store) error {
				all, err := s.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				for _, t := range all {
					if _, err := fmt.Fprintf(o.stdout, "%s %d %s %q\n", tokenName(t.Hash), t.Uses, t.Expires.UTC().Format(time.RFC3339), t.Note); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (o *admin) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke TOKEN", Short: "Revoke a token, by itself or its name; who came in with it stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd.Context(), func(s relay.Store) error {
				all, err := s.Tokens(cmd.Context())
				if err != nil {
					return err
				}
				for _, t := range all {
					if t.Hash == relay.AdmissionHash([]byte(args[0])) || tokenName(t.Hash) == args[0] {
						_, err := s.RevokeToken(cmd.Context(), t.Hash)
						return err
					}
				}
				return errNoToken
			})
		},
	}
}

// parseName parses an owner's key or an inbox's name.
func parseName(text string) (key [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		return key, usageError{errors.New("an owner or an inbox is named by 64 hexadecimal digits")}
	}
	return [32]byte(b), nil
}

// named is a command about one name.
func (o *admin) named(use, short string, f func(context.Context, relay.Store, [32]byte) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " KEY", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseName(args[0])
			if err != nil {
				return err
			}
			return o.with(cmd.Context(), func(s relay.Store) error { return f(cmd.Context(), s, key) })
		},
	}
}

func (o *admin) owners() *cobra.Command {
	most := 20
	cmd := &cobra.Command{
		Use: "owners [--most N]", Short: "List the owners who hold most mail: key, day of the last visit, inboxes, mail, bytes", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 1 {
				return usageError{errors.New("--most is above 0")}
			}
			return o.with(cmd.Context(), func(s relay.Store) error {
				all, err := s.Owners(cmd.Context(), most)
				if err != nil {
					return err
				}
				for _, u := range all {
					if _, err := fmt.Fprintf(o.stdout, "%x %s %d %d %d\n", u.Key, u.Seen.Format(time.DateOnly), u.Inboxes, u.Mail, u.Bytes); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&most, "most", most, "how `many`")
	return cmd
}

func (o *admin) block() *cobra.Command {
	return o.named("block", "Delete an owner or an inbox with all its mail, and take none of that name any more",
		func(ctx context.Context, s relay.Store, key [32]byte) error { return s.Block(ctx, key, o.now()) })
}

func (o *admin) unblock() *cobra.Command {
	return o.named("unblock", "Undo block; what was deleted stays deleted",
		func(ctx context.Context, s relay.Store, key [32]byte) error {
			had, err := s.Unblock(ctx, key)
			if err == nil && !had {
				err = errNotBlocked
			}
			return err
		})
}

func (o *admin) knows() *cobra.Command {
	return o.named("knows", "Print every byte stored about an owner or an inbox",
		func(ctx context.Context, s relay.Store, key [32]byte) error {
			rows := 0
			err := s.Knows(ctx, key, func(table string, columns []string, values []any) error {
				rows++
				if _, err := fmt.Fprintf(o.stdout, "%s\n", table); err != nil {
					return err
				}
				for i, v := range values {
					if b, ok := v.([]byte); ok {
						v = hex.EncodeToString(b)
					}
					if v == nil {
						v = "-"
					}
					if _, err := fmt.Fprintf(o.stdout, "  %s %v\n", columns[i], v); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil && rows == 0 {
				err = errNothingKnown
			}
			return err
		})
}

func (o *admin) backup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the relay's database to a new file, while the server runs", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd.Context(), func(s relay.Store) error {
				b, ok := s.(interface {
					Backup(context.Context, string) error
				})
				if !ok {
					return usageError{errors.New("PostgreSQL is backed up with pg_dump")}
				}
				return b.Backup(cmd.Context(), args[0])
			})
		},
	}
}

func (o *admin) restore() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Make the relay's database from a backup, in a directory that has none", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.database != "" {
				return usageError{errors.New("PostgreSQL is restored with pg_restore")}
			}
			dir := serverDir(o.dir)
			_, unlock, err := openServerDir(dir)
			if err != nil {
				return err
			}
			defer unlock()
			return errors.Join(relaysqlite.Restore(cmd.Context(), filepath.Join(dir, relayDatabase), args[0]), adopt(dir))
		},
	}
}
