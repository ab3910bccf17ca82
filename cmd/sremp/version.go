package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// programVersion is what releases and packages are called. The protocol has
// versions of its own (spec §1.5).
const programVersion = "0.1.0"

const programLicence = "AGPL-3.0"

// These are set by the linker: the commit where the build keeps no other record,
// and where users of a changed server can get its source, as the licence wants.
var (
	buildCommit string
	buildSource = "https://github.com/sremp/sremp"
)

// programCommit returns the commit that the program was built from, "unknown" if
// it was not built in a repository.
func programCommit() string {
	if buildCommit != "" {
		return buildCommit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit := "unknown"
	changed := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if changed {
		commit += " with changes"
	}
	return commit
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, its commit, licence and source", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "sremp %s\ncommit %s\nlicence %s\nsource %s\nbuilt with %s for %s/%s\n",
				programVersion, programCommit(), programLicence, buildSource, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
