package relay_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
)

// A relay, an owner with an inbox, and somebody who leaves a blob there without
// saying who he is. What he gets back is the relay's signed word that it has it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "relay")
	check(err)
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "relay.db"))
	check(err)
	defer store.Close()
	key, err := identity.NewServerKey(random32())
	check(err)
	server, err := relay.NewServer(relay.ServerConfig{Key: key, Store: store})
	check(err)
	defer server.Close()
	e := open(transport.Config{
		ServerKey: key, Forward: server.Forward,
		Services: map[string]func(context.Context, *transport.Conn){relay.ALPN: server.Serve},
	})
	defer e.Close()
	server.SetSend(e.WritePacket)
	address := identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: e.LocalAddr().Port()}

	atOwner := open(transport.Config{})
	defer atOwner.Close()
	owner, err := relay.Dial(ctx, atOwner, address, identity.GenerateSecretKey(), "")
	check(err)
	inbox, token := [32]byte(random32()), [32]byte(random32())
	check(owner.CreateInbox(ctx, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}))

	atSender := open(transport.Config{})
	defer atSender.Close()
	sender, err := relay.DialSender(ctx, atSender, address)
	check(err)
	receipt, err := sender.Store(ctx, inbox, token, []byte("sealed"))
	check(err)
	fmt.Println("held:", receipt.Inbox == inbox)

	mail := <-owner.Mail()
	fmt.Printf("received: %s\n", mail.Blob)
	check(owner.Ack(ctx, []uint64{mail.Seq}))
	// Output:
	// held: true
	// received: sealed
}

func open(c transport.Config) *transport.Endpoint {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	c.PacketConn = socket
	e, err := transport.New(c)
	check(err)
	return e
}

func random32() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}
