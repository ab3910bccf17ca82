package transport

import (
	"testing"

	"github.com/sremp/sremp/internal/leak"
)

// Connections to a server, whole endpoints, and connections between two people
// come and go without a trace.
func TestConnectionsLeaveNothing(t *testing.T) {
	_, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	t.Run("server", func(t *testing.T) {
		leak.Flat(t, 40, 8<<10, func() {
			c, err := client.DialServer(withTimeout(t), addr, testALPN)
			if err != nil {
				t.Fatal(err)
			}
			c.Close(0, "")
			<-c.Done()
		})
	})
	ann, bob := pair(t)
	t.Run("peer", func(t *testing.T) {
		leak.Flat(t, 20, 16<<10, func() {
			ctx := withTimeout(t)
			ea, err := New(Config{PacketConn: udpConn(t), Identity: ann})
			if err != nil {
				t.Fatal(err)
			}
			eb, err := New(Config{PacketConn: udpConn(t), Identity: bob})
			if err != nil {
				t.Fatal(err)
			}
			a, b := connect(t, ctx,
				ea, Attempt{Peer: bob.PeerID(), ProbeKey: [32]byte{9}, Remote: eb.hostCandidates()},
				eb, Attempt{Peer: ann.PeerID(), ProbeKey: [32]byte{9}, Remote: ea.hostCandidates()})
			exchange(t, ctx, a, b)
			ea.Close()
			eb.Close()
		})
	})
}
