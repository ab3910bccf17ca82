package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/internal/natlab"
)

// Two people in networks without UDP, one of which lets nothing but TCP port 443
// out, meet and write, with nothing to set up; and each is told why the path is
// what it is.
func TestUDPBlocked(t *testing.T) {
	if natlab.NeedsEnter() {
		t.Skip("NO NAT LABORATORY HERE: needs root")
	}
	t.Parallel() // it mostly waits
	w, err := natlab.NewWorld(natlab.Conditions{Delay: 10 * time.Millisecond})
	if err != nil {
		t.Skipf("NO NAT LABORATORY HERE: %v", err)
	}
	t.Cleanup(w.Close)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	host, err := w.Public(1)
	check(err)
	dir := t.TempDir()
	at := host.Addr.String()
	server := labCommand(t, host, "server", "--dir", filepath.Join(dir, "server"), "--listen", at+":4433", "--websocket", at+":443,"+at+":4433")
	line, err := bufio.NewReader(server.stdout).ReadString('\n')
	check(err)
	address := strings.TrimSpace(strings.TrimPrefix(line, "address: "))
	users := [2]*user{}
	for i, kind := range []natlab.Kind{natlab.Blocked, natlab.TCPOnly} {
		router, err := w.Router(natlab.RouterOptions{Kind: kind})
		check(err)
		place, err := router.Home()
		check(err)
		name := []string{"Ann", "Bob"}[i]
		u := &user{dir: filepath.Join(dir, name)}
		<-labCommand(t, place, "--profile", u.dir, "init", "--name", name, "--server", address).ended
		u.proc = labCommand(t, place, "--profile", u.dir, "listen", "--json")
		go io.Copy(io.Discard, u.proc.stdout) // ends with the process
		within(t, "the client's socket", func() (bool, string) {
			u.api, err = rpc.Dial(t.Context(), filepath.Join(u.dir, socketFile))
			return err == nil, "not there"
		})
		t.Cleanup(func() { u.api.Close() })
		me, err := u.api.WhoAmI(t.Context())
		check(err)
		u.id, users[i] = me.ID, u
	}
	ann, bob := users[0], users[1]
	inv, err := ann.api.Invite(t.Context(), client.InviteOptions{})
	check(err)
	_, err = bob.api.Add(t.Context(), inv.URI, "")
	check(err)
	for _, x := range []struct{ u, with *user }{{ann, bob}, {bob, ann}} {
		within(t, "the path", func() (bool, string) {
			p, err := x.u.api.Path(t.Context(), x.with.id)
			return err == nil && p.Kind == client.PathRelay && p.Why == "udp-blocked", describePath(p)
		})
	}
	_, err = ann.api.Send(t.Context(), bob.id, "not by UDP")
	check(err)
	within(t, "the message", func() (bool, string) {
		got := bob.texts(t, ann, false)
		return len(got) == 1 && got[0] == "not by UDP", fmt.Sprint(got)
	})
	if got := bob.run(t, "path", "Ann"); !strings.Contains(got, "(UDP is blocked here)") {
		t.Errorf("path printed %q", got)
	}
	if got := bob.run(t, "whoami", "--json"); !strings.Contains(got, `"connected":true,"problem":"","tunnel":true`) {
		t.Errorf("whoami printed %q", got)
	}
}
