package keyring

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// startBus runs a message bus of the test's own and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf(`<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s/bus</listen>
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
	return strings.TrimSpace(line)
}

// A fake is a Secret Service with one collection.
type fake struct {
	bus *dbus.Conn

	mu      sync.Mutex
	items   map[dbus.ObjectPath]*fakeItem
	next    int
	locked  bool // until a prompt was answered
	dismiss bool // the user closes every prompt
	empty   bool // there is no default collection yet
	asked   int  // prompts that were shown
}

type fakeItem struct {
	f          *fake
	path       dbus.ObjectPath
	attributes map[string]string
	value      []byte
}

const fakeCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/test")

func startFake(t *testing.T, address string) *fake {
	t.Helper()
	bus, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	f := &fake{bus: bus, items: map[dbus.ObjectPath]*fakeItem{}}
	for _, x := range []struct {
		v     any
		path  dbus.ObjectPath
		iface string
	}{{f, servicePath, serviceIface}, {(*fakeCollectionOf)(f), fakeCollection, collectionIface}} {
		if err := bus.Export(x.v, x.path, x.iface); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := bus.RequestName(serviceName, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName: %v, %v", r, err)
	}
	return f
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) OpenSession(algorithm string, _ dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	if algorithm != "plain" {
		return dbus.MakeVariant(""), "/", dbus.MakeFailedError(fmt.Errorf("no %s here", algorithm))
	}
	return dbus.MakeVariant(""), "/session/1", nil
}

func (f *fake) SearchItems(want map[string]string) (open, locked []dbus.ObjectPath, _ *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, i := range f.items {
		if !maps.Equal(want, i.attributes) {
			continue
		}
		if f.locked {
			locked = append(locked, path)
		} else {
			open = append(open, path)
		}
	}
	return open, locked, nil
}

func (f *fake) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.locked {
		return paths, "/", nil
	}
	return nil, f.promptLocked(func() any { f.locked = false; return paths }), nil
}

func (f *fake) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.empty {
		return "/", nil
	}
	return fakeCollection, nil
}

func (f *fake) CreateCollection(map[string]dbus.Variant, string) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "/", f.promptLocked(func() any { f.empty = false; return fakeCollection }), nil
}

// promptLocked makes a prompt that does yes unless the user dismisses it.
func (f *fake) promptLocked(yes func() any) dbus.ObjectPath {
	f.next++
	path := dbus.ObjectPath(fmt.Sprintf("/prompt/%d", f.next))
	_ = f.bus.Export(&fakePrompt{f, path, yes}, path, promptIface) // a valid path
	return path
}

type fakePrompt struct {
	f    *fake
	path dbus.ObjectPath
	yes  func() any
}

func (p *fakePrompt) Prompt(string) *dbus.Error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.asked++
	result := dbus.MakeVariant("")
	if !p.f.dismiss {
		result = dbus.MakeVariant(p.yes())
	}
	_ = p.f.bus.Emit(p.path, promptIface+".Completed", p.f.dismiss, result)
	return nil
}

type fakeCollectionOf fake

func (c *fakeCollectionOf) CreateItem(p map[string]dbus.Variant, s secret, replace bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f := (*fake)(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked || !replace {
		return "/", "/", dbus.MakeFailedError(fmt.Errorf("locked"))
	}
	attributes, _ := p[itemIface+".Attributes"].Value().(map[string]string)
	for _, i := range f.items {
		if maps.Equal(attributes, i.attributes) {
			i.value = s.Value
			return i.path, "/", nil
		}
	}
	f.next++
	i := &fakeItem{f, dbus.ObjectPath(fmt.Sprintf("%s/%d", fakeCollection, f.next)), attributes, s.Value}
	f.items[i.path] = i
	if err := f.bus.Export(i, i.path, itemIface); err != nil {
		return "/", "/", dbus.MakeFailedError(err)
	}
	return i.path, "/", nil
}

func (i *fakeItem) GetSecret(session dbus.ObjectPath) (secret, *dbus.Error) {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	if i.f.locked {
		return secret{}, dbus.MakeFailedError(fmt.Errorf("locked"))
	}
	return secret{Session: session, Parameters: []byte{}, Value: i.value, ContentType: "application/octet-stream"}, nil
}

func (i *fakeItem) Delete() (dbus.ObjectPath, *dbus.Error) {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	delete(i.f.items, i.path)
	return "/", nil
}
