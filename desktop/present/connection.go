package present

import (
	"context"
	"slices"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

// A Finding is one sentence about the network.
type Finding struct {
	State string // "ok", "note" or "problem"
	Text  string
}

// OpenConnection shows how the contact is reached, what was tried and why, and
// can examine the network.
func (w *Window) OpenConnection() {
	if w.chat == nil {
		return
	}
	c := w.contacts[w.chat.id]
	if !w.showForm(ConnectionDialog, tr.T("Connection with %s", w.label(c)), nil, func(int) []Field { return w.connectionFields() }) {
		return
	}
	w.dialog.Name, w.about, w.findings = w.label(c), c.ID, nil
	w.dialog.Focus = "copies"
	w.redraw()
}

func (w *Window) connectionFields() []Field {
	words := func(address bool) (lines []string) {
		for _, f := range w.connectionLines(w.about, address) {
			lines = append(lines, f.What+": "+f.Text)
		}
		return lines
	}
	// The report is to be shown to others.
	report := strings.Join(words(false), "\n")
	f := []Field{text("facts", strings.Join(words(true), "\n\n"))}
	c := w.contacts[w.about]
	if !c.Self {
		f = append(f, Field{Key: "hide", Kind: SwitchField, Label: tr.T("Hide my address"), On: c.RelayOnly,
			Hint: tr.T("Connect through a relay only: the contact never learns your network address."),
			act: func(v Value) {
				if w.chat != nil && w.chat.id == w.about {
					w.Change(client.ContactSettings{RelayOnly: &v.On})
				}
			}})
	}
	for i, x := range w.findings {
		mark := map[string]string{"ok": "✓ ", "note": "! ", "problem": "✗ "}[x.State]
		said := tr.Text(x.Text)
		f = append(f, text("finding "+itoa(i), mark+said))
		report += "\n" + x.State + ": " + said
	}
	b := []Button{{Key: "copyreport", Label: tr.T("Copy"), Copy: report, act: func(Value) {}}}
	if w.host != nil {
		examine := press("examine", tr.T("Examine this network"), w.examine)
		examine.Off = w.dialog.Busy
		b = append(b, examine)
		f = append(f, text("examinetext", tr.T("Examining takes about ten seconds: what lies between you and your servers, and what you can do. The report names no addresses.")))
	}
	return append(f, buttons("copies", b...))
}

// examine has the doctor look at the network.
func (w *Window) examine() {
	host := w.host
	w.ask(func(ctx context.Context, _ client.API) func() {
		found, err := host.Examine(ctx)
		if err != nil {
			return w.unanswered(tr.T("The network could not be examined"), err)
		}
		slices.SortStableFunc(found, func(a, b Finding) int { return rank(a) - rank(b) })
		return func() { w.findings = found }
	})
}

// rank puts what is wrong first.
func rank(f Finding) int { return slices.Index([]string{"problem", "note", "ok"}, f.State) }
