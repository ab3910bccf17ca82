package client

// A link is one connection to a contact.
type link struct{}

func (l *link) send(typ uint16, payload []byte) bool { return false }

func (l *link) idle() bool { return true }
