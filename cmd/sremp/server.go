package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/relay/websocket"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Names of files in a server's directory.
const (
	serverKeyFile    = "server.key"
	serverLockFile   = "lock"
	relayDatabase    = "relay.db"
	rendezvousDBFile = "rendezvous.db"
)

const defaultServerListen = ":4433"

// errDirInUse has the exit status of a profile in use.
var errDirInUse = errors.New("the server's directory is in use by another server; stop that one first, or choose another with --dir")

type serverOptions struct {
	dir, listen, public string
	relay, rendezvous   bool

	// Of the relay.
	admission, database, metrics, config string
	limits                               limits

	// Of the rendezvous.
	gossip []string

	secondAddress string // for STUN

	// For clients without UDP.
	websocket, tlsCert, tlsKey, domain string
}

func (a *app) serverCommand() *cobra.Command {
	cmd := a.newServerCommand("server", "Run a server: relay, rendezvous and STUN on one UDP port",
		serverOptions{relay: true, rendezvous: true})
	run := a.newServerCommand("run", "Run the server that init has made", serverOptions{relay: true, rendezvous: true})
	cmd.AddCommand(a.serverInit(), run, a.serverStatus())
	a.addOperatorCommands(cmd)
	return cmd
}

func (a *app) relayCommand() *cobra.Command {
	return a.newServerCommand("relay", "Run a relay alone: forwarding and mailboxes", serverOptions{relay: true})
}

func (a *app) rendezvousCommand() *cobra.Command {
	return a.newServerCommand("rendezvous", "Run a rendezvous alone: lookups, introductions and STUN",
		serverOptions{rendezvous: true})
}

func (a *app) newServerCommand(name, short string, o serverOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " --dir DIR --listen HOST:PORT [--public HOST:PORT]",
		Short: short,
		Long: short + ".\n\n" +
			"The first line on standard output is \"address: ADDRESS\"; give ADDRESS to those who shall use it.\n" +
			"It holds the server's key, which is made at the first start and kept in DIR with the databases.\n" +
			"The next UDP port answers STUN as well, if it is free. Runs until SIGTERM or Ctrl-C.",
		Example: "  sremp " + name + " --dir /var/lib/sremp --listen :4433 --public chat.example.org:4433",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.config == "" {
				o.config = serverConfig(o.dir)
			}
			if o.limits, err = loadConfig(cmd, o.config); err != nil {
				return err
			}
			return a.runServer(cmd.Context(), o)
		},
	}
	addServerFlags(cmd.Flags(), &o)
	return cmd
}

// addServerFlags adds what a server of these services takes; a configuration file
// has the same names.
func addServerFlags(f *pflag.FlagSet, o *serverOptions) {
	if o.relay {
		f.StringVar(&o.admission, "admission", "open", "who may become an owner: open, or token")
	}
	if o.rendezvous {
		f.StringSliceVar(&o.gossip, "gossip", nil, "`addresses` of servers that are asked for others, which are passed on to who asks")
	}
	f.StringVar(&o.metrics, "metrics", "", "loopback `address` for Prometheus metrics and health")
	f.StringVar(&o.database, "database", "", "connection `string` of a PostgreSQL database, instead of files; several servers with one key may share it")
	f.StringVar(&o.secondAddress, "second-address", "", "another IP `address` of this machine, for STUN; --listen must name one, too")
	addWebSocketFlags(f, o)
	f.StringVar(&o.config, "config", "", "`file` with lines \"FLAG = VALUE\", \"limit.NAME = VALUE\" and \"rendezvous.NAME = VALUE\"; SIGHUP reloads the relay's limits; without it DIR/server.conf, if there is one")
	f.StringVar(&o.dir, "dir", defaultServerDir, "`directory` of its key and databases")
	f.StringVar(&o.listen, "listen", defaultServerListen, "UDP `address` to listen on")
	f.StringVar(&o.public, "public", "", "the `address` where clients reach it, if not the one it listens on")
}

func (a *app) runServer(ctx context.Context, o serverOptions) (err error) {
	public, err := parsePublic(o.public)
	if err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return usageError{fmt.Errorf("--listen takes HOST:PORT, not %q", o.listen)}
	}
	if o.relay && o.admission != "open" && o.admission != "token" {
		return usageError{fmt.Errorf("--admission takes open or token, not %q", o.admission)}
	}
	second, err := parseSecondAddress(o)
	if err != nil {
		return err
	}
	gossip, err := parseGossip(o.gossip)
	if err != nil {
		return err
	}
	key, unlock, err := openServerDir(o.dir)
	if err != nil {
		return err
	}
	defer unlock()
	pc, err := listenUDP(ctx, o.listen)
	if err != nil {
		return err
	}
	s, err := newServices(ctx, o, key, public, a.serverLogger())
	if err != nil {
		pc.Close()
		return err
	}
	defer func() {
		if closeErr := s.close(); err == nil {
			err = closeErr
		}
	}()
	ep, err := transport.New(transport.Config{
		PacketConn: pc, ServerKey: key, Services: s.handlers, Forward: s.forward, STUN: true,
		ValidateAddresses: true, AddressProven: websocket.StandIn, Logger: a.serverLogger(),
	})
	if err != nil {
		pc.Close()
		return err
	}
	defer ep.Close() // before the services, whose handlers it ends
	s.setSend(ep.WritePacket)
	s.startReaders(ep)
	stopMetrics, err := a.serveMetrics(s, o.metrics)
	if err != nil {
		return err
	}
	defer stopMetrics()
	stopWeb, err := a.serveWebSocket(o, key, ep.LocalAddr())
	if err != nil {
		return err
	}
	defer stopWeb()

	if public.Host == "" {
		public = a.guessPublic(ep.LocalAddr())
	}
	public.ID = key.ID()
	stopSTUN, err := a.moreSTUN(ctx, ep, public, second)
	if err != nil {
		return err
	}
	defer stopSTUN()
	defer a.gossip(ctx, s, ep, gossip)()
	s.about = serverStatus{
		Version: programVersion, Commit: programCommit(), Address: public.String(), Services: o.String(), Listen: ep.LocalAddr().String(),
		Started: time.Now(), Database: "files",
	}
	if o.database != "" {
		s.about.Database = "PostgreSQL"
	}
	stopStatus, err := a.serveStatus(s, o.dir)
	if err != nil {
		return err
	}
	defer stopStatus()
	if _, err := fmt.Fprintf(a.stdout, "address: %s\n", public); err != nil {
		return err
	}
	a.say("%s on UDP %s; stop with Ctrl-C", o, ep.LocalAddr())
	a.wait(ctx, s, o.config)
	return nil
}

