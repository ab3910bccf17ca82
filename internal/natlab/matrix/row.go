package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/natlab"
)

// A row is what one pair did. Times begin when the second client is connected
// to its server; 0 means never.
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

	figure string
}

func newRow(p natlab.Pair) row {
	return row{Pair: p.Name(), A: p.A, B: p.B, Loss: p.Conditions.Loss, Theory: p.Direct, Path: "none", figure: p.Figure()}
}

func (r row) asTheory() bool { return r.Connected && (r.Path == "direct") == r.Theory }

func (o options) write(rows []row, stdout io.Writer) error {
	b, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
		return err
	}
	t := table(rows)
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
			if r.Path == "direct" {
				direct++
				took = append(took, r.DirectMS)
			}
		}
	}
	fmt.Fprintf(stdout, "figure: paths.matrix.connected %d pairs of %d that exchanged messages\n", connected, len(rows))
	fmt.Fprintf(stdout, "figure: paths.matrix.direct %d pairs of %d that theory lets be punched\n", direct, punchable)
	if len(took) > 0 {
		fmt.Fprintf(stdout, "figure: paths.matrix.median_ms_to_direct %.0f ms from both clients connected to the server, RTT %v\n", median(took), natlab.PairRTT)
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

// table is for people.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("# Every pair of networks\n\nWritten by `make natlab`; do not edit. Real clients behind real kernel NATs (package\n`internal/natlab`, which says what the kinds are), once each.\n\n")
	fmt.Fprintf(&b, "RTT %v between every two networks. Times in ms from both clients connected to the server.\n\n", natlab.PairRTT)
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
