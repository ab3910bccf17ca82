//go:build linux

package natlab

// Become makes the router one of another kind, which has forgotten every mapping
// and every connection: as if the host had moved to another network with the same
// addresses.
func (r *Router) Become(k Kind) error {
	r.Options.Kind = k
	return r.Do(func() error { return firstOf(r.apply(), flush()) })
}