// services are what one server offers.
type services struct {
	handlers map[string]func(context.Context, *transport.Conn)
	relay    *relay.Server // nil if none

	rendezvous *rendezvous.Server // nil if none
	closers    []func() error

	dir       string // with its files
	admission string
	about     serverStatus // constant once the server runs
}

func newServices(ctx context.Context, o serverOptions, key *identity.ServerKey, public identity.ServerAddr, log *slog.Logger) (_ *services, err error) {
	s := &services{handlers: map[string]func(context.Context, *transport.Conn){}, dir: o.dir, admission: o.admission}
	defer func() {
		if err != nil {
			_ = s.close() // the error that counts is the one we have
		}
	}()
	if o.relay {
		db, err := openRelayStore(ctx, o.dir, o.database)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, db.Close)
		if s.relay, err = relay.NewServer(relay.ServerConfig{
			Key: key, Store: db, Logger: log, TokensOnly: o.admission == "token", Limits: o.limits.relay,
		}); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, s.relay.Close)
		s.handlers[relay.ALPN] = s.relay.Serve
	}
	if o.rendezvous {
		if err := s.openRendezvous(ctx, o, key, public, log); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *services) forward(from netip.AddrPort, packet []byte) {
	if s.relay != nil {
		s.relay.Forward(from, packet)
	}
}

func (s *services) setSend(send func(netip.AddrPort, []byte)) {
	if s.relay != nil {
		s.relay.SetSend(send)
	}
}

// close closes in the opposite order of opening: servers before their stores.
func (s *services) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

func listenUDP(ctx context.Context, addr string) (*net.UDPConn, error) {
	pc, err := new(net.ListenConfig).ListenPacket(ctx, "udp", addr)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("%w (%s)", errPortTaken, addr)
	case err != nil:
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return pc.(*net.UDPConn), nil
}

// parsePublic parses --public; an empty one gives the zero address.
func parsePublic(s string) (identity.ServerAddr, error) {
	if s == "" {
		return identity.ServerAddr{}, nil
	}
	host, portText, err := net.SplitHostPort(s)
	port, portErr := strconv.ParseUint(portText, 10, 16)
	if err != nil || portErr != nil || port == 0 || identity.CheckHost(host) != nil {
		return identity.ServerAddr{}, usageError{fmt.Errorf("--public takes HOST:PORT, not %q", s)}
	}
	return identity.ServerAddr{Host: host, Port: uint16(port)}, nil
}

// guessPublic returns where clients may reach a server that listens on local.
// If that is all addresses it picks one of an interface, and says so.
func (a *app) guessPublic(local netip.AddrPort) identity.ServerAddr {
	addr := local.Addr().Unmap()
	if addr.IsUnspecified() {
		var from string
		addr, from = interfaceAddr()
		a.say("it listens on all addresses; the one printed is %s, of %s. "+
			"If clients reach it elsewhere, start it with --public HOST:PORT", addr, from)
	}
	return identity.ServerAddr{Host: addr.String(), Port: local.Port()}
}

// interfaceAddr returns an address of this machine and its interface's name: a
// public one if there is any, IPv4 before IPv6, loopback if there is no other.
func interfaceAddr() (best netip.Addr, from string) {
	best, from = netip.AddrFrom4([4]byte{127, 0, 0, 1}), "loopback"
	rank := 0
	ifaces, err := net.Interfaces()
	if err != nil {
		return best, from
	}
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			if r := addrRank(prefix.Addr()); r > rank {
				best, from, rank = prefix.Addr(), i.Name, r
			}
		}
	}
	return best, from
}

func addrRank(a netip.Addr) int {
	switch {
	case !a.IsGlobalUnicast():
		return 0
	case a.Is4() && !a.IsPrivate():
		return 4
	case a.Is6() && !a.IsPrivate():
		return 2
	case a.Is4():
		return 3
	}
	return 1
}

// openServerDir makes dir if it is missing, locks it and returns the server's
// key, which it makes at the first start.
func openServerDir(dir string) (key *identity.ServerKey, unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the server's directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, serverLockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("locking the server's directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil, errDirInUse
		}
		return nil, nil, fmt.Errorf("locking the server's directory: %w", err)
	}
	if key, err = loadServerKey(filepath.Join(dir, serverKeyFile)); err != nil {
		lock.Close()
		return nil, nil, err
	}
	return key, func() { lock.Close() }, nil
}

// String lists the services, for people.
func (o serverOptions) String() string {
	switch {
	case o.relay && o.rendezvous:
		return "relay, rendezvous and STUN"
	case o.relay:
		return "relay and STUN"
	}
	return "rendezvous and STUN"
}
