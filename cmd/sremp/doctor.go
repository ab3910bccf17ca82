package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Patience of the doctor with one question to a server.
const (
	doctorWait  = 300 * time.Millisecond
	doctorTries = 3
	doctorDial  = 5 * time.Second
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON, addresses bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what this network lets through, and what to do about it",
		Long: "Ask each server of the profile over UDP: how this network translates addresses, what its firewall\n" +
			"lets in, how far the servers are, and whether the clock is right. One sentence per finding.\n" +
			"The report names no addresses, so that it can be shown to others, unless --addresses is given.",
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
			e, err := a.examine(ctx, servers)
			if err != nil {
				return err
			}
			r := e.report(addresses)
			if asJSON {
				return (&printer{w: a.stdout, json: true}).object(r)
			}
			for _, f := range r.Findings {
				if _, err := fmt.Fprintf(a.stdout, "%-8s %s\n", f.State, f.Text); err != nil {
					return err
				}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&addresses, "addresses", false, "show addresses")
	return cmd
}

// An examination is what the doctor measured.
type examination struct {
	servers  []serverExam
	local    []netip.Addr // of this machine's interfaces, without loopback
	received bool         // anything came over UDP
}

// A serverExam is what one server answered.
type serverExam struct {
	addr    identity.ServerAddr
	rtt     time.Duration // 0: no answer
	mapped  netip.AddrPort
	port    uint16         // ours
	other   netip.AddrPort // how its second port sees the same socket; zero: not known
	unasked bool           // its second port got through without being asked
	paired  bool           // it has a second port
	clock   time.Duration  // its clock minus ours
	dialErr error          // of the authenticated connection
}

func (a *app) examine(ctx context.Context, servers []identity.ServerAddr) (*examination, error) {
	e := &examination{}
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
	for _, addr := range servers {
		x, err := a.examineServer(ctx, addr)
		if err != nil {
			return nil, err
		}
		e.received = e.received || x.rtt > 0
		e.servers = append(e.servers, x)
	}
	return e, nil
}

func (a *app) examineServer(ctx context.Context, addr identity.ServerAddr) (serverExam, error) {
	x := serverExam{addr: addr}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", addr.Host)
	if err != nil || len(ips) == 0 {
		x.dialErr = err
		return x, nil
	}
	to := netip.AddrPortFrom(ips[0].Unmap(), addr.Port)
	first, err := net.ListenUDP("udp", nil)
	if err != nil {
		return x, fmt.Errorf("opening a UDP socket: %w", err)
	}
	defer first.Close()
	d, rtt := ask(ctx, first, to, 0)
	x.rtt, x.mapped, x.port = rtt, d.Mapped, first.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if d.Other.IsValid() {
		x.paired = true
		second, _ := ask(ctx, first, d.Other, 0)
		x.other = second.Mapped
		fresh, err := net.ListenUDP("udp", nil)
		if err != nil {
			return x, fmt.Errorf("opening a UDP socket: %w", err)
		}
		defer fresh.Close()
		_, back := ask(ctx, fresh, to, nat.STUNOtherPort)
		x.unasked = back > 0
	}
	x.clock, x.dialErr = a.clockOf(ctx, addr)
	return x, nil
}

// ask sends a binding request (RFC 5780) until it is answered. The round trip is
// 0 if it never was.
func ask(ctx context.Context, c *net.UDPConn, to netip.AddrPort, change nat.STUNChange) (nat.STUNDiscovery, time.Duration) {
	b := make([]byte, 1500)
	for range doctorTries {
		if ctx.Err() != nil {
			break
		}
		id, packet := nat.STUNDiscover(change)
		start := time.Now()
		if _, err := c.WriteToUDPAddrPort(packet, to); err != nil {
			continue // no route to it, say: that is a finding
		}
		if err := c.SetReadDeadline(start.Add(doctorWait)); err != nil {
			break
		}
		for {
			n, _, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				break
			}
			if got, d, err := nat.ParseSTUNDiscovery(b[:n]); err == nil && got == id {
				return d, max(time.Since(start), 1)
			}
		}
	}
	return nat.STUNDiscovery{}, 0
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
	return time.Until(cl.ServerTime()), nil
}

// silence says in plain words why a server did not answer as it should.
func silence(err error) string {
	switch {
	case errors.Is(err, transport.ErrServerKey):
		return "proved another key than the profile has; ask its operator, and do not use it until then"
	case errors.Is(err, transport.ErrRefused):
		return "offers no rendezvous; that is fine if it is a relay alone"
	}
	return "does not answer over UDP; check its address, or whether this network blocks UDP"
}
