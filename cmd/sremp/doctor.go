package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/portmap"
	"github.com/sremp/sremp/relay/websocket"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Patience of the doctor.
const (
	doctorDial = 5 * time.Second // for one connection to a server
	doctorMap  = 6 * time.Second // for the router
)

// Waits of the measurement of a mapping's lifetime: short ones in any case,
// those that NATs are known for with --long.
var (
	shortWaits = []time.Duration{3 * time.Second, 6 * time.Second}
	longWaits  = []time.Duration{
		10 * time.Second, 20 * time.Second, 29 * time.Second, 45 * time.Second, 59 * time.Second, 75 * time.Second, 90 * time.Second,
		119 * time.Second, nat.MaxSTUNDelay,
	}
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON, addresses, long bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what this network lets through, and what to do about it",
		Long: "Ask each server of the profile, and the router: how this network translates addresses and for how\n" +
			"long, what its firewall lets in, whether the router forwards a port, how far the servers are, how large\n" +
			"packets may be, and whether the clock is right. One sentence per finding. It takes about 10 seconds, with\n" +
			"--long 3 minutes. The report names no addresses and no servers, so that it can be shown to others, unless\n" +
			"--addresses is given.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			var servers []identity.ServerAddr
			err := a.with(ctx, func(s *session) error {
				list, err := s.Servers(ctx)
				for _, x := range list {
					servers = append(servers, x.Address)
				}
				return err
			})
			if err != nil {
				return err
			}
			waits := shortWaits
			if long {
				waits = longWaits
				a.say("measuring for about 3 minutes")
			}
			e, err := a.examine(ctx, servers, waits)
			if err != nil {
				return err
			}
			r := e.report(addresses)
			if asJSON {
				return (&printer{w: a.stdout, json: true}).object(r)
			}
			width := 0
			if f, ok := a.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				if width, _, err = term.GetSize(int(f.Fd())); err != nil {
					width = 80
				}
			}
			_, err = fmt.Fprint(a.stdout, r.text(width))
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&addresses, "addresses", false, "show addresses and servers")
	cmd.Flags().BoolVar(&long, "long", false, "measure for up to 3 minutes how long the router keeps a mapping")
	return cmd
}

// An examination is what the doctor measured.
type examination struct {
	servers  []serverExam
	local    []netip.Addr // of this machine's interfaces, without loopback
	received bool         // anything came over UDP
	router   routerExam
	lifetime lifetime
	waited   time.Duration // the longest wait for lifetime
}

// A routerExam is what the default route's gateway said of ports.
type routerExam struct {
	mapping portmap.Mapping // zero: none
	absent  bool            // there is no gateway
}

// A serverExam is what one server answered.
type serverExam struct {
	addr    identity.ServerAddr
	at      netip.AddrPort
	rtt     time.Duration // 0: no answer
	rtt6    time.Duration // over IPv6; 0: none, or it has no address there
	tcp     time.Duration // until it proved its key over WebSocket; 0: it did not
	mtu     int           // of IP packets; 0: not known
	mapped  netip.AddrPort
	other   netip.AddrPort // how its second port sees the same socket; zero: not known
	unasked bool           // its second port got through without being asked
	paired  bool           // it has a second port
	clock   time.Duration  // its clock minus ours
	dialErr error          // of the authenticated connection
}

func (a *app) examine(ctx context.Context, servers []identity.ServerAddr, waits []time.Duration) (*examination, error) {
	e := &examination{servers: make([]serverExam, len(servers))}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing this machine's addresses: %w", err)
	}
	for _, x := range addrs {
		if n, ok := x.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLoopback() {
				e.local = append(e.local, ip.Unmap())
			}
		}
	}
	errs := make([]error, len(servers))
	var all, router sync.WaitGroup
	router.Go(func() { e.router = examineRouter(ctx, a) })
	defer router.Wait()
	for i, addr := range servers {
		all.Go(func() { e.servers[i], errs[i] = a.examineServer(ctx, addr) })
	}
	all.Wait()
	for _, x := range e.servers {
		e.received = e.received || x.rtt > 0
		if x.rtt > 0 && e.waited == 0 && !x.mapped.Addr().IsLoopback() && !e.owns(x.mapped.Addr()) {
			e.waited = waits[len(waits)-1]
			e.lifetime = measureLifetime(ctx, x.at, waits)
		}
	}
	return e, errors.Join(append(errs, ctx.Err())...)
}

