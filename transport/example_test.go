package transport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

// Two programs, each with an identity and a socket, talk to each other: no
// server, no certificate, no name. Whoever answers at that address and is not
// Bob gets nothing.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ann, a := endpoint("Ann")
	defer a.Close()
	bob, b := endpoint("Bob")
	defer b.Close()

	// Each knows of the other what an invite, or a server, would tell.
	key := [32]byte{1}
	go func() {
		conn, err := b.Connect(ctx, transport.Attempt{Peer: ann.PeerID(), ProbeKey: key, Remote: a.Gather(ctx, nil)})
		must(err)
		stream, err := conn.AcceptStream(ctx)
		must(err)
		io.Copy(stream, stream) // until Ann has said all
		stream.Close()
	}()

	conn, err := a.Connect(ctx, transport.Attempt{Peer: bob.PeerID(), ProbeKey: key, Remote: b.Gather(ctx, nil)})
	must(err)
	stream, err := conn.OpenStream(ctx)
	must(err)
	fmt.Fprint(stream, "hello")
	stream.Close()
	echo, err := io.ReadAll(stream)
	must(err)
	fmt.Printf("%s, over %v, says %s\n", echo, conn.Path().Kind, conn.Peer().Name)
	// Output: hello, over direct, says Bob
}

// endpoint makes an identity and a socket for it.
func endpoint(name string) (*identity.Local, *transport.Endpoint) {
	who, _, err := identity.NewLocal(name, time.Now())
	must(err)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err)
	e, err := transport.New(transport.Config{PacketConn: socket, Identity: who})
	must(err)
	return who, e
}

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}
