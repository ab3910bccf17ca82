//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

// composerHeight bounds the entry: above it, it scrolls.
const composerHeight = 140

// A composer is where messages are written. For a stranger it has the question
// whether to accept in the entry's place.
type composer struct {
	pager
	entry    *gtk.TextView
	buffer   *gtk.TextBuffer
	hint     *gtk.Label
	send     *gtk.Button
	attach   *gtk.Button
	chooser  *gtk.FileChooserNative // while it is open
	above    *gtk.Box               // what is answered or edited
	what     *gtk.Label
	question *gtk.Label
	columns  []*gtk.Box // entry or question
	accept   *gtk.Button
	block    *gtk.Button
	unblock  *gtk.Button

	presenter *present.Window
	leaveUp   func() bool // gives the keyboard to the newest message
	drafts    int         // of the last drawn View
	quiet     bool        // the entry is being changed by us
	mode      present.ComposeMode
}

func newComposer() *composer {
	c := &composer{
		pager: newPager(), entry: gtk.NewTextView(), hint: label(tr.T("Write a message"), "hint"),
		send: gtk.NewButtonWithLabel(tr.T("Send")), what: line("compose-text"), question: paragraph("", "page-text"),
		accept: gtk.NewButtonWithLabel(tr.T("Accept")), block: gtk.NewButtonWithLabel(tr.T("Block")), unblock: gtk.NewButtonWithLabel(tr.T("Unblock")),
	}
	c.buffer = c.entry.Buffer()
	c.entry.SetWrapMode(gtk.WrapWordChar)
	c.entry.SetAcceptsTab(false)
	c.entry.SetHExpand(true)
	c.entry.SetVAlign(gtk.AlignCenter)
	spoken(&c.entry.Widget, tr.T("Message"))
	scroll := gtk.NewScrolledWindow()
	scroll.SetPolicy(gtk.PolicyNever, gtk.PolicyExternal) // a bar would make it twice as high
	scroll.SetPropagateNaturalHeight(true)
	scroll.SetMaxContentHeight(composerHeight)
	scroll.SetHExpand(true)
	scroll.SetFocusable(false) // the entry is
	scroll.SetChild(c.entry)
	over := gtk.NewOverlay()
	over.SetChild(scroll)
	c.hint.SetCanTarget(false)
	c.hint.SetHAlign(gtk.AlignStart)
	c.hint.SetVAlign(gtk.AlignCenter)
	over.AddOverlay(c.hint)
	over.AddCSSClass("entry-box")
	over.SetHExpand(true)

	c.attach = gtk.NewButtonFromIconName("mail-attachment-symbolic")
	c.attach.SetTooltipText(tr.T("Send a file (Ctrl+O)"))
	c.attach.SetVAlign(gtk.AlignEnd)
	c.attach.AddCSSClass("attach")
	spoken(&c.attach.Widget, tr.T("Send a file"))
	c.send.AddCSSClass("suggested-action")
	c.send.SetTooltipText(tr.T("Send (Enter)"))
	c.send.SetVAlign(gtk.AlignEnd)
	spoken(&c.send.Widget, tr.T("Send"))

	c.what.SetHExpand(true)
	cancel := iconButton("window-close-symbolic", tr.T("Write a new message instead (Esc)"), func() { c.presenter.CancelCompose() })
	cancel.AddCSSClass("flat")
	c.above = box(gtk.OrientationHorizontal, 8, c.what, cancel)
	c.above.AddCSSClass("compose-above")
	entry := box(gtk.OrientationVertical, 6, c.above, box(gtk.OrientationHorizontal, 10, c.attach, over, c.send))
	c.add("entry", entry)

	c.accept.AddCSSClass("suggested-action")
	c.block.AddCSSClass("destructive-action")
	c.question.SetHExpand(true)
	ask := box(gtk.OrientationVertical, 8, c.question, box(gtk.OrientationHorizontal, 10, c.accept, c.block, c.unblock))
	c.add("question", ask)
	c.AddCSSClass("composer")
	c.columns = []*gtk.Box{entry, ask}
	return c
}

