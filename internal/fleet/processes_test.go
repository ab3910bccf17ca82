package fleet

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/transport"
)

// patience is for one step on a busy machine.
const patience = 5 * time.Minute

// A member is one server process. It keeps its port over restarts.
type member struct {
	t       testing.TB
	program string
	args    []string
	dir     string
	log     *os.File

	addr identity.ServerAddr
	cmd  *exec.Cmd
}

// build builds the command.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sremp")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/sremp")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// newMember makes a directory with the fleet's key and starts a server there.
// n is a number of its own.
func newMember(t testing.TB, n int, program, role, database string, key []byte) *member {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "server.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	// A loopback address of this process alone, below the ports that the kernel gives
	// out: nobody takes it while the member is dead.
	pid := os.Getpid()
	listen := fmt.Sprintf("127.%d.%d.%d:%d", 128+pid>>16&63, pid>>8&255, pid&255, 24700+10*n)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, program: program, dir: dir, log: log,
		args: []string{role, "--dir", dir, "--listen", listen, "--database", database, "--websocket", "none"}}
	// All clients come from one address here, which outside would be one person.
	config := filepath.Join(dir, "server.conf")
	text := "limit.conns_per_prefix = 5000\nlimit.requests = 100000\nlimit.request_burst = 100000\nrendezvous.max_conns_per_prefix = 5000\nrendezvous.prefix_factor = 1000\nrendezvous.lookup = 100000/1ms\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.kill()
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s on %s wrote:\n%s", role, listen, b)
		}
		log.Close()
	})
	m.start()
	return m
}

// start runs the server until it serves.
func (m *member) start() {
	m.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Close()
	m.cmd = exec.Command(m.program, m.args...)
	m.cmd.Stdout, m.cmd.Stderr = w, m.log
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	text, ok := strings.CutPrefix(strings.TrimSpace(line), "address: ")
	if err != nil || !ok {
		m.t.Fatalf("%q printed %q, %v", m.args, line, err)
	}
	if m.addr, err = identity.ParseServerAddr(text); err != nil {
		m.t.Fatal(err)
	}
}

// kill ends the server as a loss of power does.
func (m *member) kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill() // it may have ended by itself, which the clients see
	_ = m.cmd.Wait()         // killed
	m.cmd = nil
}

func endpoint(t testing.TB) *transport.Endpoint {
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
