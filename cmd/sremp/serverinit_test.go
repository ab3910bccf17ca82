package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
)

// An operator's first minutes: init, run, status, and status again when it has
// ended. Nothing is asked, and init once more changes nothing.
func TestServerInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "server")
	expect(t, 1, "sremp server init", "server", "status", "--dir", dir)
	expect(t, exitUsage, "--public takes", "server", "init", "--dir", dir, "--public", "nowhere")
	expect(t, exitUsage, "--listen takes", "server", "init", "--dir", dir, "--listen", "4433")

	listen := ownAddr(24680)
	out := must(t, "server", "init", "--dir", dir, "--listen", listen, "--public", "chat.example.org:4433")
	line, qr, _ := strings.Cut(out, "\n")
	text, ok := strings.CutPrefix(line, "address: ")
	addr, err := identity.ParseServerAddr(text)
	if !ok || err != nil || addr.Host != "chat.example.org" || !strings.Contains(qr, "█") {
		t.Fatalf("init printed %q, %v", out, err)
	}
	// The code is read in either case.
	if upper, err := identity.ParseServerAddr(strings.ToUpper(text)); err != nil || upper.ID != addr.ID {
		t.Errorf("%q: %v", strings.ToUpper(text), err)
	}
	config, err := os.ReadFile(filepath.Join(dir, serverConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if again := must(t, "server", "init", "--dir", dir, "--listen", ":1"); again != out {
		t.Errorf("once more it printed\n%s\nwant\n%s", again, out)
	}
	if again, err := os.ReadFile(filepath.Join(dir, serverConfigFile)); string(again) != string(config) || err != nil {
		t.Errorf("init changed the configuration: %v", err)
	}
	if got := must(t, "server", "status", "--dir", dir); !strings.Contains(got, text) || !strings.Contains(got, "running  no") {
		t.Errorf("status before the start:\n%s", got)
	}

	c := spawn(t, "server", "run", "--dir", dir)
	if first, err := bufio.NewReader(c.stdout).ReadString('\n'); strings.TrimSpace(first) != line {
		t.Fatalf("run printed %q, %v, want %q", first, err, line)
	}
	addr.Host = netip.MustParseAddrPort(listen).Addr().String()
	addr.Port = netip.MustParseAddrPort(listen).Port()
	cl, err := relay.Dial(t.Context(), udpEndpoint(t), addr, identity.GenerateSecretKey(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	inbox, token := [32]byte{5}, [32]byte{6}
	if err := cl.CreateInbox(t.Context(), relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}); err != nil {
		t.Fatal(err)
	}
	s, err := relay.DialSender(t.Context(), udpEndpoint(t), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Store(t.Context(), inbox, token, make([]byte, 2048)); err != nil {
		t.Fatal(err)
	}
	want := relay.Totals{Owners: 1, Inboxes: 1, Mail: 1, Bytes: 2048}
	status := func() (x serverStatus) {
		t.Helper()
		if err := json.Unmarshal([]byte(must(t, "server", "status", "--dir", dir, "--json")), &x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := status()
	if x.Relay == nil || x.Relay.Stored != want || x.Relay.Counters.Owners != 1 || x.Relay.Limits["owners"] != "100000" {
		t.Errorf("status of the relay: %+v", x.Relay)
	}
	if x.Rendezvous == nil || x.Rendezvous.Limits["max_records"] != "1000000" || x.Started.IsZero() {
		t.Errorf("status: %+v", x)
	}
	table := must(t, "server", "status", "--dir", dir, "--qr", "--limits")
	for _, row := range []string{"owners 1 100000", "sessions 0 50000", "mail 1 20000 an owner", "mail bytes 2.0 KiB 256.0 MiB an owner",
		"records 0 1000000", "limit.ttl 720h0m0s", "rendezvous.max_records 1000000", "address " + text} {
		if !strings.Contains(squeeze(table), "\n"+row+"\n") && !strings.HasPrefix(squeeze(table), row) {
			t.Errorf("the table has no row %q:\n%s", row, table)
		}
	}

	c.end(t, syscall.SIGTERM)
	if x := status(); x.Relay == nil || x.Relay.Stored != want || !x.Started.IsZero() {
		t.Errorf("status after the end: %+v", x)
	}
}

// squeeze makes one space of many.
func squeeze(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return b.String()
}

// Every flag of a server is in the configuration that init writes, with a word on
// it, and what is commented out there are the defaults, which can be set.
func TestServerConfigText(t *testing.T) {
	text := string(configText("127.0.0.1:5000", ""))
	var o serverOptions
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addServerFlags(flags, &serverOptions{relay: true, rendezvous: true})
	flags.VisitAll(func(f *pflag.Flag) {
		if has := strings.Contains(text, "\n# "+f.Name+" =") || strings.Contains(text, "\n"+f.Name+" = "); has == (f.Name == "config" || f.Name == "dir") {
			t.Errorf("%s stands in the configuration: %v", f.Name, has)
		}
	})
	all, err := readConfig([]byte(text))
	if err != nil || len(all) != 1 || all[0].name != "listen" || all[0].value != "127.0.0.1:5000" {
		t.Fatalf("it sets %+v, %v", all, err)
	}
	var settings strings.Builder
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "# "), " = ")
		if ok && !strings.Contains(name, " ") && strings.TrimSpace(value) != "" {
			settings.WriteString(strings.TrimPrefix(line, "# "))
		}
	}
	all, err = readConfig([]byte(settings.String()))
	if err != nil {
		t.Fatal(err)
	}
	o.limits = defaultLimits()
	if err := setLimits(&o.limits, all); err != nil || o.limits != defaultLimits() {
		t.Errorf("with all comments set: %+v, %v", o.limits, err)
	}
	for _, s := range all {
		if f := flags.Lookup(s.name); f != nil {
			if err := f.Value.Set(s.value); err != nil {
				t.Errorf("%s = %s: %v", s.name, s.value, err)
			}
		}
	}
}

// The limits of the rendezvous are settings, too.
func TestRendezvousLimits(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rendezvous.max_records = many\n")
	expect(t, exitUsage, "whole number", "server", "--dir", t.TempDir(), "--config", config)
	dir := filepath.Join(t.TempDir(), "server")
	write("listen = 127.0.0.1:0\nrendezvous.max_records = 3000000\nmetrics = \n")
	expect(t, exitUsage, `"name = value"`, "rendezvous", "--dir", dir, "--config", config)
	metricsAt := ownAddr(24681)
	write("listen = 127.0.0.1:0\nrendezvous.max_records = 3000000\nmetrics = " + metricsAt + "\n")
	startServerCommand(t, "rendezvous", "--dir", dir, "--config", config)
	if got := squeeze(must(t, "server", "status", "--dir", dir)); !strings.Contains(got, "\nrecords 0 3000000\n") || strings.Contains(got, "RELAY") {
		t.Errorf("status of a rendezvous alone:\n%s", got)
	}
	metrics := httpText(t, "http://"+metricsAt+"/metrics")
	for _, want := range []string{"sremp_rendezvous_max_records 3000000\n", "sremp_rendezvous_requests_total{kind=\"lookup\"} 0\n", "process_resident_memory_bytes ", "sremp_disk_free_bytes "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q:\n%s", want, metrics)
		}
	}
	httpText(t, "http://"+metricsAt+"/readyz")
}

func TestVersion(t *testing.T) {
	got := must(t, "version")
	for _, want := range []string{"sremp " + programVersion + "\n", "\ncommit ", "\nlicence AGPL-3.0\n", "\nsource https://"} {
		if !strings.Contains(got, want) {
			t.Errorf("version lacks %q:\n%s", want, got)
		}
	}
}

func httpText(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", url, r.Status, err)
	}
	return string(b)
}

// ownAddr returns a loopback address that is this process's alone, below the ports
// that the kernel gives out: nobody takes it between two starts.
func ownAddr(port int) string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:%d", 128+pid>>16&63, pid>>8&255, pid&255, port)
}
