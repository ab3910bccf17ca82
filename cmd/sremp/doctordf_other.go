//go:build !linux

package main

import (
	"errors"
	"net"
)

// dontFragment is not known here.
func dontFragment(*net.UDPConn, bool) error { return errors.ErrUnsupported }
