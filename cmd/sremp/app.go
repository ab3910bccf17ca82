package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client/config"
	"github.com/sremp/sremp/identity"
)

// app is one run of the command: its streams and the flags that all commands
// share. Standard output is for results that a script may read, standard error
// for people.
type app struct {
	kdf            identity.KDFParams // of a passphrase that is set
	stdin          io.Reader
	stdout, stderr io.Writer

	profileArg     string // as the user named it
	profile        string // its directory
	profileName    string // in the settings file
	configFile     string
	downloads      string
	listen         string // UDP address of the client, empty for any port
	stays          bool   // the command runs until it is told to end
	noPortMapping  bool
	noLAN          bool
	near           bool // the command is about the local network
	passphraseFile string
	clockOffset    time.Duration
	kit            *[32]byte // opens the profile instead of the passphrase, if set
	keepEvents     bool      // from the client's first moment, for who subscribes
	verbose        bool
}

// run is main without the process: it exits by returning a status.
func run(ctx context.Context, kdf identity.KDFParams, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{kdf: kdf, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	var told alreadyTold
	if errors.As(err, &told) {
		return told.status
	}
	fmt.Fprintf(stderr, "sremp: %s\n", sentence(err))
	return exitCode(err)
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "sremp",
		Short: "Chat directly, from key to key",
		Long: "SREMP is chat in which your identity is a key, conversations run directly between two\n" +
			"computers when that is possible, and every server is optional, replaceable and blind.",
		Example: "  sremp init --name Ann --server sremp://KEY@HOST:PORT\n" +
			"  sremp invite --qr\n" +
			"  sremp chat Bob",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.resolve() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = false

	f := root.PersistentFlags()
	f.StringVar(&a.profileArg, "profile", config.DefaultProfile, "`name` of the profile, or its directory: what has a / in it")
	f.StringVar(&a.configFile, "config-file", "", "`file` of the settings (default "+config.SettingsFile()+")")
	f.StringVar(&a.passphraseFile, "passphrase-file", "", "read the passphrase from the first line of `file`")
	f.StringVar(&a.downloads, "downloads", config.Downloads(), "`folder` of received files, unless the settings name one")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log what happens to standard error")
	f.DurationVar(&a.clockOffset, "clock-offset", 0, "run with a clock that is off, to see what happens")
	if err := f.MarkHidden("clock-offset"); err != nil {
		panic(err)
	}

	root.AddGroup(
		&cobra.Group{ID: groupChat, Title: "Chatting:"},
		&cobra.Group{ID: groupServer, Title: "Serving:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupChat, a.initCommand(), a.inviteCommand(), a.addCommand(), a.chatCommand(), a.sendCommand(),
		a.listenCommand(), a.contactsCommand(), a.historyCommand(), a.pathCommand(), a.whoamiCommand(), a.trustCommand(),
		a.findCommand(), a.nearbyCommand(), a.listCommand(), a.registerCommand(), a.serversCommand(),
		a.blockCommand(), a.verifyCommand(), a.setCommand(), a.editCommand(), a.reactCommand(), a.deleteCommand(), a.searchCommand(),
		a.filesCommand(), a.fileCommand(), a.exportCommand(), a.readCommand(), a.settingsCommand(), a.profilesCommand(), a.renameCommand(), a.pictureCommand(), a.rotateCommand(), a.successorCommand(),
		a.botCommand(), a.lockCommand(), a.unlockCommand(), a.keyringCommand(), a.kitCommand(), a.passphraseCommand(), a.recoverCommand(), a.backupCommand(), a.restoreCommand(), a.doctorCommand())
	add(groupServer, a.serverCommand(), a.relayCommand(), a.rendezvousCommand())
	root.AddCommand(a.demoCommand(), a.versionCommand(), a.manualCommand())
	return root
}

const (
	groupChat   = "chat"
	groupServer = "server"
)

// resolve finds the profile that the user named.
func (a *app) resolve() (err error) {
	if a.profile, a.profileName, err = config.Profile(a.profileArg); err != nil {
		return usageError{err}
	}
	return nil
}

// logger writes to standard error if the user wants that.
func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serverLogger is logger of what runs for long: warnings and errors are always
// written (docs/self-hosting.md lists them).
func (a *app) serverLogger() *slog.Logger {
	if a.verbose {
		return a.logger()
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// now is the clock of everything that stores or sends a time.
func (a *app) now() time.Time { return time.Now().Add(a.clockOffset) }

// say tells a person something that is no result.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.stderr, "sremp: "+format+"\n", args...)
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() + "; see sremp --help" }
func (e usageError) Unwrap() error { return e.err }

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// takes checks the number of positional arguments.
func takes(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= low && len(args) <= high {
			return nil
		}
		return usageError{fmt.Errorf("%s is used as: %s", cmd.Name(), cmd.UseLine())}
	}
}
