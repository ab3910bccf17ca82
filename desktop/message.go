//go:build gtk

package desktop

import (
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
)

const (
	bubbleChars = 46 // the width at which a bubble wraps
	bubbleGap   = 56 // pixels that a bubble leaves free on the other side
)

// actionRetry takes a row's key.
const actionRetry = "retry"

// A messageCell is one row of a conversation: a bubble or a day's heading.
type messageCell struct {
	row    *gtk.Box
	day    *gtk.Label
	bubble *gtk.Box
	text   *gtk.Label
	time   *gtk.Label
	tick   *gtk.Label
	retry  *gtk.Button
}

func newMessageCell() cell[present.Row] {
	c := &messageCell{
		day: label("", "day"), text: paragraph("", "text"), time: label("", "meta"), tick: label("", "tick"),
		retry: gtk.NewButtonWithLabel("Try again"),
	}
	c.day.SetXAlign(0.5)
	c.day.SetHExpand(true)
	c.text.SetMaxWidthChars(bubbleChars)
	c.text.SetSelectable(true)
	// The key travels as the action's target: a closure for each row would hold
	// the row for ever.
	c.retry.SetActionTargetValue(glib.NewVariantString("")) // first: its type must fit the action's
	c.retry.SetActionName("win." + actionRetry)
	c.retry.AddCSSClass("flat")
	meta := box(gtk.OrientationHorizontal, 5, c.time, c.tick)
	meta.SetHAlign(gtk.AlignEnd)
	c.bubble = box(gtk.OrientationVertical, 1, c.text, meta, c.retry)
	c.bubble.AddCSSClass("bubble")
	// Upright, because a box that lies asks its children for their width at a
	// height, and text that wraps gives GTK 4.8 an answer that is too wide.
	c.row = box(gtk.OrientationVertical, 0, c.day, c.bubble)
	return c
}

func (c *messageCell) root() gtk.Widgetter { return c.row }

func (c *messageCell) draw(v present.Row) {
	heading := v.Kind != present.MessageRow
	c.day.SetVisible(heading)
	c.bubble.SetVisible(!heading)
	if heading {
		setText(c.day, v.Text)
		return
	}
	setText(c.text, v.Text)
	setText(c.time, v.Time)
	setTip(&c.time.Widget, v.Date)
	c.tick.SetVisible(v.Mine)
	setText(c.tick, v.Tick.Sign)
	setTip(&c.tick.Widget, v.Tick.Tip)
	spoken(&c.tick.Widget, v.Tick.Tip)
	mark(&c.tick.Widget, "read", v.Tick.Read)
	c.retry.SetVisible(v.Failed)
	if v.Failed {
		c.retry.SetActionTargetValue(glib.NewVariantString(v.Key))
	}
	b := &c.bubble.Widget
	mark(b, "mine", v.Mine)
	mark(b, "theirs", !v.Mine)
	mark(b, "first", v.First)
	mark(b, "last", v.Last)
	mark(b, "failed", v.Failed)
	if v.Mine {
		c.bubble.SetHAlign(gtk.AlignEnd)
		c.bubble.SetMarginStart(bubbleGap)
		c.bubble.SetMarginEnd(0)
	} else {
		c.bubble.SetHAlign(gtk.AlignStart)
		c.bubble.SetMarginStart(0)
		c.bubble.SetMarginEnd(bubbleGap)
	}
	spoken(b, v.Spoken())
}
