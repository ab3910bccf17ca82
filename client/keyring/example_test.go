package keyring_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/sremp/sremp/client/keyring"
)

// Without a desktop there is no keyring, and a profile asks for its passphrase.
func Example() {
	const bus = "DBUS_SESSION_BUS_ADDRESS"
	before, set := os.LookupEnv(bus)
	if err := os.Setenv(bus, "unix:path=/nonexistent"); err != nil {
		log.Panic(err)
	}
	defer func() {
		if set {
			os.Setenv(bus, before)
		} else {
			os.Unsetenv(bus)
		}
	}()
	ring := keyring.New("/home/ann/.local/share/sremp/default")
	_, ok, err := ring.Load(context.Background())
	fmt.Println(ring.Available(context.Background()), ok, err != nil)
	// Output: false false true
}
