package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
)

// serverSocketFile is where a running server tells its operator how it does.
const serverSocketFile = "control"

// A serverStatus is what a running server says of itself. It names nobody.
type serverStatus struct {
	Version    string            `json:"version"`
	Commit     string            `json:"commit"`
	Address    string            `json:"address"`
	Services   string            `json:"services"`
	Listen     string            `json:"listen"`
	Started    time.Time         `json:"started"`
	Database   string            `json:"database"` // files or postgresql
	Relay      *relayStatus      `json:"relay,omitempty"`
	Rendezvous *rendezvousStatus `json:"rendezvous,omitempty"`
}

type relayStatus struct {
	Admission string            `json:"admission"`
	Stored    relay.Totals      `json:"stored"`
	Counters  relayCounters     `json:"counters"`
	Limits    map[string]string `json:"limits"`
}

// relayCounters are those of [relay.Counters] that operators look at.
type relayCounters struct {
	Owners       int    `json:"owners_connected"`
	Conns        int    `json:"connections"`
	Sessions     int    `json:"sessions"`
	Stored       uint64 `json:"stored"`
	Packets      uint64 `json:"forwarded_packets"`
	Bytes        uint64 `json:"forwarded_bytes"`
	OverRate     uint64 `json:"over_rate"`
	Invalid      uint64 `json:"invalid"`
	Refused      uint64 `json:"refused"`
	RefusedConns uint64 `json:"refused_connections"`
	FailedProofs uint64 `json:"failed_proofs"`
}

func newRelayCounters(c relay.Counters) relayCounters {
	return relayCounters{
		Owners: c.Owners, Conns: c.Conns, Sessions: c.Sessions, Stored: c.Stored, Packets: c.Forwarded, Bytes: c.ForwardedBytes,
		OverRate: c.DroppedRate, Invalid: c.DroppedForged + c.DroppedReplayed + c.DroppedUnknown + c.DroppedMalformed,
		Refused: c.Refused, RefusedConns: c.RefusedConns, FailedProofs: c.FailedProofs,
	}
}

type rendezvousStatus struct {
	Records  int                 `json:"records"`
	Listed   int                 `json:"listed"`
	Counters rendezvous.Counters `json:"counters"`
	Limits   map[string]string   `json:"limits"`
}

// status asks the halves of a server.
func (s *services) status(ctx context.Context) (x serverStatus, err error) {
	x = s.about
	if s.relay != nil {
		x.Relay = &relayStatus{Admission: s.admission, Counters: newRelayCounters(s.relay.Counters()), Limits: pairs(s.relay.Limits().Texts())}
		if x.Relay.Stored, err = s.relay.Totals(ctx); err != nil {
			return x, err
		}
	}
	if s.rendezvous != nil {
		x.Rendezvous = &rendezvousStatus{Counters: s.rendezvous.Counters(), Limits: pairs(s.rendezvous.Limits().Texts())}
		if x.Rendezvous.Records, x.Rendezvous.Listed, err = s.rendezvous.Stored(ctx); err != nil {
			return x, err
		}
	}
	return x, nil
}

func pairs(all [][2]string) map[string]string {
	m := make(map[string]string, len(all))
	for _, p := range all {
		m[p[0]] = p[1]
	}
	return m
}

// serveStatus answers sremp server status on a socket in the server's directory,
// which its owner and root can open, until the returned function is called.
func (a *app) serveStatus(s *services, dir string) (stop func(), err error) {
	l, err := rpc.Listen(filepath.Join(dir, serverSocketFile))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		x, err := s.status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(x) // the reader has gone
	})
	return a.serveHTTP("status", l, mux), nil
}

// serveHTTP serves until the returned function is called.
func (a *app) serveHTTP(what string, l net.Listener, h http.Handler) (stop func()) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.say("%s: %v", what, err)
		}
	}()
	return func() {
		srv.Close()
		<-done
	}
}

// statusTimeout bounds how long a server may count.
const statusTimeout = time.Minute

// askStatus asks the server that runs in dir; running is false if none does.
func askStatus(ctx context.Context, dir string) (x serverStatus, running bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return rpc.DialConn(ctx, filepath.Join(dir, serverSocketFile))
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://server/status", nil)
	if err != nil {
		return x, false, err
	}
	answer, err := transport.RoundTrip(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return x, false, nil
	}
	if err != nil {
		return x, true, fmt.Errorf("asking the server: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return x, true, fmt.Errorf("the server's store does not answer (%s)", answer.Status)
	}
	return x, true, json.NewDecoder(answer.Body).Decode(&x)
}

func (a *app) serverStatus() *cobra.Command {
	o := &admin{app: a}
	var asJSON, qr, all bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show owners, sessions, mail, bytes and limits of the server", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, err := o.status(cmd.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(a.stdout).Encode(x)
			}
			if err := x.print(a, all); err != nil || !qr {
				return err
			}
			return drawQR(a.stdout, x.Address)
		},
	}
	cmd.Flags().StringVar(&o.dir, "dir", defaultServerDir, "`directory` of the server; without one here, "+packageDir)
	cmd.Flags().StringVar(&o.database, "database", "", "connection `string` of its PostgreSQL database, if it has one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&qr, "qr", false, "draw the address as a QR code as well")
	cmd.Flags().BoolVar(&all, "limits", false, "list all limits")
	return cmd
}

