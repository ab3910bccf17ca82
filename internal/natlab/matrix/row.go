package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/natlab"
)

// A row is what one pair did. Times begin when the second client has opened its
// profile, and so include that it connects to its servers; 0 means never.
type row struct {
	Pair      string     `json:"pair"`
	A         string     `json:"a"`
	B         string     `json:"b"`
	Loss      float64    `json:"loss"`
	Theory    bool       `json:"theory_direct"`
	Connected bool       `json:"connected"`
	Path      string     `json:"path"`   // of both sides: direct, relay, or different
	Reason    string     `json:"reason"` // of A's client, and in a word
	Why       client.Why `json:"why"`
	ReasonB   string     `json:"reason_b"` // of B's
	WhyB      client.Why `json:"why_b"`
	RelayMS   float64    `json:"ms_to_relay"`
	MessageMS float64    `json:"ms_to_first_message"`
	DirectMS  float64    `json:"ms_to_direct"`
	Packets   int        `json:"probe_packets"`
	Problem   string     `json:"problem,omitempty"`

	// Of several runs the times are medians, and the path is the most frequent.
	Runs          int `json:"runs"`
	ConnectedRuns int `json:"connected_runs"`
	DirectRuns    int `json:"direct_runs"`

	figure string
	chance bool
}

func newRow(p natlab.Pair) row {
	return row{Pair: p.Name(), A: p.A, B: p.B, Loss: p.Conditions.Loss, Theory: p.Direct, Path: "none", figure: p.Figure(), chance: p.Chance()}
}

// asTheory reports whether every run was as theory says; a birthday search may
// fail in one of ten.
func (r row) asTheory() bool {
	missing := r.Runs - r.DirectRuns
	if !r.Theory {
		missing = r.DirectRuns
	}
	return r.ConnectedRuns == r.Runs && (missing == 0 || r.chance && missing <= max(r.Runs/10, 1))
}

// repeat runs a pair several times and sums up.
func (s *stage) repeat(ctx context.Context, p natlab.Pair, runs int) row {
	var all []row
	sum := newRow(p)
	for range runs {
		r := s.play(ctx, p)
		all = append(all, r)
		if r.Connected {
			sum.ConnectedRuns++
		}
		if r.Path == "direct" {
			sum.DirectRuns++
		}
		sum.Packets = max(sum.Packets, r.Packets)
	}
	// One that is as most are.
	often := func(r row) int {
		n := 0
		for _, o := range all {
			if o.Path == r.Path {
				n++
			}
		}
		return n
	}
	typical := slices.MaxFunc(all, func(a, b row) int { return often(a) - often(b) })
	typical.ConnectedRuns, typical.DirectRuns, typical.Packets = sum.ConnectedRuns, sum.DirectRuns, sum.Packets
	sum = typical
	sum.Runs, sum.Connected = runs, sum.ConnectedRuns == runs
	of := func(get func(row) float64) float64 {
		var v []float64
		for _, r := range all {
			if x := get(r); x > 0 {
				v = append(v, x)
			}
		}
		if len(v) == 0 {
			return 0
		}
		return median(v)
	}
	sum.RelayMS = of(func(r row) float64 { return r.RelayMS })
	sum.MessageMS = of(func(r row) float64 { return r.MessageMS })
	sum.DirectMS = of(func(r row) float64 { return r.DirectMS })
	return sum
}

func (o options) write(rows []row, stdout io.Writer) error {
	b, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
		return err
	}
	t := o.tableOf(rows)
	if o.table != "" {
		if err := os.WriteFile(o.table, []byte(t), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprint(stdout, t)
	var connected, direct, punchable int
	var took []float64
	for _, r := range rows {
		if r.Connected {
			connected++
		}
		if r.Theory {
			punchable++
			if r.DirectRuns == r.Runs {
				direct++
				took = append(took, r.DirectMS)
			}
		}
	}
	fmt.Fprintf(stdout, "figure: paths.matrix.connected %d pairs of %d that exchanged messages\n", connected, len(rows))
	fmt.Fprintf(stdout, "figure: paths.matrix.direct %d pairs of %d that theory lets be punched\n", direct, punchable)
	if len(took) > 0 {
		fmt.Fprintf(stdout, "figure: paths.matrix.median_ms_to_direct %.0f ms from the start of the second client, its profile open, RTT %v\n", median(took), natlab.PairRTT)
	}
	for _, r := range rows {
		if r.DirectMS > 0 {
			fmt.Fprintf(stdout, "figure: paths.%s.ms_to_direct %.0f ms\n", r.figure, r.DirectMS)
		}
		if r.MessageMS > 0 {
			fmt.Fprintf(stdout, "figure: paths.%s.ms_to_first_message %.0f ms\n", r.figure, r.MessageMS)
		}
	}
	return nil
}

// tableOf is for people.
func (o options) tableOf(rows []row) string {
	var b strings.Builder
	b.WriteString(preface)
	if o.delays {
		fmt.Fprintf(&b, "\nRTT %v between every two networks, unless the pair says otherwise.", natlab.PairRTT)
	} else {
		b.WriteString("\nNO TUN DEVICE HERE: no delay, jitter or rate limit, and packets were not counted.")
	}
	b.WriteString(" Times in ms from the\nstart of the second client, its profile open: first it connects to two servers. Probe\npackets are those of both sides.\n\n")
	b.WriteString("| pair | theory | path | first message | direct | probe packets | why |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		theory := "relay"
		if r.Theory {
			theory = "direct"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d | %s |\n", r.Pair, theory, r.Path, ms(r.MessageMS), ms(r.DirectMS), r.Packets, r.why())
	}
	return b.String()
}

// why gives both sides' reasons, once if they are the same.
func (r row) why() string {
	s := r.Reason
	if r.ReasonB != r.Reason {
		s += " / " + r.ReasonB
	}
	return s + r.Problem
}

func ms(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}

const preface = `# Every pair of networks

Written by "make natlab"; do not edit. Real clients behind real kernel NATs in network
namespaces (package internal/natlab), two sremp servers between them. As root, or in a
user namespace; then without /dev/net/tun, and so without delay.

| kind | mapping (RFC 4787) | filtering | |
|---|---|---|---|
| none | | | a public address |
| port | endpoint-independent | address and port | keeps the port, as most Linux routers do |
| portrnd | endpoint-independent | address and port | changes the port |
| fullcone | endpoint-independent | none | hairpins |
| addr | endpoint-independent | address | hairpins |
| portcone | endpoint-independent | address and port | hairpins |
| sym | address and port | address and port | random ports |
| symseq | address and port | address and port | sequential ports |
| symaddr | address | address and port | |
| carrier | as portrnd | as portrnd | two routers in a row, port behind portrnd |
| blocked | | | no UDP |
| tcponly443 | | | TCP to ports 80 and 443 alone |
| ipv6 | | address and port | IPv6 alone, a stateful firewall |
| dual | as port | as port | and IPv6 as above |

/accept, /reject: what the router does with packets to itself, drop is usual; /short: it
forgets a mapping after 8 s; /mapped: it maps ports for who asks; same: one router for both
sides, isolated if they reach each other only by its outside address; same carrier: two
homes behind one carrier's router of that kind. Each kind is classified by a test as in
RFC 5780, and the delay, jitter, loss, order and rate of the forwarder are measured.
`
