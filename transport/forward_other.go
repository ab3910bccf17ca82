//go:build !linux

package transport

// Forward starts nothing: Config.Forward gets the packets.
func (e *Endpoint) Forward(int, Router) int { return 0 }