// status asks the running server, or its relay's database if it does not run.
func (o *admin) status(ctx context.Context) (serverStatus, error) {
	dir, database, err := o.place()
	if err != nil {
		return serverStatus{}, err
	}
	x, running, err := askStatus(ctx, dir)
	if running || err != nil {
		return x, err
	}
	addr, _, err := serverAddress(dir)
	if err != nil {
		return x, err
	}
	x = serverStatus{Version: programVersion, Commit: programCommit(), Address: addr.String()}
	if _, err := os.Stat(filepath.Join(dir, relayDatabase)); err != nil && database == "" {
		return x, nil // it has never run
	}
	err = o.with(ctx, func(s relay.Store) error {
		stored, err := s.Totals(ctx)
		x.Relay = &relayStatus{Stored: stored, Limits: pairs(relay.DefaultLimits().Texts())}
		return err
	})
	if config := serverConfig(dir); err == nil && config != "" {
		var l relay.Limits
		if l, err = reloadLimits(config); err == nil {
			x.Relay.Limits = pairs(l.Texts())
		}
	}
	return x, err
}

// print writes a table for people.
func (x serverStatus) print(a *app, all bool) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	line := func(cells ...any) {
		text := make([]string, len(cells))
		for i, c := range cells {
			text[i] = fmt.Sprint(c)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(text, "\t"), "\t"))
	}
	line("address", x.Address)
	line("version", x.Version+", commit "+x.Commit)
	if x.Started.IsZero() {
		line("running", "no")
	} else {
		line("running", "since "+x.Started.Local().Format(time.DateTime)+", "+x.Services+" on UDP "+x.Listen+", database "+x.Database)
	}
	if r := x.Relay; r != nil {
		line()
		line("RELAY", "NOW", "LIMIT")
		line("owners", r.Stored.Owners, r.Limits["owners"])
		line("inboxes", r.Stored.Inboxes, r.Limits["inboxes"]+" an owner")
		line("mail", r.Stored.Mail, r.Limits["owner_blobs"]+" an owner")
		line("mail bytes", byteText(r.Stored.Bytes), byteLimit(r.Limits["owner_bytes"])+" an owner")
		if !x.Started.IsZero() {
			c := r.Counters
			line("owners connected", c.Owners)
			line("connections", c.Conns, r.Limits["conns"])
			line("sessions", c.Sessions, r.Limits["sessions"])
			line("admission", r.Admission)
			line()
			line("SINCE THE START", "TOTAL")
			line("mail stored", c.Stored)
			line("packets forwarded", c.Packets)
			line("bytes forwarded", byteText(int64(c.Bytes)))
			line("packets over a rate", c.OverRate)
			line("packets forged, replayed or unknown", c.Invalid)
			line("requests refused", c.Refused)
			line("connections refused", c.RefusedConns)
			line("failed proofs", c.FailedProofs)
		}
	}
	if r := x.Rendezvous; r != nil {
		line()
		line("RENDEZVOUS", "NOW", "LIMIT")
		line("records", r.Records, r.Limits["max_records"])
		line("on the public list", r.Listed, r.Limits["max_listed"])
		line("names online", r.Counters.Online)
		line("connections", r.Counters.Conns, r.Limits["max_conns"])
		line("introductions under way", r.Counters.Introductions)
		line()
		line("SINCE THE START", "TOTAL")
		line("registrations and renewals", r.Counters.Requests["register"]+r.Counters.Requests["renew"])
		line("lookups", r.Counters.Requests["lookup"]+r.Counters.Requests["subscribe"])
		line("introductions asked for", r.Counters.Requests["introduce"])
		line("requests over a rate", r.Counters.Refused)
		line("connections refused", r.Counters.TurnedAway)
	}
	if all {
		line()
		line("LIMIT", "VALUE")
		if r := x.Relay; r != nil {
			for _, name := range relay.LimitNames() {
				line(limitPrefix+name, r.Limits[name])
			}
		}
		if r := x.Rendezvous; r != nil {
			for _, l := range rendezvous.DefaultLimits().Texts() {
				line(rendezvousPrefix+l[0], r.Limits[l[0]])
			}
		}
	}
	return w.Flush()
}

// byteText is a number of bytes for people.
func byteText(n int64) string {
	v, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

// byteLimit is byteText of a limit as text.
func byteLimit(text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return byteText(n)
}
