package websocket_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay/websocket"
)

// A server behind a UDP port is reached over TCP: each message is a datagram.
// Here the server gives back what it gets.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	must := func(err error) {
		if err != nil {
			log.Panic(err)
		}
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err)
	defer udp.Close()
	go func() {
		var b [1500]byte
		for {
			n, from, err := udp.ReadFromUDPAddrPort(b[:])
			if err != nil {
				return
			}
			udp.WriteToUDPAddrPort(b[:n], from)
		}
	}()

	key, err := identity.NewServerKey(bytes.Repeat([]byte{1}, 32))
	must(err)
	config, err := websocket.Certificate{}.Config()
	must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	handler := websocket.NewHandler(udp.LocalAddr().(*net.UDPAddr).AddrPort(), 10, key)
	defer handler.Close()
	server := &http.Server{Handler: handler, TLSConfig: config}
	go server.ServeTLS(listener, "", "")
	defer server.Close()

	address := identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: 7350}
	at := netip.MustParseAddrPort(listener.Addr().String())
	conn, err := websocket.Dial(ctx, address, at)
	must(err)
	defer conn.Close()
	_, err = conn.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(at))
	must(err)
	must(conn.SetReadDeadline(time.Now().Add(5 * time.Minute)))
	var b [1500]byte
	n, _, err := conn.ReadFrom(b[:])
	fmt.Printf("%s %v\n", b[:n], err)
	// Output: hello <nil>
}
