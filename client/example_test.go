package client_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/sqlite"
)

// A program with a messenger in it: it makes a profile, opens it, and says who
// it is to whoever has its invite. Everything that a face shows comes as events.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "embed")
	must(err)
	defer os.RemoveAll(dir)

	bot := openProfile(ctx, filepath.Join(dir, "bot"), "Bot")
	defer bot.Close()
	events, err := bot.Subscribe(ctx)
	must(err)
	invite, err := bot.Invite(ctx, client.InviteOptions{})
	must(err)

	ann := openProfile(ctx, filepath.Join(dir, "ann"), "Ann")
	defer ann.Close()
	contact, err := ann.Add(ctx, invite.URI, "")
	must(err)
	_, err = ann.Send(ctx, contact.ID, "hello, bot")
	must(err)

	for e := range events {
		if m, ok := e.(client.MessageEvent); ok && !m.Message.Mine {
			fmt.Println(m.Message.Text)
			return
		}
	}
	// Output: hello, bot
}

// openProfile makes a profile in dir and opens it. It needs no server here: the
// invite holds the addresses of this machine.
func openProfile(ctx context.Context, dir, name string) *client.Client {
	store, err := sqlite.Create(ctx, dir)
	must(err)
	cfg := client.Config{Store: store, Passphrase: []byte("correct horse"), Listen: "127.0.0.1:0"}
	must(client.Create(ctx, cfg, name))
	c, err := client.Open(ctx, cfg)
	must(err)
	return c
}

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}
