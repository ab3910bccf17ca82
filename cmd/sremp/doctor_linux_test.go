package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/internal/natlab"
	"github.com/sremp/sremp/nat"
)

// The doctor behind real routers: what it says is what was built.
func TestDoctorInTheLab(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options natlab.RouterOptions
		maps    bool
		nat     string
		want    []string // states and topics among the findings
		below   float64  // seconds
		long    float64  // the same with --long: the wait after the router's 2 min, and the shortest
	}{
		{"home", natlab.RouterOptions{Kind: natlab.Port}, true, "easy", []string{"ok udp", "ok nat", "ok lifetime", "ok port", "note ipv6", "ok server", "ok mtu", "ok clock"}, 0, nat.MaxSTUNDelay.Seconds()},
		{"symmetric, forgetful", natlab.RouterOptions{Kind: natlab.Sym, Mapping: 4 * time.Second, Opening: 3 * time.Second}, false, "symmetric",
			[]string{"note nat", "note lifetime", "note port"}, 6, 10},
		{"blocked", natlab.RouterOptions{Kind: natlab.Blocked}, false, "", []string{"problem udp", "note server"}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.maps && !natlab.HasGateway() {
				t.Skip("NO GATEWAY DAEMON ON THIS MACHINE: install miniupnpd-nftables")
			}
			w, err := natlab.NewWorld(natlab.Conditions{})
			if err != nil {
				t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
			}
			t.Cleanup(w.Close)
			place, err := w.Public(1)
			if err != nil {
				t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
			}
			r, err := w.Router(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			home, err := r.Home()
			if err != nil {
				t.Fatal(err)
			}
			if tt.maps {
				if _, err := r.MapPorts(natlab.MapProtocols{PMP: true}); err != nil {
					t.Fatal(err)
				}
			}
			server := spawnBy(t, place.Start, "server", "--dir", t.TempDir(), "--listen", place.Addr.String()+":4433")
			line, err := bufio.NewReader(server.stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			address := strings.TrimSpace(strings.TrimPrefix(line, "address: "))
			dir := filepath.Join(t.TempDir(), "p")
			at := func(args ...string) string {
				t.Helper()
				cmd := command(t, append([]string{"--profile", dir}, args...)...)
				var out, errs bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &errs
				if err := home.Start(cmd); err != nil {
					t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Fatalf("%v: %v\n%s", args, err, errs.String())
				}
				return out.String()
			}
			at("init", "--name", "Ann", "--server", address)
			var got doctorJSON
			args := []string{"doctor", "--json"}
			if os.Getenv("SREMP_DOCTOR_LONG") != "" { // three minutes
				args = append(args, "--long")
			}
			out := at(args...)
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{home.Addr.String(), r.Addr.String(), place.Addr.String()} {
				if strings.Contains(out, secret) {
					t.Errorf("the report shows %s: %s", secret, out)
				}
			}
			t.Log(got.text(90))
			var all []string
			for _, f := range got.Findings {
				all = append(all, f.State+" "+f.What)
			}
			for _, want := range tt.want {
				if !strings.Contains(strings.Join(all, ", "), want) {
					t.Errorf("got %v, want %q among them: %s", all, want, out)
				}
			}
			if len(args) > 2 {
				tt.below = tt.long
			}
			if got.NAT != tt.nat || got.Lifetime.Below != tt.below {
				t.Errorf("got NAT %q, mapping below %v s, want %q, %v", got.NAT, got.Lifetime.Below, tt.nat, tt.below)
			}
		})
	}
}
