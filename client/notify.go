package client

// notify asks the faces to notify of something with a contact, as far as the
// settings and the conversation's allow (spec §8.20).
func (k *core) notify(c *contact, kind NotificationKind, m Message) {
	s := k.c.settings.Load().Notifications
	switch {
	case c.self || c.info.Trust == Rejected:
		return
	case c.info.Trust == TrustUnknown:
		// A stranger is announced once, and its words never are.
		if kind != NotifyMessage && kind != NotifyMention || !s.Requests || c.flow.Knocked {
			return
		}
		c.flow.Knocked = true
		c.setFlow(k)
		kind, m = NotifyRequest, Message{ID: m.ID}
	case kind == NotifyReaction && !s.Reactions:
		return
	case c.info.Muted && !(kind == NotifyMention && s.Mentions) && kind != NotifyKeys && kind != NotifySuccessor:
		return
	}
	e := NotificationEvent{Kind: kind, Contact: c.info.ID, Message: m.ID}
	who := contactLabel(c)
	if s.Show == ShowNone {
		e.Title = "SREMP"
		e.Body = map[NotificationKind]string{
			NotifyMessage: "New message", NotifyMention: "You were mentioned", NotifyReaction: "New reaction",
			NotifyRequest: "New request", NotifyKeys: "A contact's keys changed", NotifySuccessor: "A contact's identity changed",
		}[kind]
		k.emit(e)
		return
	}
	e.Title = who
	switch kind {
	case NotifyRequest:
		// The name is the stranger's choice: it stands in a sentence, not as a title.
		e.Title, e.Body = "New request", "Somebody who says to be "+who+" wants to write to you"
	case NotifyMention:
		e.Body = "mentioned you"
	case NotifyReaction:
		e.Body = "reacted to your message"
	case NotifyKeys:
		e.Body = "has new keys"
	case NotifySuccessor:
		e.Body = "says to have a new identity; ask in another way before you believe it"
	default:
		e.Body = "New message"
	}
	if s.Show == ShowFull {
		switch kind {
		case NotifyMessage, NotifyMention:
			e.Body = preview(m.Text)
		case NotifyReaction:
			e.Body = m.Reaction + " " + preview(m.Text)
		}
	}
	k.emit(e)
}

// contactLabel is what notifications call a contact: never a part of its id.
func contactLabel(c *contact) string {
	switch {
	case c.info.Nick != "":
		return c.info.Nick
	case c.info.Name != "":
		return c.info.Name
	}
	return "A contact"
}
