//go:build linux

package natlab

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestPortNAT needs a kernel that gives us namespaces; `make test` runs in
// containers that do not, where New must say why and leave nothing.
func TestPortNAT(t *testing.T) {
	if NeedsEnter() {
		runEntered(t)
		return
	}
	l, err := New(2)
	if err != nil {
		t.Logf("no NATs on this machine: %v", err)
		return
	}
	defer l.Close()

	server := listen(t, l.Internet, "11.0.0.1:1000")
	a, b := listen(t, l.Homes[0], ":2000"), listen(t, l.Homes[1], ":2000")

	// Out through the NAT the port is kept.
	write(t, a, "11.0.0.1:1000", "from a")
	if got, want := read(t, server, "from a"), "11.0.1.2:2000"; got != want {
		t.Errorf("the server sees %s, want %s", got, want)
	}
	// From outside unasked nothing passes: what b hears first is what it asked for.
	write(t, server, "11.0.2.2:2000", "unasked")
	write(t, b, "11.0.0.1:1000", "from b")
	if got, want := read(t, server, "from b"), "11.0.2.2:2000"; got != want {
		t.Errorf("the server sees %s, want %s", got, want)
	}
	write(t, server, "11.0.2.2:2000", "asked")
	read(t, b, "asked")
	// Both sides at once open the way.
	write(t, a, "11.0.2.2:2000", "lost")
	write(t, b, "11.0.1.2:2000", "punched")
	if got, want := read(t, a, "punched"), "11.0.2.2:2000"; got != want {
		t.Errorf("a sees %s, want %s", got, want)
	}
}

// runEntered runs this test in a user namespace.
func runEntered(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPortNAT$", "-test.v")
	Enter(cmd)
	if err := cmd.Start(); err == nil { // else this machine has no user namespaces for us
		if err := cmd.Wait(); err != nil {
			t.Errorf("in a user namespace: %v", err)
		}
	} else {
		t.Logf("no NATs on this machine: %v", err)
	}
}

func listen(t *testing.T, s *Site, addr string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := s.Do(func() error {
		pc, err := net.ListenPacket("udp4", addr)
		if err == nil {
			c = pc.(*net.UDPConn)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, c *net.UDPConn, to, text string) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(text), netip.MustParseAddrPort(to)); err != nil {
		t.Fatal(err)
	}
}

// read returns who sent the next packet, which must be want.
func read(t *testing.T, c *net.UDPConn, want string) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("waiting for %q: %v", want, err)
	}
	if got := string(b[:n]); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port()).String()
}

func TestStartedProcessesEndWithTheirSite(t *testing.T) {
	s := Here()
	cmd := exec.Command("sleep", "600")
	if err := s.Start(cmd); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended by itself, want it killed")
	}
}
