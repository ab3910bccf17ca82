package main

import (
	"bufio"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

func udpEndpoint(t *testing.T) *transport.Endpoint {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ep, err := transport.New(transport.Config{PacketConn: pc})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	return ep
}

// An operator's day: a relay that admits by token, with a configuration file,
// metrics, a service manager, a reload, a backup, questions and a block, all
// beside the running server.
func TestOperator(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "server")
	config := filepath.Join(dir, "config")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := free.Addr().String()
	free.Close()
	write := func(inboxes string) {
		t.Helper()
		text := "# a relay for friends\nlisten = 127.0.0.1:0\nadmission = token\nmetrics = " + metrics + "\nlimit.inboxes = " + inboxes + "\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("7")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	told := func(want string) {
		t.Helper()
		manager.SetReadDeadline(time.Now().Add(time.Minute))
		b := make([]byte, 200)
		n, err := manager.Read(b)
		if err != nil || !strings.HasPrefix(string(b[:n]), want) {
			t.Fatalf("the service manager heard %q, %v; want %q", b[:n], err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	c := spawn(t, "server", "--dir", server, "--config", config)
	line, err := bufio.NewReader(c.stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr, err := identity.ParseServerAddr(strings.TrimSpace(strings.TrimPrefix(line, "address: ")))
	if err != nil {
		t.Fatal(err)
	}
	told("READY=1")

	owner := identity.GenerateSecretKey()
	key := owner.Public()
	name := hex.EncodeToString(key[:])
	dial := func(token string) (*relay.Client, error) {
		cl, err := relay.Dial(t.Context(), udpEndpoint(t), addr, owner, token)
		if err == nil {
			t.Cleanup(func() { cl.Close() })
		}
		return cl, err
	}
	if _, err := dial(""); err == nil {
		t.Fatal("admitted without a token")
	}
	token := must(t, "server", "token", "new", "--dir", server, "--note", "for Ann")
	if list := must(t, "server", "token", "list", "--dir", server); !strings.Contains(list, ` 1 `) || !strings.Contains(list, `"for Ann"`) || strings.Contains(list, token) {
		t.Errorf("token list:\n%s", list)
	}
	cl, err := dial(token)
	if err != nil {
		t.Fatal(err)
	}
	if got := cl.Terms().Inboxes; got != 7 {
		t.Errorf("%d inboxes, want 7 as configured", got)
	}
	if list := must(t, "server", "token", "list", "--dir", server); !strings.Contains(list, ` 0 `) {
		t.Errorf("the token is not used up:\n%s", list)
	}
	must(t, "server", "token", "revoke", "--dir", server, token)
	expect(t, 1, "no such token", "server", "token", "revoke", "--dir", server, token)

	write("9")
	if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	told("RELOADING=1")
	told("READY=1")
	if cl, err = dial(""); err != nil || cl.Terms().Inboxes != 9 {
		t.Fatalf("after the reload: %v", err)
	}
	page := func(path string) string {
		t.Helper()
		r, err := http.Get("http://" + metrics + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Errorf("%s: %s, %v", path, r.Status, err)
		}
		return string(b)
	}
	if got := page("/metrics"); !strings.Contains(got, "sremp_relay_owner_connections") {
		t.Errorf("metrics:\n%s", got)
	}
	page("/readyz")

	inbox := [32]byte{5}
	if err := cl.CreateInbox(t.Context(), relay.InboxParams{ID: inbox, TokenHash: [32]byte{6}}); err != nil {
		t.Fatal(err)
	}
	if got := must(t, "server", "knows", "--dir", server, name); !strings.Contains(got, "owners\n") || !strings.Contains(got, "name "+hex.EncodeToString(inbox[:])) {
		t.Errorf("knows:\n%s", got)
	}
	if got := must(t, "server", "owners", "--dir", server); !strings.HasPrefix(got, name+" 20") || !strings.HasSuffix(got, " 1 0 0") {
		t.Errorf("owners: got %q, want %s, a day, one inbox, no mail", got, name)
	}
	backup := filepath.Join(dir, "backup")
	must(t, "server", "backup", "--dir", server, backup)
	expect(t, 1, "", "server", "backup", "--dir", server, backup)
	expect(t, 12, "in use", "server", "restore", "--dir", server, backup)

	must(t, "server", "block", "--dir", server, name)
	select {
	case <-cl.Done():
	case <-time.After(time.Minute):
		t.Error("a blocked owner's connection stands")
	}
	if got := must(t, "server", "knows", "--dir", server, name); !strings.HasPrefix(got, "blocked\n") {
		t.Errorf("of the blocked:\n%s", got)
	}
	must(t, "server", "unblock", "--dir", server, name)
	expect(t, 1, "not blocked", "server", "unblock", "--dir", server, name)
	expect(t, 1, "nothing is stored", "server", "knows", "--dir", server, name)

	c.end(t, syscall.SIGTERM)
	told("STOPPING=1")
	other := filepath.Join(dir, "other")
	must(t, "server", "restore", "--dir", other, backup)
	if got := must(t, "server", "knows", "--dir", other, name); !strings.Contains(got, "owners\n") {
		t.Errorf("restored:\n%s", got)
	}
}

func TestOperatorUsage(t *testing.T) {
	dir := t.TempDir()
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, args := range map[string][]string{
		"loopback":           {"server", "--dir", dir, "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:1"},
		"needs --tls-key":    {"server", "--dir", dir, "--listen", "127.0.0.1:0", "--tls-cert", "cert.pem"},
		"--websocket takes":  {"server", "--dir", dir, "--listen", "127.0.0.1:0", "--websocket", "443"},
		"--domain takes":     {"server", "--dir", dir, "--listen", "127.0.0.1:0", "--domain", "192.0.2.1"},
		"open or token":      {"server", "--dir", dir, "--admission", "friends"},
		"64 hexadecimal":     {"server", "knows", "--dir", dir, "abc"},
		"token takes":        {"server", "token", "--dir", dir},
		"above 0":            {"server", "token", "new", "--dir", dir, "--uses", "0"},
		"no setting named":   {"server", "--dir", dir, "--config", config("colour = blue\n")},
		"no limit named":     {"server", "--dir", dir, "--config", config("limit.colour = 1\n")},
		"takes a duration":   {"server", "--dir", dir, "--config", config("limit.ttl = 5\n")},
		"second time":        {"server", "--dir", dir, "--config", config("dir = a\ndir = b\n")},
		`"name = value"`:     {"server", "--dir", dir, "--config", config("listen\n")},
		"pg_dump":            {"server", "restore", "--dir", dir, "--database", "host=/nowhere", "x"},
		"--admission takes ": {"server", "--dir", dir, "--config", config("admission = nobody\n")},
	} {
		if want == "pg_dump" {
			want = "pg_restore"
		}
		expect(t, exitUsage, want, args...)
	}
}
