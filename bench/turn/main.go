// The turn command is pion/turn, for the relay to be compared with
// (relay/dataplane_linux_test.go). It is a module of its own so that the relay
// does not depend on it. It listens on a port of 127.0.0.1, which it prints, for
// the user "u" with the password "p", until its standard input ends.
package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/pion/turn/v5"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "turn:", err)
		os.Exit(1)
	}
}

func run() error {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	if err := pc.SetReadBuffer(4 << 20); err != nil { // as the relay's
		return err
	}
	const realm = "bench"
	key := turn.GenerateAuthKey("u", realm, "p")
	s, err := turn.NewServer(turn.ServerConfig{
		Realm:       realm,
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) { return a.Username, key, a.Username == "u" },
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            pc,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println("plane", pc.LocalAddr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
