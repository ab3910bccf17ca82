package keyring

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
)

func at(address, profile string) *Keyring { return &Keyring{profile: profile, address: address} }

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// roundTrip is what every Secret Service must do for us.
func roundTrip(t *testing.T, address string) {
	ctx := deadline(t)
	k, other := at(address, "/home/ann/a"), at(address, "/home/ann/b")
	if !k.Available(ctx) {
		t.Fatal("not available")
	}
	if _, ok, err := k.Load(ctx); ok || err != nil {
		t.Fatalf("Load of nothing = %v, %v", ok, err)
	}
	for _, want := range [][32]byte{{1, 2, 3}, {31: 9}} { // the second in place of the first
		if err := k.Store(ctx, want); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := k.Load(ctx); got != want || !ok || err != nil {
			t.Fatalf("Load = %x, %v, %v, want %x", got, ok, err, want)
		}
	}
	if _, ok, err := other.Load(ctx); ok || err != nil {
		t.Errorf("another profile's Load = %v, %v, want nothing", ok, err)
	}
	if err := other.Store(ctx, [32]byte{7}); err != nil {
		t.Fatal(err)
	}
	if err := k.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := k.Load(ctx); ok || err != nil {
		t.Errorf("Load after Remove = %v, %v", ok, err)
	}
	if got, ok, err := other.Load(ctx); got != [32]byte{7} || !ok || err != nil {
		t.Errorf("another profile's key = %x, %v, %v", got, ok, err)
	}
}

func TestRoundTrip(t *testing.T) {
	address := startBus(t)
	startFake(t, address)
	roundTrip(t, address)
}

// GNOME Keyring itself, where it is installed.
func TestGNOMEKeyring(t *testing.T) {
	daemon, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Log("gnome-keyring is not installed: the service of this test's own has to do")
		return
	}
	address := startBus(t)
	cmd := exec.Command(daemon, "--foreground", "--unlock", "--components=secrets")
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS="+address, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home)
	cmd.Stdin = strings.NewReader("the login passphrase")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	k := at(address, "/")
	for ctx := deadline(t); !k.Available(ctx); { // until it has its name on the bus
		if ctx.Err() != nil {
			t.Fatal("gnome-keyring-daemon did not come up")
		}
		time.Sleep(20 * time.Millisecond)
	}
	roundTrip(t, address)
}

// A keyring that is locked asks its user; one that has no collection makes one.
func TestPrompts(t *testing.T) {
	address := startBus(t)
	f := startFake(t, address)
	f.set(func() { f.empty, f.locked = true, true })
	ctx := deadline(t)
	k := at(address, "/p")
	want := [32]byte{5}
	if err := k.Store(ctx, want); err != nil {
		t.Fatal(err)
	}
	f.set(func() { f.locked = true })
	if got, ok, err := k.Load(ctx); got != want || !ok || err != nil {
		t.Errorf("Load = %x, %v, %v, want %x", got, ok, err, want)
	}
	f.set(func() {
		if f.asked != 3 { // to make the collection, to unlock it, to unlock the item
			t.Errorf("the user was asked %d times, want 3", f.asked)
		}
		f.locked, f.dismiss = true, true
	})
	if _, _, err := k.Load(ctx); !errors.Is(err, client.ErrKeyring) {
		t.Errorf("dismissed: %v, want ErrKeyring", err)
	}
	if err := k.Store(ctx, want); !errors.Is(err, client.ErrKeyring) {
		t.Errorf("dismissed: %v, want ErrKeyring", err)
	}
}

// No bus, nobody on it, a service that dies: one clear sentence each.
func TestGone(t *testing.T) {
	ctx := deadline(t)
	for what, k := range map[string]*Keyring{
		"no bus":      at("unix:path=/nonexistent/bus", "/p"),
		"nobody":      at(startBus(t), "/p"),
		"bad address": at("nonsense", "/p"),
	} {
		if k.Available(ctx) {
			t.Errorf("%s: available", what)
		}
		if _, _, err := k.Load(ctx); !errors.Is(err, client.ErrKeyring) {
			t.Errorf("%s: Load = %v, want ErrKeyring", what, err)
		}
		if err := k.Store(ctx, [32]byte{}); !errors.Is(err, client.ErrKeyring) {
			t.Errorf("%s: Store = %v, want ErrKeyring", what, err)
		}
		if err := k.Remove(ctx); !errors.Is(err, client.ErrKeyring) {
			t.Errorf("%s: Remove = %v, want ErrKeyring", what, err)
		}
	}
}

// What is no key is not taken for one.
func TestNotAKey(t *testing.T) {
	address := startBus(t)
	f := startFake(t, address)
	ctx := deadline(t)
	k := at(address, "/p")
	if err := k.Store(ctx, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	f.set(func() {
		for _, i := range f.items {
			i.value = []byte("short")
		}
	})
	if _, ok, err := k.Load(ctx); ok || !errors.Is(err, client.ErrKeyring) {
		t.Errorf("Load = %v, %v, want ErrKeyring", ok, err)
	}
}
