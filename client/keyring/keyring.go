// Package keyring keeps a profile's key in the desktop's keyring through the
// Secret Service API (freedesktop.org, draft 0.2): GNOME Keyring, KWallet,
// KeePassXC. It holds one random key for each profile (docs/spec/80-client.md
// §8.12); the profile's database stays where it is.
package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/sremp/sremp/client"
)

// Names of the Secret Service API.
const (
	serviceName     = "org.freedesktop.secrets"
	serviceIface    = "org.freedesktop.Secret.Service"
	collectionIface = "org.freedesktop.Secret.Collection"
	itemIface       = "org.freedesktop.Secret.Item"
	promptIface     = "org.freedesktop.Secret.Prompt"
	sessionIface    = "org.freedesktop.Secret.Session"

	servicePath  = dbus.ObjectPath("/org/freedesktop/secrets")
	noObject     = dbus.ObjectPath("/")
	defaultAlias = "default"
)

const keyLen = 32

// A secret is the API's structure of a secret on its way.
type secret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

// A Keyring is the place of one profile's key. It is safe for concurrent use:
// each call has a connection of its own.
type Keyring struct {
	profile string
	address string // of the bus; empty for the session's
}

var _ client.Keyring = (*Keyring)(nil)

// New returns the place of the key of the profile in dir, an absolute path.
func New(dir string) *Keyring { return &Keyring{profile: dir} }

// failed makes an error that a person can act on.
func failed(doing string, err error) error {
	return fmt.Errorf("%w (%s: %w)", client.ErrKeyring, doing, err)
}

// A conn is one conversation with the service.
type conn struct {
	bus     *dbus.Conn
	session dbus.ObjectPath
}

func (k *Keyring) dial(ctx context.Context) (*conn, error) {
	var bus *dbus.Conn
	var err error
	if k.address == "" {
		bus, err = dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	} else {
		bus, err = dbus.Dial(k.address, dbus.WithContext(ctx))
	}
	if err != nil {
		return nil, failed("no session bus", err)
	}
	c := &conn{bus: bus}
	if err = bus.Auth(nil); err == nil {
		err = bus.Hello()
	}
	if err == nil {
		// The bus is this user's alone, and the key on it is good for this
		// machine's file only: the "plain" algorithm is what others use too.
		var out dbus.Variant
		err = c.call(ctx, servicePath, serviceIface, "OpenSession", []any{"plain", dbus.MakeVariant("")}, &out, &c.session)
	}
	if err != nil {
		bus.Close()
		return nil, failed("no keyring answers", err)
	}
	return c, nil
}

func (c *conn) close() {
	_ = c.call(context.Background(), c.session, sessionIface, "Close", nil) // the connection's end does it as well
	c.bus.Close()
}

func (c *conn) call(ctx context.Context, path dbus.ObjectPath, iface, method string, args []any, out ...any) error {
	call := c.bus.Object(serviceName, path).CallWithContext(ctx, iface+"."+method, 0, args...)
	if call.Err != nil {
		return call.Err
	}
	if len(out) == 0 {
		return nil
	}
	return call.Store(out...)
}

func (k *Keyring) attributes() map[string]string {
	return map[string]string{"application": "sremp", "profile": k.profile}
}

// find returns the profile's items, unlocked: the user may be asked for that.
func (c *conn) find(ctx context.Context, k *Keyring) ([]dbus.ObjectPath, error) {
	var open, locked []dbus.ObjectPath
	if err := c.call(ctx, servicePath, serviceIface, "SearchItems", []any{k.attributes()}, &open, &locked); err != nil {
		return nil, failed("searching it", err)
	}
	if len(open) > 0 || len(locked) == 0 {
		return open, nil
	}
	return locked, c.unlock(ctx, locked)
}

// unlock opens items or collections.
func (c *conn) unlock(ctx context.Context, paths []dbus.ObjectPath) error {
	var done []dbus.ObjectPath
	var prompt dbus.ObjectPath
	if err := c.call(ctx, servicePath, serviceIface, "Unlock", []any{paths}, &done, &prompt); err != nil {
		return failed("unlocking it", err)
	}
	_, err := c.prompt(ctx, prompt)
	return err
}

var errDismissed = errors.New("it was not unlocked")

