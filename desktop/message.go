//go:build gtk

package desktop

import (
	"unicode/utf8"

	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/tr"
)

const (
	bubbleChars = 46 // the width at which a bubble wraps
	bubbleGap   = 56 // pixels that a bubble leaves free on the other side
)

// leastChars is the width below which a bubble does not get. GTK wraps every text
// at its least width first, which took half of the time of a frame without one.
const leastChars = 16

// secondButton opens a message's menu.
const secondButton = 3

// actionRetry takes a row's key.
const actionRetry = "retry"

// A messageCell is one row of a conversation: a bubble or a day's heading.
type messageCell struct {
	row    *gtk.Grid
	room   *gtk.Box // before the bubble
	day    *gtk.Label
	bubble *gtk.Box
	text   *gtk.Label
	time   *gtk.Label
	tick   *gtk.Label
	retry  *gtk.Button // nil until it was needed

	quote     *gtk.Label
	reactions *gtk.Label
	expires   *gtk.Image
	file      *fileBox // nil until there is one
	shown     present.Row
}

func newMessageCell(menu func(present.Row, gtk.Widgetter)) cell[present.Row] {
	c := &messageCell{
		quote: line("quote"), reactions: label("", "reactions"), expires: gtk.NewImageFromIconName("alarm-symbolic"),
		day: label("", "day"), text: paragraph("", "text"), time: label("", "meta"), tick: label("", "tick"),
	}
	c.day.SetXAlign(0.5)
	c.day.SetHExpand(true)
	c.text.SetMaxWidthChars(bubbleChars)
	c.text.SetSelectable(true)
	tip(&c.expires.Widget, func() string { return c.shown.Expires })
	tip(&c.time.Widget, func() string { return c.shown.Date })
	tip(&c.tick.Widget, func() string { return c.shown.Tick.Tip })
	c.expires.SetPixelSize(11)
	c.expires.AddCSSClass("meta")
	meta := box(gtk.OrientationHorizontal, 5, c.expires, c.time, c.tick)
	meta.SetHAlign(gtk.AlignEnd)
	c.reactions.SetHAlign(gtk.AlignStart)
	c.quote.SetMaxWidthChars(bubbleChars)
	c.bubble = box(gtk.OrientationVertical, 1, c.quote, c.text, c.reactions, meta)
	c.bubble.AddCSSClass("bubble")
	click := gtk.NewGestureClick()
	click.SetButton(secondButton)
	click.SetPropagationPhase(gtk.PhaseCapture)
	click.ConnectPressed(func(_ int, _, _ float64) {
		click.SetState(gtk.EventSequenceClaimed)
		menu(c.shown, c.bubble)
	})
	c.bubble.AddController(click)
	// A grid, because it gives a bubble its place by the room before it.
	// An alignment, and a box that lies, ask for a width at a height: text that
	// wraps gives GTK 4.8 an answer that is too wide, after a dozen trials.
	c.row = gtk.NewGrid()
	c.row.Attach(c.day, 0, 0, 2, 1)
	c.row.Attach(c.bubble, 1, 1, 1, 1)
	c.room = gtk.NewBox(gtk.OrientationHorizontal, 0)
	c.row.Attach(c.room, 0, 1, 1, 1)
	return c
}

func (c *messageCell) root() gtk.Widgetter { return c.row }

func (c *messageCell) draw(v present.Row) {
	c.shown = v
	heading := v.Kind != present.MessageRow
	mark(&c.day.Widget, "notice-row", v.Kind == present.NoticeRow)
	c.day.SetVisible(heading)
	c.bubble.SetVisible(!heading)
	if heading {
		setText(c.day, v.Text)
		return
	}
	c.text.SetWidthChars(min(utf8.RuneCountInString(v.Text), leastChars))
	setText(c.text, v.Text)
	c.text.SetVisible(v.File.Name == "")
	if c.file == nil && v.File.Name != "" {
		c.file = newFileBox()
		c.bubble.InsertChildAfter(c.file, c.quote)
	}
	if c.file != nil {
		c.file.draw(v.Key, v.File)
	}
	quote := v.Quote
	if v.QuoteAuthor != "" {
		quote = v.QuoteAuthor + ": " + quote
	}
	setText(c.quote, quote)
	c.quote.SetVisible(v.Quote != "")
	reactions := v.Reacted
	if v.Reaction != "" && v.Reaction != v.Reacted {
		reactions = v.Reaction + " " + reactions
	} else if v.Reaction != "" {
		reactions += " 2"
	}
	setText(c.reactions, reactions)
	c.reactions.SetVisible(reactions != "")
	c.expires.SetVisible(v.Expires != "")
	at := v.Time
	if v.Edited {
		at = tr.T("edited %s", at)
	}
	setText(c.time, at)
	c.tick.SetVisible(v.Mine)
	setText(c.tick, v.Tick.Sign)
	if v.Mine {
		spoken(&c.tick.Widget, v.Tick.Tip)
	}
	mark(&c.tick.Widget, "read", v.Tick.Read)
	if v.Failed && c.retry == nil {
		// The key travels as the action's target: a closure for each row would hold
		// the row for ever.
		c.retry = gtk.NewButtonWithLabel(tr.T("Try again"))
		c.retry.SetActionTargetValue(glib.NewVariantString("")) // first: its type must fit the action's
		c.retry.SetActionName("win." + actionRetry)
		c.retry.AddCSSClass("flat")
		c.bubble.Append(c.retry)
	}
	if c.retry != nil {
		c.retry.SetVisible(v.Failed)
	}
	if v.Failed {
		c.retry.SetActionTargetValue(glib.NewVariantString(v.Key))
	}
	b := &c.bubble.Widget
	mark(b, "mine", v.Mine)
	mark(b, "theirs", !v.Mine)
	mark(b, "first", v.First)
	mark(b, "last", v.Last)
	mark(b, "failed", v.Failed)
	mark(b, "found", v.Found)
	c.room.SetHExpand(v.Mine)
	if v.Mine {
		c.bubble.SetMarginStart(bubbleGap)
		c.bubble.SetMarginEnd(0)
	} else {
		c.bubble.SetMarginStart(0)
		c.bubble.SetMarginEnd(bubbleGap)
	}
}
