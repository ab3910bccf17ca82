package rendezvous_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Ann registers; whoever knows her id and her lookup secret finds her, and nobody
// else can ask for her, the server included.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	key, err := identity.NewServerKey(bytes.Repeat([]byte{1}, 32))
	check(err)
	server, err := rendezvous.NewServer(rendezvous.ServerConfig{Key: key})
	check(err)
	defer server.Close()
	e := open(transport.Config{
		ServerKey: key,
		Services:  map[string]func(context.Context, *transport.Conn){rendezvous.ALPN: server.Serve},
	})
	defer e.Close()
	address := identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: e.LocalAddr().Port()}

	ann, _, err := identity.NewLocal("Ann", time.Now())
	check(err)
	lookup := identity.NewInviteSecret()
	atAnn := open(transport.Config{})
	defer atAnn.Close()
	client, err := rendezvous.Dial(ctx, atAnn, address)
	check(err)
	check(client.Register(ctx, time.Now(), ann, lookup, rendezvous.Content{Record: ann.Record()}, time.Hour))

	atBob := open(transport.Config{})
	defer atBob.Close()
	asker, err := rendezvous.Dial(ctx, atBob, address)
	check(err)
	found, online, err := asker.Lookup(ctx, time.Now(), ann.PeerID(), lookup)
	check(err)
	fmt.Println(found.Record.Name, online)
	_, _, err = asker.Lookup(ctx, time.Now(), ann.PeerID(), [32]byte{1})
	fmt.Println(errors.Is(err, rendezvous.ErrNotFound))
	// Output:
	// Ann true
	// true
}

func open(c transport.Config) *transport.Endpoint {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	c.PacketConn = socket
	e, err := transport.New(c)
	check(err)
	return e
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}