// prompt has the service ask the user, if it wants to, and returns what it made.
func (c *conn) prompt(ctx context.Context, path dbus.ObjectPath) (result dbus.Variant, err error) {
	if path == noObject || path == "" {
		return result, nil
	}
	signals := make(chan *dbus.Signal, 8)
	c.bus.Signal(signals)
	defer c.bus.RemoveSignal(signals)
	match := []dbus.MatchOption{dbus.WithMatchObjectPath(path), dbus.WithMatchInterface(promptIface), dbus.WithMatchMember("Completed")}
	if err := c.bus.AddMatchSignalContext(ctx, match...); err != nil {
		return result, failed("waiting for the user", err)
	}
	if err := c.call(ctx, path, promptIface, "Prompt", []any{""}); err != nil {
		return result, failed("asking the user", err)
	}
	for {
		select {
		case s, open := <-signals:
			if !open {
				return result, failed("waiting for the user", errors.New("the bus is gone"))
			}
			if s.Path != path || s.Name != promptIface+".Completed" {
				continue
			}
			var dismissed bool
			if err := dbus.Store(s.Body, &dismissed, &result); err != nil {
				return result, failed("waiting for the user", err)
			}
			if dismissed {
				return result, failed("waiting for the user", errDismissed)
			}
			return result, nil
		case <-ctx.Done():
			return result, failed("waiting for the user", ctx.Err())
		}
	}
}

// Load implements [client.Keyring].
func (k *Keyring) Load(ctx context.Context) (key [32]byte, ok bool, err error) {
	c, err := k.dial(ctx)
	if err != nil {
		return key, false, err
	}
	defer c.close()
	items, err := c.find(ctx, k)
	if err != nil || len(items) == 0 {
		return key, false, err
	}
	var s secret
	if err := c.call(ctx, items[0], itemIface, "GetSecret", []any{c.session}, &s); err != nil {
		return key, false, failed("reading it", err)
	}
	if len(s.Value) != keyLen {
		return key, false, failed("reading it", fmt.Errorf("%d bytes where a key should be", len(s.Value)))
	}
	return [32]byte(s.Value), true, nil
}

// Store implements [client.Keyring].
func (k *Keyring) Store(ctx context.Context, key [32]byte) error {
	c, err := k.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	collection, err := c.collection(ctx)
	if err != nil {
		return err
	}
	if err := c.unlock(ctx, []dbus.ObjectPath{collection}); err != nil {
		return err
	}
	properties := map[string]dbus.Variant{
		itemIface + ".Label":      dbus.MakeVariant("SREMP profile " + k.profile),
		itemIface + ".Attributes": dbus.MakeVariant(k.attributes()),
	}
	s := secret{Session: c.session, Parameters: []byte{}, Value: key[:], ContentType: "application/octet-stream"}
	var item, prompt dbus.ObjectPath
	if err := c.call(ctx, collection, collectionIface, "CreateItem", []any{properties, s, true}, &item, &prompt); err != nil {
		return failed("writing it", err)
	}
	_, err = c.prompt(ctx, prompt)
	return err
}

// collection returns the default one, which is made if there is none.
func (c *conn) collection(ctx context.Context) (path dbus.ObjectPath, err error) {
	if err := c.call(ctx, servicePath, serviceIface, "ReadAlias", []any{defaultAlias}, &path); err != nil {
		return "", failed("finding its default collection", err)
	}
	if path != noObject {
		return path, nil
	}
	properties := map[string]dbus.Variant{collectionIface + ".Label": dbus.MakeVariant("Default")}
	var prompt dbus.ObjectPath
	err = c.call(ctx, servicePath, serviceIface, "CreateCollection", []any{properties, defaultAlias}, &path, &prompt)
	if err != nil {
		return "", failed("making a collection", err)
	}
	if path != noObject {
		return path, nil
	}
	made, err := c.prompt(ctx, prompt)
	if err != nil {
		return "", err
	}
	if path, ok := made.Value().(dbus.ObjectPath); ok && path != noObject {
		return path, nil
	}
	return "", failed("making a collection", errDismissed)
}

// Remove implements [client.Keyring].
func (k *Keyring) Remove(ctx context.Context) error {
	c, err := k.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	items, err := c.find(ctx, k)
	if err != nil {
		return err
	}
	for _, item := range items {
		var prompt dbus.ObjectPath
		if err := c.call(ctx, item, itemIface, "Delete", nil, &prompt); err != nil {
			return failed("removing the key", err)
		}
		if _, err := c.prompt(ctx, prompt); err != nil {
			return err
		}
	}
	return nil
}

// Available reports whether there is a keyring that could keep a key.
func (k *Keyring) Available(ctx context.Context) bool {
	c, err := k.dial(ctx)
	if err != nil {
		return false
	}
	defer c.close()
	return true
}
