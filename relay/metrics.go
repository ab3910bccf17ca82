package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// storeSeconds are the buckets of the time that storing a blob takes.
var storeSeconds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5}

// A histogram counts times, in Prometheus' cumulative sense once written.
type histogram struct {
	counts [len(storeSeconds) + 1]atomic.Uint64
	sum    atomic.Int64 // ns
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(storeSeconds) && d.Seconds() > storeSeconds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// WriteMetrics writes the counters in Prometheus' text format. They name nobody.
func (s *Server) WriteMetrics(w io.Writer) error {
	b := bufio.NewWriter(w)
	c := s.Counters()
	one := func(name, kind, help string, v any) {
		fmt.Fprintf(b, "# HELP sremp_relay_%s %s\n# TYPE sremp_relay_%s %s\nsremp_relay_%s %v\n", name, help, name, kind, name, v)
	}
	one("forwarded_packets_total", "counter", "Packets forwarded.", c.Forwarded)
	one("forwarded_bytes_total", "counter", "Their bytes, headers included.", c.ForwardedBytes)
	fmt.Fprint(b, "# HELP sremp_relay_dropped_packets_total Packets not forwarded, by reason.\n# TYPE sremp_relay_dropped_packets_total counter\n")
	for why := dropNone + 1; why < dropReasons; why++ {
		var n uint64
		for i := range s.stats.lanes {
			n += s.stats.lanes[i].drops[why].Load()
		}
		fmt.Fprintf(b, "sremp_relay_dropped_packets_total{reason=%q} %d\n", dropNames[why], n)
	}
	one("challenges_total", "counter", "Challenges sent to addresses that were not validated.", c.Challenges)
	one("moves_total", "counter", "Sides that have proved a new address.", c.Moves)
	one("resumed_total", "counter", "Sides taken up after a restart.", c.Resumed)
	one("sessions", "gauge", "Forwarding sessions.", c.Sessions)
	one("max_sessions", "gauge", "Forwarding sessions that may be.", s.lim().Sessions)
	one("max_connections", "gauge", "Connections that may be open.", s.lim().Conns)
	one("max_owners", "gauge", "Owners that may be registered.", s.lim().Owners)
	if x, known := s.stored(); known {
		one("owners", "gauge", "Registered owners.", x.Owners)
		one("inboxes", "gauge", "Inboxes.", x.Inboxes)
		one("mail", "gauge", "Blobs stored for owners.", x.Mail)
		one("mail_bytes", "gauge", "Bytes of stored blobs.", x.Bytes)
	}
	one("connections", "gauge", "Connections.", c.Conns)
	one("owner_connections", "gauge", "Connections of authenticated owners.", c.Owners)
	one("stored_total", "counter", "Blobs stored, without repetitions.", c.Stored)
	one("refused_requests_total", "counter", "Requests answered with an error.", c.Refused)
	one("refused_connections_total", "counter", "Connections over a limit.", c.RefusedConns)
	one("failed_proofs_total", "counter", "Owners' signatures that did not hold.", c.FailedProofs)
	fmt.Fprint(b, "# HELP sremp_relay_store_seconds Time to store a blob durably.\n# TYPE sremp_relay_store_seconds histogram\n")
	var n uint64
	for i := range s.stats.store.counts {
		n += s.stats.store.counts[i].Load()
		le := "+Inf"
		if i < len(storeSeconds) {
			le = fmt.Sprint(storeSeconds[i])
		}
		fmt.Fprintf(b, "sremp_relay_store_seconds_bucket{le=%q} %d\n", le, n)
	}
	fmt.Fprintf(b, "sremp_relay_store_seconds_sum %g\nsremp_relay_store_seconds_count %d\n", time.Duration(s.stats.store.sum.Load()).Seconds(), n)
	return b.Flush()
}

// totalsAge is how old the totals of a scrape may be: counting reads an index of
// all mail.
const totalsAge = 30 * time.Second

// A tally is the totals of a moment.
type tally struct {
	at time.Time
	Totals
}

// stored returns the store's totals, not older than totalsAge unless the store
// does not answer; known is false if it never did.
func (s *Server) stored() (x Totals, known bool) {
	last := s.totals.Load()
	if last == nil || time.Since(last.at) > totalsAge {
		ctx, cancel := context.WithTimeout(s.ctx, readyTimeout)
		defer cancel()
		if fresh, err := s.store.Totals(ctx); err == nil {
			last = &tally{time.Now(), fresh}
			s.totals.Store(last)
		}
	}
	if last == nil {
		return Totals{}, false
	}
	return last.Totals, true
}

// Totals counts what the store holds now.
func (s *Server) Totals(ctx context.Context) (Totals, error) { return s.store.Totals(ctx) }

// Limits returns the limits that hold now.
func (s *Server) Limits() Limits { return *s.lim() }

// readyTimeout is how long the store may take to answer before the server calls
// itself not ready.
const readyTimeout = 2 * time.Second

// Ready returns nil if the server takes requests and its store answers.
func (s *Server) Ready(ctx context.Context) error {
	if s.draining.Load() || s.ctx.Err() != nil {
		return ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	_, err := s.store.Blocked(ctx)
	return err
}

// Handler serves /metrics, /healthz (the process lives) and /readyz (it takes
// requests). It is for a loopback address: it asks nobody who he is.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = s.WriteMetrics(w) // the reader has gone
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// Drain takes no new connections and waits until no request is under way, or
// until ctx ends. Owners' connections and sessions stand until Close: another
// process takes the sessions up (spec §6.6.5).
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for s.busy.Load() > 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
