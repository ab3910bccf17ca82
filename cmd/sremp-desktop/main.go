//go:build gtk

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sremp/sremp/desktop"
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
		err = desktop.Run(ctx, p)
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
