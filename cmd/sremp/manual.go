package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manualCommand writes manual pages made from the commands, for packages.
func (a *app) manualCommand() *cobra.Command {
	return &cobra.Command{
		Use: "manual DIR", Short: "Write manual pages, one a command, to a directory", Args: takes(1, 1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			date := a.now()
			if s, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
				date = time.Unix(s, 0)
			}
			home, err := os.UserHomeDir()
			if err != nil {
				return err
			}
			return writeManual(cmd.Root(), args[0], home, date)
		},
	}
}

// writeManual writes the page of cmd and of the commands below it, but hidden
// ones. Defaults below home are said to be below ~.
func writeManual(cmd *cobra.Command, dir, home string, date time.Time) error {
	cmd.InitDefaultHelpFlag()
	path := filepath.Join(dir, pageName(cmd)+".1")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(manualPage(cmd, date), roff(home), "~")), 0o644); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if c.Hidden || !c.IsAvailableCommand() {
			continue
		}
		if err := writeManual(c, dir, home, date); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manualPage is one page in the language of man(7).
func manualPage(cmd *cobra.Command, date time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"%s\" \"1\" \"%s\" \"sremp %s\" \"User Commands\"\n", strings.ToUpper(roff(pageName(cmd))), date.UTC().Format(time.DateOnly), programVersion)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roffText(text))
	flags := func(title string, set *pflag.FlagSet) {
		if !set.HasAvailableFlags() {
			return
		}
		fmt.Fprintf(&b, ".SH %s\n", title)
		set.VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			argument, usage := pflag.UnquoteUsage(f)
			b.WriteString(".TP\n")
			if f.Shorthand != "" {
				fmt.Fprintf(&b, "\\fB\\-%s\\fR, ", roff(f.Shorthand))
			}
			fmt.Fprintf(&b, "\\fB\\-\\-%s\\fR", roff(f.Name))
			if argument != "" {
				fmt.Fprintf(&b, " \\fI%s\\fR", roff(argument))
			}
			fmt.Fprintf(&b, "\n%s", roff(usage))
			if d := strings.Trim(f.DefValue, "[]"); d != "" && d != "false" && d != "0" && d != "0s" {
				fmt.Fprintf(&b, " (default %s)", roff(d))
			}
			b.WriteString("\n")
		})
	}
	flags("OPTIONS", cmd.NonInheritedFlags())
	flags("OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	var below []string
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.IsAvailableCommand() {
			below = append(below, fmt.Sprintf(".TP\n\\fB%s\\fR(1)\n%s\n", roff(pageName(c)), roff(c.Short)))
		}
	}
	if len(below) > 0 {
		fmt.Fprintf(&b, ".SH COMMANDS\n%s", strings.Join(below, ""))
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roffText(cmd.Example))
	}
	b.WriteString(".SH SEE ALSO\n")
	if cmd.HasParent() {
		fmt.Fprintf(&b, ".BR %s (1),\n", roff(pageName(cmd.Parent())))
	}
	fmt.Fprintf(&b, ".UR %s\n.UE\n", buildSource)
	return b.String()
}

// roff escapes text for one line.
func roff(s string) string {
	return strings.NewReplacer("\\", "\\e", "-", "\\-", "'", "\\(aq", "`", "", "\n", " ").Replace(s)
}

// roffText escapes lines of text; an empty line begins a paragraph.
func roffText(s string) string {
	var lines []string
	for _, line := range strings.Split(s, "\n") {
		line = roff(line)
		switch {
		case line == "":
			line = ".PP"
		case line[0] == '.':
			line = "\\&" + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
