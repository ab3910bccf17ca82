package shell

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// patience bounds waiting for what must come.
const patience = 2 * time.Minute

// startBus runs a session bus of the test's own and makes it this process's.
func startBus(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf(`<busconfig><type>session</type><listen>unix:path=%s/bus</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to lose
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	return address
}

// person is another program on the bus, under a name.
func person(t *testing.T, name string) *dbus.Conn {
	t.Helper()
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	if name != "" {
		if _, err := bus.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
			t.Fatal(err)
		}
	}
	return bus
}

// join is Connect for a test.
func join(t *testing.T) *Shell {
	t.Helper()
	s := Connect()
	if s.bus == nil {
		t.Fatal("no bus")
	}
	t.Cleanup(s.Close)
	return s
}

// next waits for what comes over a channel.
func next[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s never came", what)
		panic("unreachable")
	}
}

// A shown is a notice as a server is given it.
type shown struct {
	id          uint32
	replaces    uint32
	title, body string
	actions     []string
	hints       map[string]dbus.Variant
}

// A server shows notices to nobody.
type server struct {
	bus    *dbus.Conn
	able   []string
	shown  chan shown
	closed chan uint32
	last   uint32
}

func newServer(t *testing.T, able ...string) *server {
	t.Helper()
	s := &server{able: able, shown: make(chan shown, 16), closed: make(chan uint32, 16)}
	s.bus = person(t, "")
	if err := s.bus.Export(s, notifyPath, notifyName); err != nil {
		t.Fatal(err)
	}
	if _, err := s.bus.RequestName(notifyName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) GetCapabilities() ([]string, *dbus.Error) { return s.able, nil }

func (s *server) Notify(_ string, replaces uint32, _, title, body string, actions []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	id := replaces
	if id == 0 {
		s.last++
		id = s.last
	}
	s.shown <- shown{id, replaces, title, body, actions, hints}
	return id, nil
}

func (s *server) CloseNotification(id uint32) *dbus.Error {
	s.closed <- id
	return nil
}

func (s *server) says(t *testing.T, signal string, args ...any) {
	t.Helper()
	if err := s.bus.Emit(notifyPath, notifyName+"."+signal, args...); err != nil {
		t.Fatal(err)
	}
}

// A watcher is what shows a tray.
type watcher struct{ registered chan string }

func newWatcher(t *testing.T) (*watcher, *dbus.Conn) {
	t.Helper()
	w := &watcher{make(chan string, 16)}
	bus := person(t, "")
	if err := bus.Export(w, watcherPath, watcherName); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return w, bus
}

func (w *watcher) RegisterStatusNotifierItem(name string) *dbus.Error {
	w.registered <- name
	return nil
}
