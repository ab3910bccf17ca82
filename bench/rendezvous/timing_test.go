package rendezvous_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/rendezvous/sqlite"
	"github.com/sremp/sremp/wire"
)

// Figure 4: what is absent, expired or hidden takes as long as what is found,
// within the noise of one lookup.
func TestTiming(t *testing.T) {
	n := size("TIMINGS", 200, 10_000)
	const each = 500 // names of a kind
	file := filepath.Join(t.TempDir(), "r.db")
	fill(t, file, 2*each)
	st, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(each) {
		r := rendezvous.StoredRecord{Blinded: name(i), Sealed: make([]byte, wire.MinRendezvousSealed), Expires: time.Now().Add(-time.Second)}
		if err := st.Put(t.Context(), r, 2*each); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, "sremp", "127.0.0.1:0", file)
	r, err := dialRaw(t.Context(), endpoint(t), p.addr)
	if err != nil {
		t.Fatal(err)
	}
	// Hidden is absent: another lookup secret is another name.
	kinds := []string{"expired", "found", "absent"}
	times := map[string][]float64{}
	for i := range n {
		for k, kind := range kinds {
			began := time.Now()
			b, err := r.ask(wire.FrameRendezvousLookup, wire.RendezvousLookup{Blinded: name(uint64(k*each + i*7%each))}.Append(nil))
			took := time.Since(began)
			if err != nil {
				t.Fatal(err)
			}
			x, err := wire.ParseRendezvousFound(b)
			if err != nil || (x.Status == wire.RendezvousOK) != (kind == "found") || len(b) != 12+wire.MinRendezvousSealed {
				t.Fatalf("%s: status %d, %d bytes, %v", kind, x.Status, len(b), err)
			}
			times[kind] = append(times[kind], float64(took.Nanoseconds())/1000)
		}
	}
	mid := map[string]float64{}
	noise := 0.0
	for kind, ts := range times {
		slices.Sort(ts)
		mid[kind] = ts[len(ts)/2]
		noise = max(noise, ts[3*len(ts)/4]-ts[len(ts)/4])
	}
	what := fmt.Sprintf("median of %d lookups each, loopback", n)
	figure(t, "4.absent_expired", math.Abs(mid["absent"]-mid["expired"]), "µs", "difference of absent (and hidden, blocked) and expired; "+what)
	figure(t, "4.absent_found", math.Abs(mid["absent"]-mid["found"]), "µs", "difference of absent and found; "+what)
	figure(t, "4.noise", noise, "µs", "goal: more than the differences; widest of the middle halves; "+what)
}
