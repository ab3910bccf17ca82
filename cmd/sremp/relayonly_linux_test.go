package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/internal/natlab"
)

// A contact that is relay only learns no address of ours, by any means. Ann's
// client and Bob's live behind routers of their own. Everything that Bob's
// computer gets and sends is captured, and the whole memory of his client, where
// every offer, frame and card is in the clear, is searched. The same story without
// the setting shows that the search finds what is there.
func TestRelayOnlyCapture(t *testing.T) {
	if natlab.NeedsEnter() {
		t.Skip("NO NAT LABORATORY HERE: needs root")
	}
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel() // it mostly waits
	if found := relayOnlyStory(t, true); len(found) > 0 {
		t.Errorf("Bob's side knows Ann's addresses:\n%s", strings.Join(found, "\n"))
	}
	found := strings.Join(relayOnlyStory(t, false), "\n")
	for _, where := range []string{"a packet from", "a packet to", "in memory"} {
		if !strings.Contains(found, where) {
			t.Errorf("without the setting nothing was found as %q: the search finds nothing", where)
		}
	}
}

// relayOnlyStory lets the two meet, write, move and be away, and returns where
// an address of Ann's was found.
func relayOnlyStory(t *testing.T, relayOnly bool) (found []string) {
	w, err := natlab.NewWorld(natlab.Conditions{Delay: 10 * time.Millisecond})
	if err != nil {
		t.Skipf("NO NAT LABORATORY HERE: %v", err)
	}
	defer w.Close()
	if w.Net == nil {
		t.Skip("NO NAT LABORATORY HERE: no TUN device")
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	host, err := w.Public(1)
	check(err)
	routers, places := [2]*natlab.Router{}, [2]*natlab.Place{}
	for i := range routers {
		routers[i], err = w.Router(natlab.RouterOptions{Kind: natlab.FullCone})
		check(err)
		places[i], err = routers[i].Home()
		check(err)
	}
	secrets := []netip.Addr{places[0].Addr, routers[0].Addr}

	dir := t.TempDir()
	server := labCommand(t, host, "server", "--dir", filepath.Join(dir, "server"), "--listen", host.Addr.String()+":4433")
	line, err := bufio.NewReader(server.stdout).ReadString('\n')
	check(err)
	address := strings.TrimSpace(strings.TrimPrefix(line, "address: "))
	ann := &user{dir: filepath.Join(dir, "ann")}
	bob := &user{dir: filepath.Join(dir, "bob")}
	for i, u := range []*user{ann, bob} {
		c := labCommand(t, places[i], "--profile", u.dir, "init", "--name", []string{"Ann", "Bob"}[i], "--server", address)
		<-c.ended
	}
	ann.run(t, "settings", "set", "contacts.relay_only", fmt.Sprint(relayOnly))
	capture, err := places[1].Capture()
	check(err)
	listen := func(u *user, at *natlab.Place) {
		u.proc = labCommand(t, at, "--profile", u.dir, "listen", "--json")
		go io.Copy(io.Discard, u.proc.stdout) // ends with the process
		within(t, "the client's socket", func() (bool, string) {
			var err error
			u.api, err = rpc.Dial(t.Context(), filepath.Join(u.dir, socketFile))
			return err == nil, "not there"
		})
		me, err := u.api.WhoAmI(t.Context())
		check(err)
		u.id = me.ID
	}
	listen(ann, places[0])
	listen(bob, places[1])
	defer func() { ann.api.Close(); bob.api.Close() }()
	memory := func(when string) {
		for _, form := range searchMemory(t, bob.proc.cmd.Process.Pid, secrets) {
			found = append(found, "in memory "+when+": "+form)
		}
	}
	kind := client.PathDirect
	if relayOnly {
		kind = client.PathRelay
	}
	n := 0
	talk := func(when string) {
		t.Helper()
		within(t, "a path "+when, func() (bool, string) {
			p, err := bob.api.Path(t.Context(), ann.id)
			return err == nil && p.Kind == kind, describePath(p)
		})
		for range 3 {
			n++
			_, err := ann.api.Send(t.Context(), bob.id, fmt.Sprint("from Ann ", n))
			check(err)
			_, err = bob.api.Send(t.Context(), ann.id, fmt.Sprint("from Bob ", n))
			check(err)
		}
		within(t, "the messages "+when, func() (bool, string) {
			a, b := len(ann.texts(t, bob, false)), len(bob.texts(t, ann, false))
			return a == n && b == n, fmt.Sprint(a, b)
		})
		memory(when)
	}

	inv, err := bob.api.Invite(t.Context(), client.InviteOptions{})
	check(err)
	_, err = ann.api.Add(t.Context(), inv.URI, "")
	check(err)
	talk("when they met")
	// Ann's network changes under the connection: it looks for paths anew.
	check(routers[0].Rebind())
	talk("after a change of Ann's network")
	// Bob is away; Ann's mail waits for him, and he comes back.
	bob.proc.end(t, syscall.SIGTERM)
	bob.api.Close()
	n++
	_, err = ann.api.Send(t.Context(), bob.id, "while Bob is away")
	check(err)
	listen(bob, places[1])
	_, err = bob.api.Send(t.Context(), ann.id, "I am back")
	check(err)
	talk("after Bob was away")

	frames, err := capture.Close()
	check(err)
	for _, f := range frames {
		found = append(found, searchFrame(f, secrets)...)
	}
	t.Logf("relay only: %v; %d packets captured, %d finds", relayOnly, len(frames), len(found))
	if len(frames) < 100 {
		t.Errorf("captured %d packets only", len(frames))
	}
	return found
}

// labCommand runs the command in a place of the laboratory.
func labCommand(t *testing.T, at *natlab.Place, args ...string) *child {
	t.Helper()
	return spawnBy(t, func(cmd *exec.Cmd) error { return at.Start(cmd) }, args...)
}

// searchFrame looks for addresses in one packet: in its header, and in its bytes
// as text and in binary.
func searchFrame(f natlab.Frame, secrets []netip.Addr) (found []string) {
	b := f.Packet
	if len(b) < 20 || b[0]>>4 != 4 {
		return nil
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	for _, s := range secrets {
		raw := s.As4()
		switch {
		case src == s:
			found = append(found, "a packet from "+s.String())
		case dst == s:
			found = append(found, "a packet to "+s.String())
		case bytes.Contains(b[20:], raw[:]), bytes.Contains(b[20:], []byte(s.String())):
			found = append(found, fmt.Sprintf("in a packet of %d bytes: %s", len(b), s))
		}
	}
	return found
}

// searchMemory looks for addresses in the memory of a process: as text, as they
// stand in our wire formats, as 16 bytes, and as Go's netip.Addr.
func searchMemory(t *testing.T, pid int, secrets []netip.Addr) (found []string) {
	t.Helper()
	forms := map[string][]byte{}
	for _, s := range secrets {
		a := s.As4()
		forms["text "+s.String()] = []byte(s.String())
		forms["wire "+s.String()] = append([]byte{4}, a[:]...)
		forms["IPv4-mapped "+s.String()] = append([]byte{0, 0, 0xff, 0xff}, a[:]...)
		forms["netip "+s.String()] = binary.NativeEndian.AppendUint64(nil, 0xffff<<32|uint64(binary.BigEndian.Uint32(a[:])))
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	read := 0
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") || to-from > 1<<30 {
			continue
		}
		b := make([]byte, to-from)
		k, _ := mem.ReadAt(b, from) // pages that are not there read as nothing
		read += k
		for name, form := range forms {
			if bytes.Contains(b[:k], form) {
				found = append(found, name)
			}
		}
	}
	if read < 1<<20 {
		t.Fatalf("read %d bytes of the client's memory only", read)
	}
	return found
}
