package main

import (
	"bufio"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

func (a *app) exportCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "export [CONTACT]...",
		Short: "Write messages to standard output, readable by anything",
		Args:  takes(0, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			write := client.ExportJSON
			switch format {
			case "json":
			case "html":
				write = client.ExportHTML
			default:
				return usageError{errors.New("--format takes json or html")}
			}
			return a.with(ctx, func(s *session) error {
				contacts, err := s.Contacts(ctx)
				if err != nil {
					return err
				}
				if len(args) > 0 {
					contacts = nil
				}
				for _, name := range args {
					c, err := s.find(ctx, name)
					if err != nil {
						return err
					}
					contacts = append(contacts, c)
				}
				w := bufio.NewWriter(a.stdout)
				if err := write(ctx, s, w, contacts); err != nil {
					return err
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "json", "`json`, one object a line, or html")
	return cmd
}
