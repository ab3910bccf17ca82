//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// A chatHeader stands over a conversation: who it is with, how that is reached,
// and what can be done with it.
type chatHeader struct {
	*gtk.Box
	avatar   *avatar
	name     *gtk.Label
	below    *gtk.Label
	verified *gtk.Image
	badge    *gtk.Button
	menu     *gtk.MenuButton
	popover  *gtk.Popover
	notice   *gtk.Label

	pinned, muted, archived           *menuSwitch
	shareRead, shareTyping, relayOnly *menuSwitch
	people                            []gtk.Widgetter // what a note to self has not
	timer                             *gtk.DropDown
	quiet                             bool
}

func newChatHeader() *chatHeader {
	h := &chatHeader{
		avatar: newAvatar(present.Colours), name: line("title"), below: line("subtitle"),
		verified: gtk.NewImageFromIconName("security-high-symbolic"), badge: gtk.NewButton(),
		menu: gtk.NewMenuButton(), popover: gtk.NewPopover(), notice: paragraph("", "notice"),
	}
	h.name.SetHExpand(false)
	h.verified.SetTooltipText(tr.T("Verified: you have compared the words with this contact"))
	h.badge.SetVAlign(gtk.AlignCenter)
	h.badge.AddCSSClass("badge")
	h.menu.SetIconName("view-more-symbolic")
	h.menu.SetTooltipText(tr.T("This conversation (Ctrl+M)"))
	h.menu.SetVAlign(gtk.AlignCenter)
	h.menu.AddCSSClass("flat")
	spoken(&h.menu.Widget, tr.T("This conversation"))
	h.menu.SetPopover(h.popover)
	name := box(gtk.OrientationHorizontal, 6, h.name, h.verified)
	text := box(gtk.OrientationVertical, 0, name, h.below)
	text.SetHExpand(true)
	text.SetVAlign(gtk.AlignCenter)
	top := box(gtk.OrientationHorizontal, 12, h.avatar, text, h.badge, h.menu)
	top.AddCSSClass("chat-header")
	h.Box = box(gtk.OrientationVertical, 0, top, h.notice)
	return h
}

func (h *chatHeader) connect(p *present.Window) {
	change := func(set func(s *client.ContactSettings, on *bool)) func(bool) {
		return func(on bool) {
			var s client.ContactSettings
			set(&s, &on)
			p.Change(s)
		}
	}
	close := func(f func()) func() {
		return func() {
			h.popover.Popdown()
			f()
		}
	}
	h.pinned = newMenuSwitch(tr.T("Pinned"), tr.T("First in the list"), change(func(s *client.ContactSettings, on *bool) { s.Pinned = on }))
	h.muted = newMenuSwitch(tr.T("Muted"), tr.T("No notifications"), change(func(s *client.ContactSettings, on *bool) { s.Muted = on }))
	h.archived = newMenuSwitch(tr.T("Archived"), tr.T("Not in the list"), p.Archive)
	h.shareRead = newMenuSwitch(tr.T("Say what I have read"), tr.T("The contact sees which of its messages you have seen"),
		change(func(s *client.ContactSettings, on *bool) { s.ShareRead = on }))
	h.shareTyping = newMenuSwitch(tr.T("Say that I write"), tr.T("The contact sees that you are writing"),
		change(func(s *client.ContactSettings, on *bool) { s.ShareTyping = on }))
	h.relayOnly = newMenuSwitch(tr.T("Hide my address"), tr.T("Connect through a relay only: the contact never learns your network address"),
		change(func(s *client.ContactSettings, on *bool) { s.RelayOnly = on }))
	h.timer = gtk.NewDropDownFromStrings(present.TimerNames())
	spokenChoice(h.timer, tr.T("Messages disappear after"))
	h.timer.NotifyProperty("selected", func() {
		if !h.quiet {
			p.SetTimer(int(h.timer.Selected()))
		}
	})
	timer := box(gtk.OrientationHorizontal, 8, label(tr.T("Disappear after")), h.timer)
	timer.AddCSSClass("menu-item")
	verify := menuItem(tr.T("Compare words…"), close(p.OpenVerify))
	rename := menuItem(tr.T("Rename…"), close(p.OpenRename))
	block := menuItem(tr.T("Block"), close(p.Block))
	remove := menuItem(tr.T("Delete contact"), close(p.DeleteContact))
	h.people = []gtk.Widgetter{verify, rename, block, remove, h.shareRead, h.shareTyping, h.relayOnly, h.muted, timer}
	setMenu(h.popover, verify, rename, h.pinned, h.muted, h.archived,
		h.shareRead, h.shareTyping, h.relayOnly, timer,
		menuItem(tr.T("Mark as unread"), close(p.MarkUnread)),
		menuItem(tr.T("Delete all messages"), close(p.DeleteHistory)), block, remove)
	h.badge.ConnectClicked(p.OpenConnection)
}

func (h *chatHeader) draw(chat present.Chat) {
	h.avatar.draw(chat.Initials, chat.Colour, chat.Picture, chat.Label)
	setText(h.name, chat.Label)
	h.verified.SetVisible(chat.Verified)
	below := ""
	switch {
	case chat.Typing:
		below = tr.T("writes…")
	case chat.Timer != "":
		below = tr.T("Messages disappear after %s", chat.Timer)
	}
	setText(h.below, below)
	h.below.SetVisible(below != "")
	if h.badge.Label() != chat.Badge.Text {
		h.badge.SetLabel(chat.Badge.Text)
	}
	setTip(&h.badge.Widget, chat.Badge.Tip)
	spoken(&h.badge.Widget, tr.T("Path: %s", chat.Badge.Text))
	pathClass(&h.badge.Widget, chat.Badge.Kind)
	asks := chat.Request || chat.Blocked
	setText(h.notice, chat.Notice)
	h.notice.SetVisible(chat.Notice != "" && !asks)
	h.pinned.draw(chat.Settings.Pinned)
	h.muted.draw(chat.Settings.Muted)
	h.archived.draw(chat.Settings.Archived)
	h.shareRead.draw(chat.Settings.ShareRead)
	h.shareTyping.draw(chat.Settings.ShareTyping)
	h.relayOnly.draw(chat.Settings.RelayOnly)
	for _, w := range h.people {
		gtk.BaseWidget(w).SetVisible(!chat.Self)
	}
	h.quiet = true
	h.timer.SetSelected(uint(present.TimerIndex(chat.Timer)))
	h.quiet = false
}
