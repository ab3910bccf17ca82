// The sremp command is the messenger in a terminal, its servers, and a
// demonstration of both. docs/cli.md describes its commands, what they print
// and how they exit.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/quiet"
)

func init() { quiet.End() } // what asks at start has been initialised

func main() { os.Exit(start(identity.DefaultKDF())) }

// start runs the command of the process; kdf are the costs of a passphrase that
// it sets, which tests lower.
func start(kdf identity.KDFParams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a process that hangs
	return run(ctx, kdf, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
