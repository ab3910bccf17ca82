//go:build gtk

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sremp/sremp/desktop"
	"github.com/sremp/sremp/desktop/shell"
	"github.com/sremp/sremp/desktop/tr"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends a process that hangs
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	tr.Use(tr.Preferred(os.Getenv))
	p, status, err := fromFlags(args, stdout, stderr)
	if err == nil && p != nil {
		bus := shell.Connect()
		if !bus.Claim(p.dir, p.links...) {
			bus.Close()
			return exitOK // the window that is there shows itself
		}
		err = desktop.Run(ctx, p, desktop.Options{
			Dir: p.dir, Shell: bus, Link: strings.Join(p.links, ""), Background: p.background,
			RightToLeft: tr.RightToLeft(os.Getenv),
		})
		bus.Close() // who starts it now waits for the profile, not for this window
		if closeErr := p.Close(); err == nil {
			err = closeErr
		}
		status = exitOther
	}
	if err != nil {
		fmt.Fprintln(stderr, "sremp-desktop:", err)
		return status
	}
	return exitOK
}
