// The libp2p command is a peer, or a relay, made of go-libp2p: circuit relay v2
// and DCUtR, over QUIC and TCP. Package peers says what it prints.
//
//	libp2p relay IP...
//	libp2p peer ADDRESS...
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	golibp2p "github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	messages = "/natlab/message/1"
	// warmTime is how long a peer may take to find its relay and itself.
	warmTime = 15 * time.Second
	dialTime = 30 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "libp2p:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "relay":
		return runRelay(ctx, args[1:])
	case len(args) >= 2 && args[0] == "peer":
		return runPeer(ctx, args[1:])
	}
	return errors.New("usage: libp2p relay IP... | libp2p peer ADDRESS...")
}

// listenAt returns the addresses of one IP, on QUIC and TCP.
func listenAt(ip string, port int) []string {
	family := "ip4"
	if strings.Contains(ip, ":") {
		family = "ip6"
	}
	return []string{fmt.Sprintf("/%s/%s/udp/%d/quic-v1", family, ip, port), fmt.Sprintf("/%s/%s/tcp/%d", family, ip, port)}
}

func runRelay(ctx context.Context, ips []string) error {
	var addrs []string
	for _, ip := range ips {
		addrs = append(addrs, listenAt(ip, 4001)...)
	}
	h, err := golibp2p.New(golibp2p.ListenAddrStrings(addrs...), golibp2p.ForceReachabilityPublic(),
		golibp2p.EnableRelayService(relay.WithInfiniteLimits()))
	if err != nil {
		return err
	}
	defer h.Close()
	var all []string
	for _, a := range addrs {
		all = append(all, fmt.Sprintf("%s/p2p/%s", a, h.ID()))
	}
	fmt.Println("address", strings.Join(all, " "))
	<-ctx.Done()
	return nil
}

func runPeer(ctx context.Context, relayAddrs []string) error {
	// Elsewhere four strangers have to say where they see a host before it
	// believes them; one relay must do here.
	observedaddrs.ActivationThresh = 1
	via, err := info(relayAddrs)
	if err != nil {
		return err
	}
	h, err := golibp2p.New(
		golibp2p.ListenAddrStrings(slices.Concat(listenAt("0.0.0.0", 0), listenAt("::", 0))...),
		golibp2p.ForceReachabilityPrivate(), golibp2p.EnableHolePunching(),
		golibp2p.EnableAutoRelayWithStaticRelays([]peer.AddrInfo{via}, autorelay.WithBootDelay(0), autorelay.WithNumRelays(1), autorelay.WithMinCandidates(1)),
	)
	if err != nil {
		return err
	}
	defer h.Close()
	say := events()
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		switch {
		case c.RemotePeer() == via.ID:
		case isRelayed(c.RemoteMultiaddr()):
			say("relay")
		default:
			say("direct")
		}
	}})
	h.SetStreamHandler(messages, func(s network.Stream) {
		line, err := bufio.NewReader(s).ReadString('\n')
		if err == nil && line == "hello\n" {
			say("message")
		}
		s.Close()
	})
	warm(ctx, h)
	fmt.Println("ready", h.ID())

	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case line := <-lines:
			if name, ok := strings.CutPrefix(line, "dial "); ok {
				if err := dial(ctx, h, relayAddrs, name, say); err != nil {
					fmt.Fprintln(os.Stderr, "libp2p:", err)
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func isRelayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

func info(addrs []string) (all peer.AddrInfo, err error) {
	for _, a := range addrs {
		i, err := peer.AddrInfoFromString(a)
		if err != nil {
			return all, err
		}
		all.ID = i.ID
		all.Addrs = append(all.Addrs, i.Addrs...)
	}
	return all, nil
}

// warm waits until the relay has taken us and hole punching is offered.
func warm(ctx context.Context, h host.Host) {
	ctx, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		relayed := slices.ContainsFunc(h.Addrs(), isRelayed)
		punches := slices.Contains(h.Mux().Protocols(), holepunch.Protocol)
		if relayed && punches {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func dial(ctx context.Context, h host.Host, relayAddrs []string, name string, say func(string)) error {
	id, err := peer.Decode(name)
	if err != nil {
		return err
	}
	to := peer.AddrInfo{ID: id}
	for _, a := range relayAddrs {
		m, err := ma.NewMultiaddr(a + "/p2p-circuit")
		if err != nil {
			return err
		}
		to.Addrs = append(to.Addrs, m)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	say("begun")
	if err := h.Connect(ctx, to); err != nil {
		return err
	}
	s, err := h.NewStream(network.WithAllowLimitedConn(ctx, "the first message"), id, messages)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Write([]byte("hello\n"))
	return err
}

// events prints each event once.
func events() func(string) {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(name string) {
		now := time.Now().UnixNano()
		mu.Lock()
		defer mu.Unlock()
		if !seen[name] {
			seen[name] = true
			fmt.Println(name, now)
		}
	}
}
