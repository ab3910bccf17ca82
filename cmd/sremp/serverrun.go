package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sremp/sremp/relay"
	relaypostgres "github.com/sremp/sremp/relay/postgres"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
	"github.com/sremp/sremp/transport"
)

// drainTime is how long requests under way may take when a server ends.
const drainTime = 5 * time.Second

// openRelayStore opens the relay's database: PostgreSQL if one is named, and a
// file in the server's directory if not.
func openRelayStore(ctx context.Context, dir, database string) (relay.Store, error) {
	if database != "" {
		s, err := relaypostgres.Open(ctx, database)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := relaysqlite.Open(ctx, filepath.Join(dir, relayDatabase))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// startReaders gives relay framing a reader for each core. A busy one takes one
// of the GOMAXPROCS, also while it sleeps: the rest of the server has its own.
func (s *services) startReaders(ep *transport.Endpoint) {
	if s.relay != nil {
		n := ep.Forward(runtime.NumCPU(), s.relay)
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	}
}

// serveMetrics serves metrics and health on a loopback address until the
// returned function is called.
func (a *app) serveMetrics(s *services, addr string) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() {
		return nil, usageError{fmt.Errorf("--metrics takes a loopback address such as 127.0.0.1:9433, not %q", addr)}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for metrics: %w", err)
	}
	a.say("metrics on http://%s/metrics", l.Addr())
	return a.serveHTTP("metrics", l, s.metrics()), nil
}

// wait returns when the server shall end: it tells the service manager, reloads
// limits at SIGHUP, and lets requests under way finish.
func (a *app) wait(ctx context.Context, s *services, config string) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	a.tellManager("READY=1")
	for ctx.Err() == nil {
		select {
		case <-hup:
			a.reload(s, config)
		case <-ctx.Done():
		}
	}
	a.tellManager("STOPPING=1")
	if s.relay != nil {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := s.relay.Drain(drain); err != nil {
			a.say("requests under way were cut off after %v", drainTime)
		}
	}
}

func (a *app) reload(s *services, config string) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		a.tellManager(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	}
	defer a.tellManager("READY=1")
	switch {
	case config == "":
		a.say("nothing to reload: the server was started without --config")
		return
	case s.relay == nil:
		return
	}
	l, err := reloadLimits(config)
	if err != nil {
		a.say("the limits stay as they were: %v", err)
		return
	}
	s.relay.SetLimits(l)
	a.say("limits reloaded")
}

// tellManager sends a state to the service manager, if there is one
// (sd_notify(3)).
func (a *app) tellManager(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		a.say("telling the service manager: %v", err)
	}
}
