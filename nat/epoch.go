package nat

import "time"

// An Epoch follows the "seconds since start of epoch" of a gateway, which show
// that it has forgotten its mappings. The zero value has seen nothing.
type Epoch struct {
	server uint32
	at     time.Time
}

// Update takes the value of an answer that came at now. It reports whether the
// gateway has lost its state since the last one (RFC 6887, section 8.5; section
// 3.6 of RFC 6886 asks for less).
func (e *Epoch) Update(now time.Time, server uint32) (lost bool) {
	old := *e
	*e = Epoch{server, now}
	if old.at.IsZero() {
		return false
	}
	if int64(server) < int64(old.server)-1 {
		return true
	}
	client := int64(max(now.Sub(old.at), 0) / time.Second)
	passed := int64(server) - int64(old.server)
	return client+2 < passed-passed/16 || passed+2 < client-client/16
}
