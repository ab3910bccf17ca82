package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/config"
)

// settingsFile is where the profile's settings stand.
func (a *app) settingsFile() config.File {
	path := a.configFile
	if path == "" {
		path = config.SettingsFile()
	}
	return config.File{Path: path, Profile: a.profileName}
}

func (a *app) settingsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settings [get KEY | set KEY VALUE]",
		Short: "Show or change settings",
		Long: "Show all settings of the profile, or one, or set one. They stand in one file for all profiles,\n" +
			"which may be edited; docs/cli.md explains each.",
		Example: "  sremp settings\n  sremp settings set notifications.show full\n  sremp settings set lock.after 10m",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(s *session) error {
				all, err := s.Settings(cmd.Context())
				if err != nil {
					return err
				}
				for _, key := range slices.Sorted(maps.Keys(all.All())) {
					fmt.Fprintf(a.stdout, "%s = %s\n", key, all.All()[key])
				}
				return a.reportUnknown()
			})
		},
	}
	get := &cobra.Command{
		Use:   "get KEY",
		Short: "Show one setting",
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(s *session) error {
				all, err := s.Settings(cmd.Context())
				if err != nil {
					return err
				}
				value, ok := all.All()[args[0]]
				if !ok {
					return &client.SettingError{Key: args[0]}
				}
				fmt.Fprintln(a.stdout, value)
				return nil
			})
		},
	}
	set := &cobra.Command{
		Use:   "set KEY VALUE",
		Short: "Set one setting",
		Args:  takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				all, err := s.Settings(ctx)
				if err != nil {
					return err
				}
				if err := all.Set(args[0], args[1]); err != nil {
					return err
				}
				if err := s.SetSettings(ctx, all); err != nil {
					return err
				}
				return a.reportUnknown()
			})
		},
	}
	cmd.AddCommand(get, set)
	return cmd
}

// reportUnknown tells of what in the file has no effect.
func (a *app) reportUnknown() error {
	unknown, err := a.settingsFile().Unknown()
	if err != nil {
		return err
	}
	for _, key := range unknown {
		a.say("%s: %s is no setting of this version; it has no effect", a.settingsFile().Path, printable(key))
	}
	return nil
}

func (a *app) profilesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "profiles",
		Short: "List your profiles",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			names, err := config.Profiles()
			if err != nil {
				return err
			}
			for _, name := range names {
				dir, _, err := config.Profile(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "%s  %s\n", name, dir)
			}
			return nil
		},
	}
}
