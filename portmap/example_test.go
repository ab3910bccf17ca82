package portmap_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sremp/sremp/portmap"
)

// A Mapper works in the background. Here there is no gateway to ask; a real
// program leaves Gateway nil, and a mapping, if there is one, comes after a while.
func ExampleStart() {
	m := portmap.Start(portmap.Config{
		Port:    7350,
		Gateway: func() (portmap.Gateway, error) { return portmap.Gateway{}, portmap.ErrNoGateway },
	})
	defer m.Close()
	_, err := m.Wait(context.Background())
	fmt.Println(errors.Is(err, portmap.ErrNoGateway))
	// Output: true
}
