package present

import (
	"context"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// A face is the picture of a contact, nil until it is here.
type face struct {
	name    string // as the client calls it; another picture has another name
	picture *Picture
}

// faceOf returns the picture that a contact shows, nil if there is none.
func (w *Window) faceOf(c client.Contact) *Picture {
	if c.Picture == "" {
		return nil
	}
	return w.faces[c.ID].picture
}

// fetchFaces asks the client for the pictures that are new. The one before stays
// until another comes.
func (w *Window) fetchFaces() {
	var ask []client.Contact
	for id, c := range w.contacts {
		f := w.faces[id]
		if c.Picture == f.name {
			continue
		}
		if c.Picture == "" {
			delete(w.faces, id)
			continue
		}
		w.faces[id] = face{c.Picture, f.picture}
		ask = append(ask, c)
	}
	for id := range w.faces {
		if _, known := w.contacts[id]; !known {
			delete(w.faces, id)
		}
	}
	if len(ask) == 0 {
		return
	}
	api := w.api
	w.do(func(ctx context.Context) func() {
		found := map[identity.PeerID]*Picture{}
		for _, c := range ask {
			if jpeg, err := api.Picture(ctx, c.ID); err == nil {
				found[c.ID] = &Picture{JPEG: jpeg}
			}
		}
		return func() {
			for _, c := range ask {
				if p := found[c.ID]; p != nil && w.api == api && w.faces[c.ID].name == c.Picture {
					w.faces[c.ID] = face{c.Picture, p}
				}
			}
		}
	})
}

// ownFace is the field in which one chooses what contacts see.
func (w *Window) ownFace() Field {
	self := client.Contact{ID: w.me.ID, Picture: w.me.Picture}
	f := Field{
		Key: "face", Kind: ItemField, Label: tr.T("Your picture"), Picture: w.faceOf(self),
		Initials: Initials(Line(w.me.Name)), Colour: Colour(w.me.ID), Spoken: Line(w.me.Name),
		Text: tr.T("You show your contacts no picture: they see your initials. Choose one, or drag it here."),
		act:  func(v Value) { w.setFace(v.Text) }, Drop: true,
		Buttons: []Button{{Key: "chooseface", Label: tr.T("Choose your picture…"), Open: tr.T("Choose your picture"), act: func(v Value) { w.setFace(v.Text) }}},
	}
	if w.me.Picture != "" {
		f.Text = tr.T("Your contacts see it, and nobody else. What the file tells besides, as where it was taken, is not in it.")
		f.Buttons = append(f.Buttons, press("noface", tr.T("Remove the picture"), func() { w.showFace("") }))
	}
	return f
}

// setFace shows contacts the picture in a file.
func (w *Window) setFace(path string) {
	if path != "" {
		w.showFace(path)
	}
}

func (w *Window) showFace(path string) {
	w.ask(func(ctx context.Context, api client.API) func() {
		me, err := api.SetPicture(ctx, path)
		if err != nil {
			return w.unanswered(tr.T("The picture could not be changed"), err)
		}
		return func() {
			w.tookFace(me)
			if path == "" {
				w.say(tr.T("Your contacts will see your initials."))
			} else {
				w.say(tr.T("Your contacts will see your picture."))
			}
		}
	})
}

// tookFace takes in what our own picture is.
func (w *Window) tookFace(me client.Me) {
	w.me.Picture = me.Picture
	if c, ok := w.contacts[w.me.ID]; ok {
		c.Picture = me.Picture
		w.contacts[c.ID] = c
		w.fetchFaces()
	}
}
