package client

// mailing is the volatile side of a contact's way through its mailbox.
type mailing struct{}

func (k *core) tickMail(c *contact) {}
