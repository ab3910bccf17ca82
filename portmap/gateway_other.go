//go:build !linux

package portmap

// defaultGateway is not known here.
func defaultGateway() (Gateway, error) { return Gateway{}, ErrNoGateway }