// examineRouter asks the gateway for a port, and gives it back.
func examineRouter(ctx context.Context, a *app) (r routerExam) {
	ctx, cancel := context.WithTimeout(ctx, doctorMap)
	defer cancel()
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return r
	}
	defer c.Close()
	m := portmap.Start(portmap.Config{Port: c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), Logger: a.logger()})
	defer m.Close()
	r.mapping, err = m.Wait(ctx)
	r.absent = errors.Is(err, portmap.ErrNoGateway)
	return r
}

func (a *app) examineServer(ctx context.Context, addr identity.ServerAddr) (serverExam, error) {
	x := serverExam{addr: addr}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", addr.Host)
	if err != nil || len(ips) == 0 {
		x.dialErr = err
		return x, nil
	}
	first, err := net.ListenUDP("udp", nil)
	if err != nil {
		return x, fmt.Errorf("opening a UDP socket: %w", err)
	}
	defer first.Close()
	for _, ip := range ips {
		if to := netip.AddrPortFrom(ip.Unmap(), addr.Port); to.Addr().Is6() && x.rtt6 == 0 {
			_, x.rtt6 = askRTT(ctx, first, to)
			if !x.at.IsValid() {
				x.at = to
			}
		} else if to.Addr().Is4() && !x.at.Addr().Is4() {
			x.at = to
		}
	}
	d, rtt := askRTT(ctx, first, x.at)
	x.rtt, x.mapped = rtt, d.Mapped
	if d.Other.IsValid() {
		x.paired = true
		second, _ := ask(ctx, first, d.Other, 0)
		x.other = second.Mapped
		fresh, err := net.ListenUDP("udp", nil)
		if err != nil {
			return x, fmt.Errorf("opening a UDP socket: %w", err)
		}
		defer fresh.Close()
		_, back := ask(ctx, fresh, x.at, nat.STUNOtherPort)
		x.unasked = back > 0
	}
	if x.rtt > 0 {
		x.mtu = measureMTU(ctx, x.at)
	}
	var both sync.WaitGroup
	both.Go(func() { x.tcp = overTCP(ctx, addr, x.at) })
	both.Go(func() { x.clock, x.dialErr = a.clockOf(ctx, addr) })
	both.Wait()
	return x, nil
}

// overTCP returns how long it took to reach a server over WebSocket; 0: not.
func overTCP(ctx context.Context, addr identity.ServerAddr, at netip.AddrPort) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, doctorDial)
	defer cancel()
	start := time.Now()
	c, err := websocket.Dial(ctx, addr, at)
	if err != nil {
		return 0
	}
	defer c.Close()
	return max(time.Since(start), 1)
}

// clockOf compares the clocks over an authenticated connection, which also
// proves the server's key.
func (a *app) clockOf(ctx context.Context, addr identity.ServerAddr) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorDial)
	defer cancel()
	pc, err := net.ListenUDP("udp", nil)
	if err != nil {
		return 0, fmt.Errorf("opening a UDP socket: %w", err)
	}
	ep, err := transport.New(transport.Config{PacketConn: pc, Logger: a.logger()})
	if err != nil {
		return 0, err
	}
	defer ep.Close()
	cl, err := rendezvous.Dial(ctx, ep, addr)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	return cl.ServerTime().Sub(a.now()), nil
}

// silence says in plain words why a server did not answer as it should.
func silence(err error) string {
	switch {
	case errors.Is(err, transport.ErrServerKey):
		return "proved another key than the profile has; ask its operator, and do not use it until then"
	case errors.Is(err, transport.ErrRefused):
		return "offers no rendezvous; that is fine if it is a relay alone"
	}
	return "does not answer over UDP; check its address, or whether it is up"
}
