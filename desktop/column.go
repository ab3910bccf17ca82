//go:build gtk

package desktop

import (
	"math"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// columnWidth is how wide a conversation is at most, in pixels: in a wider window
// it stands in the middle, so that question and answer are seen at one glance.
const columnWidth = 900

// columnSide is what is free on each side of the column in a place of a width.
func columnSide(width int) int {
	most := columnWidth
	if textIsLarge() {
		most *= 2
	}
	return max(0, (width-most)/2)
}

// newRuler returns an overlay's part that is not seen and tells how wide the
// overlay is, whenever that changes.
func newRuler(tell func(width int)) gtk.Widgetter {
	r := gtk.NewDrawingArea()
	r.SetCanTarget(false)
	r.SetHExpand(true)
	told := -1
	r.ConnectResize(func(width, _ int) {
		if width == told {
			return
		}
		told = width
		post(func() { tell(width) }) // not while the sizes are being given out
	})
	return r
}

// wheelBeside scrolls what stands in a column while the pointer is beside it.
func wheelBeside(s *gtk.ScrolledWindow) gtk.EventControllerer {
	wheel := gtk.NewEventControllerScroll(gtk.EventControllerScrollVertical)
	wheel.ConnectScroll(func(_, dy float64) bool {
		adj := s.VAdjustment()
		adj.SetValue(adj.Value() + dy*math.Pow(adj.PageSize(), 2.0/3)) // as far as GTK does
		return true
	})
	return wheel
}
