//go:build gtk

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/internal/natlab"
)

const (
	// lanFileVariable is how large the file of the LAN's journey is, in MB.
	lanFileVariable = "SREMP_TEST_LAN_FILE"
	lanFileUsual    = 64
)

// TestJourneyLANOnly is J2 on a network of its own without a way out: they find
// each other by themselves, a file goes directly, a cable is pulled and put back,
// and nothing leaves the network. One of them has a default route, which leads
// nowhere: what it tried to send elsewhere would be seen.
func TestJourneyLANOnly(t *testing.T) {
	if natlab.NeedsEnter() {
		t.Skip("NO NAT LABORATORY ON THIS MACHINE: needs root")
	}
	network, err := natlab.NewLAN()
	if err != nil {
		t.Skipf("NO NAT LABORATORY ON THIS MACHINE: %v", err)
	}
	t.Cleanup(network.Close)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	size := lanFileUsual
	if v := os.Getenv(lanFileVariable); v != "" {
		size, err = strconv.Atoi(v)
		check(err)
	}
	strays, err := network.Strays()
	check(err)
	ann, bob := newSeat(t, "ann", "960x680"), newSeat(t, "ben", "960x680")
	var places []*natlab.Place
	for _, s := range []*seat{ann, bob} {
		p, err := network.Host()
		check(err)
		places, s.run = append(places, p), p.Start
	}
	check(network.RouteAll(places[1]))

	// Ann lets herself be seen, Ben sees her and sends a request.
	ann.startAs("Ann")
	ann.key("ctrl+n")
	ann.focused("Link")
	ann.press("Nearby")
	ann.press("Visible on the local network")
	ann.until("the switch on", func(n node) bool {
		return n.name == "Visible on the local network" && n.states&(1<<stateChecked) != 0
	})
	ann.key("Escape")
	bob.startAs("Ben")
	bob.key("ctrl+n")
	bob.focused("Link")
	bob.press("Nearby")
	within(t, "Ann nearby", func() (bool, string) {
		bob.press("Look who is here")
		bob.seesPart("No server is asked, and nothing leaves the local network.")
		shown, err := bob.look()
		for _, n := range shown {
			if n.name == "Send a request" {
				return true, ""
			}
		}
		return false, fmt.Sprint(err)
	})
	bob.shot("77-lan-nearby")
	bob.press("Send a request")
	bob.focused("Message")
	bob.says("Nobody but us.")
	ann.press("Requests (1)")
	ann.clickOn(ann.until("Ben's request", func(n node) bool { return strings.HasPrefix(n.name, "Ben, ") }))
	ann.seesPart("A stranger wants to write to you")
	ann.press("Accept")
	ann.focused("Message")
	bob.seesPart("Nobody but us. (Delivered")
	for _, s := range []*seat{ann, bob} {
		s.seesPart("Path: direct, LAN")
	}
	ann.shot("77-lan-direct")

	// A file.
	path := filepath.Join(t.TempDir(), "film.mkv")
	want := fill(t, path, int64(size)<<20)
	ann.key("ctrl+o")
	ann.choose("Send a file", path)
	bob.sees("film.mkv")
	bob.shot("77-lan-consent")
	bob.press("Accept")
	began := time.Now()
	bob.sees("Show folder")
	took := time.Since(began)
	t.Logf("figure: desktop.lan_file %.0f MB/s, %d MB", float64(size)/took.Seconds(), size)
	bob.shot("78-lan-file")
	if got := sumBelow(t, bob.home, "film.mkv"); !bytes.Equal(got, want) {
		t.Errorf("the file has the hash %x, want %x", got, want)
	}
	ann.seesPart("film.mkv")

	// The cable is out, and back.
	check(network.Unplug(places[1]))
	ann.seesPart("Path: offline")
	ann.focused("Message")
	ann.says("Are you there?")
	ann.seesPart("Are you there? (Queued: stored on this computer, will be sent)")
	badge := ann.until("the badge", func(n node) bool { return strings.HasPrefix(n.name, "Path: offline") })
	ann.clickOn(badge)
	ann.seesPart("Not reachable now")
	ann.seesPart("Messages wait here and will be sent.")
	ann.shot("79-lan-cut")
	ann.key("Escape")
	ann.focused("Message")
	check(network.Plug(places[1]))
	bob.seesPart("Are you there?")
	ann.seesPart("Are you there? (Delivered")
	ann.seesPart("Path: direct, LAN")
	ann.shot("79-lan-back")
	for _, s := range []*seat{ann, bob} {
		s.key("ctrl+q")
		s.wait()
	}

	frames, err := strays.Close()
	check(err)
	if len(frames) == 0 {
		t.Error("the capture is empty, want at least what they called to each other")
	}
	said := map[string]bool{}
	for _, f := range frames {
		if why := network.Leaves(f.Packet); why != "" && !said[why] {
			said[why] = true
			t.Errorf("%s: %x", why, f.Packet[:min(len(f.Packet), 80)])
		}
	}
}

// twoNetworks returns two networks with a NAT each and a public host for a
// server; without the rights to make them, loopback.
func twoNetworks(t *testing.T) arena {
	t.Helper()
	here := (*exec.Cmd).Start
	loopback := arena{here, "127.0.0.1:0", [2]func(*exec.Cmd) error{here, here}, "direct, LAN"}
	if natlab.NeedsEnter() {
		t.Log("NO NAT LABORATORY ON THIS MACHINE: needs root; on loopback")
		return loopback
	}
	w, err := natlab.NewWorld(natlab.Conditions{Delay: 10 * time.Millisecond})
	if err != nil {
		t.Logf("NO NAT LABORATORY ON THIS MACHINE: %v; on loopback", err)
		return loopback
	}
	t.Cleanup(w.Close)
	host, err := w.Public(1)
	if err != nil {
		t.Fatal(err)
	}
	a := arena{server: host.Start, listen: host.Addr.String() + ":4433", direct: "direct"}
	for i := range a.seats {
		r, err := w.Router(natlab.RouterOptions{Kind: natlab.Port})
		if err != nil {
			t.Fatal(err)
		}
		home, err := r.Home()
		if err != nil {
			t.Fatal(err)
		}
		a.seats[i] = home.Start
	}
	return a
}

// fill makes a file of noise and returns its hash.
func fill(t *testing.T, path string, size int64) (sum []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, h), rand.NewChaCha8([32]byte{1}), size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}

// sumBelow returns the hash of the file with a name somewhere in a directory.
func sumBelow(t *testing.T, dir, name string) (sum []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != name {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		_, err = io.Copy(h, f)
		sum = h.Sum(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
