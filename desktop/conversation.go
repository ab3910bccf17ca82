//go:build gtk

package desktop

import (
	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/identity"
)

const (
	nearEnd = 48  // pixels from the end within which a list follows new rows
	nearTop = 300 // pixels from the top at which earlier messages are asked for
	// settleTime is how long a list may take to find its place, in milliseconds.
	settleTime = 120
)

// A conversation is the right half of the window: header, messages, entry.
type conversation struct {
	pager
	avatar avatar
	name   *gtk.Label
	badge  *gtk.Label
	list   *list[present.Row]
	scroll *gtk.ScrolledWindow
	entry  *gtk.Entry
	send   *gtk.Button

	empty     *gtk.Label
	presenter *present.Window
	shown     identity.PeerID
	drafts    int  // of the last drawn View
	follow    bool // new rows are scrolled to
	scrolling bool // a jump to the end is on its way
	wanting   bool // earlier messages will perhaps be asked for
	quiet     bool // the entry is being changed by us
}

func newConversation() *conversation {
	c := &conversation{
		pager: newPager(), avatar: newAvatar(present.Colours), name: line("title"), badge: label("", "badge"),
		list: newList(newMessageCell), scroll: gtk.NewScrolledWindow(), entry: gtk.NewEntry(),
		send:   gtk.NewButtonWithLabel("Send"),
		follow: true,
	}
	c.badge.SetVAlign(gtk.AlignCenter)
	c.name.SetHExpand(true)
	header := box(gtk.OrientationHorizontal, 12, c.avatar, c.name, c.badge)
	header.AddCSSClass("chat-header")

	c.scroll.AddCSSClass("messages")
	c.scroll.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	c.scroll.SetVExpand(true)
	c.scroll.SetChild(c.list.view)
	spoken(&c.list.view.Widget, "Messages")

	c.entry.SetHExpand(true)
	c.entry.SetPlaceholderText("Write a message")
	c.entry.SetMaxLength(0)
	spoken(&c.entry.Widget, "Message")
	c.send.AddCSSClass("suggested-action")
	c.send.SetTooltipText("Send (Enter)")
	spoken(&c.send.Widget, "Send")
	composer := box(gtk.OrientationHorizontal, 10, c.entry, c.send)
	composer.AddCSSClass("composer")

	c.empty = paragraph("", "page-text")
	c.empty.SetJustify(gtk.JustifyCenter)
	c.empty.SetXAlign(0.5)
	c.empty.SetMaxWidthChars(40)
	c.empty.SetVAlign(gtk.AlignCenter)
	c.empty.SetHAlign(gtk.AlignCenter)
	c.empty.SetVExpand(true)
	c.add("empty", c.empty)
	c.add("chat", box(gtk.OrientationVertical, 0, header, c.scroll, composer))
	c.SetHExpand(true)
	return c
}

func (c *conversation) connect(p *present.Window) {
	c.presenter = p
	submit := func() { p.Send(c.entry.Text()) }
	c.entry.ConnectActivate(submit)
	c.send.ConnectClicked(submit)
	c.entry.ConnectChanged(func() {
		c.send.SetSensitive(c.entry.Text() != "")
		if !c.quiet {
			p.SetDraft(c.entry.Text())
		}
	})
	c.send.SetSensitive(false)
	adj := c.scroll.VAdjustment()
	adj.ConnectValueChanged(func() {
		if c.scrolling {
			return
		}
		c.follow = adj.Value()+adj.PageSize() >= adj.Upper()-nearEnd
		if adj.Value() < nearTop {
			c.wantEarlier()
		}
	})
	adj.ConnectChanged(func() {
		if c.follow {
			c.toEnd()
		}
	})
}

// wantEarlier asks for earlier messages if the top is still near in a moment:
// while rows are put above those that are seen, it only seems so.
func (c *conversation) wantEarlier() {
	if c.wanting {
		return
	}
	c.wanting = true
	coreglib.TimeoutAdd(settleTime, func() {
		c.wanting = false
		if c.scroll.VAdjustment().Value() < nearTop {
			c.presenter.Earlier()
		}
	})
}

// toEnd scrolls to the last row. The list knows its rows' heights only after it
// has laid them out, so it is told once the loop is idle.
func (c *conversation) toEnd() {
	if c.scrolling {
		return
	}
	c.scrolling = true
	coreglib.IdleAdd(func() {
		c.scrolling = false
		if n := len(c.list.keys); n > 0 {
			c.list.view.ActivateAction("list.scroll-to-item", glib.NewVariantUint32(uint32(n-1)))
		}
		adj := c.scroll.VAdjustment()
		adj.SetValue(adj.Upper() - adj.PageSize())
	})
}

func (c *conversation) draw(v present.View) {
	chat := v.Chat
	if !chat.Open {
		if len(v.Contacts) == 0 {
			setText(c.empty, "Nobody is here yet.\n\nPress Invite and give the link to somebody, or Add with a link that you were given.")
		} else {
			setText(c.empty, "Choose a conversation on the left.")
		}
		c.show("empty")
		c.shown = identity.PeerID{}
		return
	}
	c.show("chat")
	c.avatar.draw(chat.Initials, chat.Colour)
	setText(c.name, chat.Label)
	setText(c.badge, chat.Badge.Text)
	setTip(&c.badge.Widget, chat.Badge.Tip)
	spoken(&c.badge.Widget, "Path: "+chat.Badge.Text)
	pathClass(&c.badge.Widget, chat.Badge.Kind)

	other := chat.ID != c.shown
	c.shown = chat.ID
	if other {
		c.follow = true
	}
	keys := make([]string, len(chat.Rows))
	for i, r := range chat.Rows {
		keys[i] = r.Key
	}
	grown := c.list.set(keys, chat.Rows)
	if grown && len(chat.Rows) > 0 {
		if last := chat.Rows[len(chat.Rows)-1]; last.Mine {
			c.follow = true // one wants to see what one wrote
		}
	}
	if c.follow && (grown || other) {
		c.toEnd()
	}
	if chat.Drafts != c.drafts {
		c.drafts = chat.Drafts
		c.quiet = true
		c.entry.SetText(chat.Draft)
		c.entry.SetPosition(-1)
		c.quiet = false
	}
	if other {
		c.entry.GrabFocus()
	}
}
