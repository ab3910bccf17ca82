package client

// leftBehind notes that a contact, who has proven to be it, refuses us because it knows
// of a device of ours that came after: the identity was restored elsewhere (spec §8.13).
// A contact can only say so, thus nothing follows from it but a word to the person.
func (k *core) leftBehind(c *contact) {
	if !k.profile.LeftBehind.IsZero() {
		return
	}
	k.profile.LeftBehind, k.dirtyProfile = k.now(), true
	k.c.log.Warn("this identity was restored elsewhere, says a contact", "contact", c.info.ID.Short())
	k.emit(NotificationEvent{
		Kind: NotifyCopy, Title: "Your identity was restored elsewhere",
		Body: "A contact refuses this copy of the profile. If it is the one that you want, or the other is not yours, restore your backup once more with the recovery kit.",
	})
}