// inset leaves room on both sides of what one writes.
func (c *composer) inset(side int) {
	for _, b := range c.columns {
		b.SetMarginStart(side)
		b.SetMarginEnd(side)
	}
}

func (c *composer) connect(p *present.Window) {
	c.presenter = p
	submit := func() { p.Send(c.text()) }
	c.send.ConnectClicked(submit)
	c.attach.ConnectClicked(c.choose)
	c.accept.ConnectClicked(p.Accept)
	c.block.ConnectClicked(p.Block)
	c.unblock.ConnectClicked(p.Accept)
	c.buffer.ConnectChanged(func() {
		text := c.text()
		c.send.SetSensitive(text != "")
		c.hint.SetVisible(text == "")
		if !c.quiet {
			p.SetDraft(text)
		}
	})
	c.send.SetSensitive(false)
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	keys.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		switch {
		case key == gdk.KEY_Return || key == gdk.KEY_KP_Enter:
			if state&(gdk.ShiftMask|gdk.ControlMask) != 0 {
				return false
			}
			submit()
			return true
		case key == gdk.KEY_ISO_Left_Tab || key == gdk.KEY_Tab && state&gdk.ShiftMask != 0:
			return c.leaveUp()
		case (key == gdk.KEY_v || key == gdk.KEY_V) && state&gdk.ControlMask != 0 && holdsImage(c.entry.Clipboard()):
			readImage(c.entry.Clipboard(), p.SendPicture)
			return true
		case key == gdk.KEY_Up && c.text() == "":
			p.EditLast()
			return true
		case key == gdk.KEY_Escape && c.mode != present.ComposeNew:
			p.CancelCompose()
			return true
		}
		return false
	})
	c.entry.AddController(keys)
}

// choose asks for a file to send.
func (c *composer) choose() {
	if !c.pages["entry"].Visible() || c.chooser != nil {
		return
	}
	var parent *gtk.Window
	if w, ok := c.Root().CastType(gtk.GTypeWindow).(*gtk.Window); ok {
		parent = w
	}
	c.chooser = gtk.NewFileChooserNative(tr.T("Send a file"), parent, gtk.FileChooserActionOpen, tr.T("Send"), tr.T("Cancel"))
	c.chooser.ConnectResponse(func(response int) {
		if f := c.chooser.File(); response == int(gtk.ResponseAccept) && f != nil {
			c.presenter.SendFile(f.Path())
		}
		c.chooser = nil
	})
	c.chooser.Show()
}

func (c *composer) text() string {
	start, end := c.buffer.Bounds()
	return c.buffer.Text(start, end, false)
}

func (c *composer) draw(chat present.Chat) {
	if chat.Request || chat.Blocked {
		setText(c.question, chat.Notice)
		c.accept.SetVisible(chat.Request)
		c.block.SetVisible(chat.Request)
		c.unblock.SetVisible(chat.Blocked)
		c.show("question")
		return
	}
	c.show("entry")
	c.mode = chat.Compose.Mode
	c.above.SetVisible(c.mode != present.ComposeNew)
	switch c.mode {
	case present.ComposeReply:
		setText(c.what, tr.T("Answer to %s: %s", chat.Compose.Author, chat.Compose.Text))
	case present.ComposeEdit:
		setText(c.what, tr.T("Change: %s", chat.Compose.Text))
	}
	if chat.Drafts == c.drafts {
		return
	}
	c.drafts = chat.Drafts
	c.quiet = true
	c.buffer.SetText(chat.Draft)
	c.quiet = false
	c.buffer.PlaceCursor(c.buffer.EndIter())
	c.grab()
}

// grab gives the keyboard to what is to be answered.
func (c *composer) grab() {
	if c.pages["entry"].Visible() {
		c.entry.GrabFocus()
	} else if c.accept.Visible() {
		c.accept.GrabFocus()
	} else {
		c.unblock.GrabFocus()
	}
}
