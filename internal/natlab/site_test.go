//go:build linux

package natlab

import (
	"net"
	"os/exec"
	"testing"
)

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

// listen opens a UDP socket in a site, of the family that addr is written in.
func listen(t *testing.T, s *Site, addr string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	network := "udp4"
	if addr[0] == '[' {
		network = "udp6"
	}
	err := s.Do(func() error {
		pc, err := net.ListenPacket(network, addr)
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
