package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

// The fast paths of the socket survive under quic-go on a real socket: batches,
// GRO and GSO, to real addresses, to the direct slot and through a relay leg.
func TestFastPaths(t *testing.T) {
	ctx := withTimeout(t)
	server, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	c, err := client.DialServer(ctx, addr, testALPN)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.OpenStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	transfer(t, s)
	checkFast(t, "client", client)
	checkFast(t, "server", server)

	ann, bob := pair(t)
	ea, eb := endpoint(t, Config{Identity: ann}), endpoint(t, Config{Identity: bob})
	relay := newTestRelay(t, udpConn(t), ea, eb)
	for _, only := range []bool{true, false} {
		a, b := connect(t, ctx,
			ea, Attempt{Peer: bob.PeerID(), Relay: relay.leg(0), RelayOnly: only},
			eb, Attempt{Peer: ann.PeerID(), Relay: relay.leg(1), RelayOnly: only})
		if !only {
			waitPath(t, ctx, a, PathDirect)
		}
		before := ea.m.stats.segmented.Load()
		go func() {
			if s, err := b.AcceptStream(ctx); err == nil {
				io.Copy(s, s)
				s.Close()
			}
		}()
		s, err := a.OpenStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		transfer(t, s)
		if ea.m.stats.segmented.Load() == before {
			t.Errorf("%v path: no write was segmented by the kernel", a.Path().Kind)
		}
		a.Close(0, "")
		<-b.Done()
	}
}

// transfer sends 4 MiB to an echo and compares.
func transfer(t *testing.T, s *Stream) {
	t.Helper()
	want := make([]byte, 4<<20)
	for i := 0; i < len(want); i += 8 {
		binary.BigEndian.PutUint64(want[i:], uint64(i))
	}
	go func() {
		s.Write(want)
		s.Close()
	}()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes back, %v, want the %d that were sent", len(got), err, len(want))
	}
}

func checkFast(t *testing.T, who string, e *Endpoint) {
	t.Helper()
	for what, n := range map[string]uint64{
		"batch reads":           e.m.stats.batches.Load(),
		"messages joined (GRO)": e.m.stats.coalesced.Load(),
		"writes split (GSO)":    e.m.stats.segmented.Load(),
	} {
		if n == 0 {
			t.Errorf("%s: no %s", who, what)
		}
	}
}

// A write to a virtual address carries IPv6 control messages; the socket is IPv4.
func TestTranslateOOB(t *testing.T) {
	oob := appendControlMessage(nil, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, make([]byte, 20))
	oob = appendSegmentSize(oob, 1234)
	oob = appendControlMessage(oob, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, 2))
	if got := segmentSize(oob); got != 1234 {
		t.Errorf("segment size: got %d, want 1234", got)
	}
	want := appendControlMessage(nil, unix.IPPROTO_IP, unix.IP_TOS, []byte{2})
	want = appendSegmentSize(want, 1234)
	if got := translateOOB(nil, oob, true, 1234); !bytes.Equal(got, want) {
		t.Errorf("IPv4: got %x, want %x", got, want)
	}
	want = appendControlMessage(nil, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, 2))
	if got := translateOOB(nil, oob, false, 0); !bytes.Equal(got, want) {
		t.Errorf("IPv6: got %x, want %x", got, want)
	}
	for i := range oob { // never panics on what is cut
		translateOOB(nil, oob[:i], true, 0)
		receivedSegmentSize(oob[:i])
	}
}
