package present

import (
	"context"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

// loadProfile asks the client what others are shown of us.
func (w *Window) loadProfile() {
	w.fetch(func(ctx context.Context, api client.API) func() {
		l, err := api.Listing(ctx)
		if err != nil {
			return w.unanswered(tr.T("The profile could not be read"), err)
		}
		visible, err := api.Visible(ctx)
		keys, keysErr := api.Keys(ctx)
		me, meErr := api.WhoAmI(ctx)
		return func() {
			w.listing, w.visible = l, err == nil && visible
			if keysErr == nil {
				w.keys = keys
			}
			if meErr == nil {
				w.tookFace(me)
			}
			w.put("note", l.Note)
		}
	})
}

func (w *Window) profileFields() []Field {
	f := []Field{
		w.ownFace(),
		w.entry("name", tr.T("Name"), tr.T("How others see you"), w.setName),
		buttons("names", press("setname", tr.T("Change the name"), w.setName).suggested()),
		heading("public", tr.T("In the public lists, if you are on them")),
		w.entry("note", tr.T("Note"), tr.T("One line about you"), w.setNote),
	}
	if p := w.listing.Picture; len(p) > 0 {
		if w.portrait == nil || string(w.portrait.JPEG) != string(p) {
			w.portrait = &Picture{JPEG: p}
		}
		f = append(f, Field{Key: "picture", Kind: PictureField, Picture: w.portrait, Spoken: tr.T("Your picture")})
	}
	b := []Button{
		press("setnote", tr.T("Change the note"), w.setNote),
		{Key: "choosepicture", Label: tr.T("Choose a picture…"), Open: tr.T("Choose a picture"), act: func(v Value) { w.setPicture(v.Text) }},
	}
	if len(w.listing.Picture) > 0 {
		b = append(b, press("nopicture", tr.T("No picture"), func() {
			w.setListing(func(l *client.Listing) { l.Picture = nil })
		}))
	}
	listed := tr.T("You are on no public list. Privacy has the switch.")
	if w.listing.Listed {
		listed = tr.T("You are on the public lists of your servers.")
	}
	return append(f, buttons("notes", b...), text("islisted", listed))
}

func (w *Window) setName() {
	name := strings.TrimSpace(w.typed("name"))
	w.ask(func(ctx context.Context, api client.API) func() {
		me, err := api.SetName(ctx, name)
		if err != nil {
			return w.unanswered(tr.T("The name could not be changed"), err)
		}
		return func() {
			w.me.Name = me.Name
			w.say(tr.T("Your contacts will see your new name."))
		}
	})
}

func (w *Window) setNote() {
	w.setListing(func(l *client.Listing) { l.Note = strings.TrimSpace(w.typed("note")) })
}

// setPicture makes a small picture of a file, to be shown on the lists.
func (w *Window) setPicture(path string) {
	if path == "" {
		return
	}
	w.ask(func(context.Context, client.API) func() {
		p, err := portrait(path)
		if err != nil {
			return func() { w.dialog.Problem = tr.T("This is no picture that can be read: a PNG, JPEG or GIF.") }
		}
		return func() { w.setListing(func(l *client.Listing) { l.Picture = p }) }
	})
}

// setListing changes what servers are to show of us.
func (w *Window) setListing(change func(l *client.Listing)) {
	before := w.listing
	change(&w.listing)
	l := w.listing
	w.ask(func(ctx context.Context, api client.API) func() {
		n, err := api.SetListing(ctx, l)
		if err != nil {
			return func() {
				w.listing = before
				w.dialog.Problem = problem(tr.T("The public list could not be changed"), err)
			}
		}
		return func() {
			if l.Listed {
				w.say(tr.N("%d server shows you on its list.", "%d servers show you on their lists.", n, n))
			}
		}
	})
}

// setVisible announces us on the local network, or no longer.
func (w *Window) setVisible(v Value) {
	w.visible = v.On
	w.ask(func(ctx context.Context, api client.API) func() {
		err := api.SetVisible(ctx, v.On)
		return func() {
			if err != nil {
				w.visible = !v.On
				w.dialog.Problem = problem(tr.T("The local network could not be told"), err)
			}
		}
	})
}
