package rendezvous

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sremp/sremp/wire"
)

// kinds are the requests that are counted, by the type of their frame; the last
// is everything else.
var kinds = [...]struct {
	typ  uint16
	name string
}{
	{wire.FrameRendezvousRegister, "register"},
	{wire.FrameRendezvousRenew, "renew"},
	{wire.FrameRendezvousLookup, "lookup"},
	{wire.FrameRendezvousSubscribe, "subscribe"},
	{wire.FrameRendezvousIntroduce, "introduce"},
	{wire.FrameRendezvousAnswer, "answer"},
	{wire.FrameRendezvousList, "list"},
	{wire.FrameRendezvousBrowse, "browse"},
	{wire.FrameRendezvousServers, "servers"},
	{wire.FrameRendezvousAttest, "attest"},
	{0, "other"},
}

type counters struct {
	requests      [len(kinds)]atomic.Uint64
	found, failed atomic.Uint64
}

// asked counts a request.
func (c *counters) asked(typ uint16) {
	i := 0
	for i < len(kinds)-1 && kinds[i].typ != typ {
		i++
	}
	c.requests[i].Add(1)
}

// Counters are what a server has done since it started, and what it holds now.
// They name nobody.
type Counters struct {
	Requests   map[string]uint64 `json:"requests"`    // by kind
	Found      uint64            `json:"found"`       // names that were looked up, or subscribed to, and are there
	Refused    uint64            `json:"refused"`     // requests over a rate
	TurnedAway uint64            `json:"turned_away"` // connections over a limit
	Failed     uint64            `json:"failed"`      // of the store

	Conns         int `json:"connections"`
	Online        int `json:"online"`        // names whose owner is connected here
	Listed        int `json:"listed_online"` // people on the list who are
	Introductions int `json:"introductions"` // under way
}

// Counters returns the server's counters.
func (s *Server) Counters() Counters {
	c := Counters{Requests: make(map[string]uint64, len(kinds)), Found: s.stats.found.Load(), Failed: s.stats.failed.Load()}
	for i, k := range kinds {
		c.Requests[k.name] = s.stats.requests[i].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Refused, c.TurnedAway = s.core.refused, s.core.turned
	c.Conns, c.Online, c.Listed, c.Introductions = len(s.core.conns), len(s.core.online), len(s.core.listed), len(s.core.pending)
	return c
}

// Stored returns how many records and entries of the list the store has.
func (s *Server) Stored(ctx context.Context) (records, listed int, err error) {
	return s.store.Count(ctx)
}

// Limits returns the limits that hold.
func (s *Server) Limits() Limits { return s.lim }

// countTimeout bounds how long a scrape waits for the store.
const countTimeout = 2 * time.Second

// WriteMetrics writes the counters in Prometheus' text format. They name nobody.
func (s *Server) WriteMetrics(w io.Writer) error {
	b := bufio.NewWriter(w)
	c := s.Counters()
	head := func(name, kind, help string) {
		fmt.Fprintf(b, "# HELP sremp_rendezvous_%s %s\n# TYPE sremp_rendezvous_%s %s\n", name, help, name, kind)
	}
	one := func(name, kind, help string, v any) {
		head(name, kind, help)
		fmt.Fprintf(b, "sremp_rendezvous_%s %v\n", name, v)
	}
	head("requests_total", "counter", "Requests, by kind.")
	for _, k := range kinds {
		fmt.Fprintf(b, "sremp_rendezvous_requests_total{kind=%q} %d\n", k.name, c.Requests[k.name])
	}
	one("found_total", "counter", "Names looked up or subscribed to that are there.", c.Found)
	one("refused_requests_total", "counter", "Requests over a rate.", c.Refused)
	one("refused_connections_total", "counter", "Connections over a limit.", c.TurnedAway)
	one("store_failures_total", "counter", "Requests that failed because the store did.", c.Failed)
	one("connections", "gauge", "Connections.", c.Conns)
	one("online", "gauge", "Names whose owner is connected.", c.Online)
	one("introductions", "gauge", "Introductions under way.", c.Introductions)
	ctx, cancel := context.WithTimeout(s.ctx, countTimeout)
	defer cancel()
	if records, listed, err := s.store.Count(ctx); err == nil {
		one("records", "gauge", "Records stored.", records)
		one("listed", "gauge", "Entries of the public list stored.", listed)
	}
	one("max_records", "gauge", "Records that may be stored.", s.lim.MaxRecords)
	one("max_connections", "gauge", "Connections that may be open.", s.lim.MaxConns)
	return b.Flush()
}
