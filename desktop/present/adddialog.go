package present

import (
	"context"
	"slices"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// The pages of the dialog that adds a contact.
const (
	linkPage = iota
	phoneBookPage
	nearbyPage
)

// A found is what the pages of the dialog have found.
type found struct {
	listed     []client.ListedPerson
	next       []byte // where the list goes on
	searched   bool
	neighbours []client.Neighbour
	looked     bool
	looking    bool
}

// OpenAdd asks for an invite, or shows who can be found.
func (w *Window) OpenAdd() {
	if !w.showForm(AddDialog, tr.T("Add a contact"), []string{tr.T("Link, words or QR code"), tr.T("Phone book"), tr.T("Nearby")}, w.addPage) {
		return
	}
	w.found = found{}
	w.dialog.Focus = "link"
	w.redraw()
}

func (w *Window) addPage(page int) []Field {
	switch page {
	case phoneBookPage:
		return w.phoneBookFields()
	case nearbyPage:
		return w.nearbyFields()
	}
	add := func() { w.Add(w.typed("link"), w.typed("nick")) }
	link := w.entry("link", tr.T("The link or the words that you were given"), "sremp:…", add)
	link.Spoken = tr.T("Link")
	nick := w.entry("nick", tr.T("Your name for them, if you like"), tr.T("As they call themselves"), add)
	nick.Spoken = tr.T("Name for them")
	button := press("add", tr.T("Add"), add).suggested()
	button.Off = w.dialog.Busy
	return []Field{
		link, nick, buttons("addbuttons", button),
		heading("scan", tr.T("Or a QR code")),
		text("scantext", tr.T("Take a picture of it, or a screenshot. What it says is put in above, and used when you press Add.")),
		buttons("scanbuttons",
			Button{Key: "scanfile", Label: tr.T("From a picture…"), Open: tr.T("A picture with a QR code"), act: func(v Value) { w.scanInto("link", v) }},
			Button{Key: "scanclip", Label: tr.T("From the clipboard"), Paste: true, act: func(v Value) { w.scanInto("link", v) }}),
	}
}

// scanInto puts what a code says into an entry: of a file, or of a picture or a
// text on the clipboard.
func (w *Window) scanInto(entry string, v Value) {
	w.dialog.Problem = ""
	if len(v.Image) == 0 && v.Text == "" {
		w.dialog.Problem = tr.T("There is neither a picture nor a text on the clipboard.")
		return
	}
	w.ask(func(context.Context, client.API) func() {
		said, err := v.Text, error(nil)
		switch {
		case len(v.Image) > 0:
			said, err = scanPNG(v.Image)
		case strings.HasPrefix(v.Text, "/"):
			said, err = scanFile(v.Text)
		}
		if err != nil {
			return func() { w.dialog.Problem = tr.T("There is no QR code in this picture that can be read.") }
		}
		return func() { w.put(entry, Line(said)) }
	})
}

// Add joins by an invite and opens the conversation with the new contact.
func (w *Window) Add(uri, nick string) {
	uri, nick = strings.TrimSpace(uri), strings.TrimSpace(nick)
	if w.dialog.Kind != AddDialog || w.dialog.Busy {
		return
	}
	if uri == "" {
		w.dialog.Problem = tr.T("Paste the link that you were given.")
		w.redraw()
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		c, err := api.Add(ctx, uri, nick)
		if err != nil {
			return w.unanswered(tr.T("The contact could not be added"), err)
		}
		return func() {
			w.contacts[c.ID] = c
			w.dialog = Dialog{}
			w.say(tr.T("%s was added. Say hello!", Isolate(c.Label())))
			if w.chat == nil || w.chat.id != c.ID {
				w.openChat(c.ID)
			}
			w.refresh()
		}
	})
	w.redraw()
}

func (w *Window) phoneBookFields() []Field {
	find := func() { w.browse(nil) }
	search := w.entry("find", tr.T("Search the public lists of your servers"), tr.T("What the name begins with"), find)
	search.Spoken = tr.T("Name to find")
	f := []Field{search, buttons("findbuttons", press("findnow", tr.T("Search"), find).suggested(),
		press("findall", tr.T("Show all"), func() {
			w.put("find", "")
			w.browse(nil)
		}))}
	if w.found.searched && len(w.found.listed) == 0 && !w.dialog.Busy {
		f = append(f, text("nobody", tr.T("Nobody is listed under this name. Who is on a list has asked for it.")))
	}
	for i, p := range w.found.listed {
		f = append(f, w.listedField(i, p))
	}
	if len(w.found.next) > 0 {
		f = append(f, buttons("more", press("findmore", tr.T("More"), func() { w.browse(w.found.next) })))
	}
	return append(f, text("findnote", tr.T("A name proves nothing: compare the id, or the words later. Your servers do not learn who searches.")))
}

func (w *Window) listedField(i int, p client.ListedPerson) Field {
	name := Line(p.Name)
	says := []string{p.ID.String()}
	if p.Note != "" {
		says = slices.Insert(says, 0, Line(p.Note))
	}
	if p.Suspect {
		says = append(says, tr.T("Beware: this name looks like another one's, or mixes alphabets."))
	}
	if p.Online {
		says = append(says, tr.T("Online"))
	} else if !p.Seen.IsZero() {
		says = append(says, tr.T("Seen %s", listTime(p.Seen, w.now())))
	}
	key := "person " + p.ID.String()
	f := Field{Key: "person " + itoa(i), Kind: ItemField, Label: name, Text: strings.Join(says, "\n"), Initials: Initials(name), Colour: Colour(p.ID)}
	if _, known := w.contacts[p.ID]; known {
		f.Buttons = append(f.Buttons, press(key+" open", tr.T("Open the conversation"), func() { w.openPerson(p.ID) }))
	} else if link := linkIn(p.Note); link != "" {
		request := press(key+" add", tr.T("Send a request"), func() { w.Add(link, "") }).suggested()
		request.Off = w.dialog.Busy
		f.Buttons = append(f.Buttons, request)
	}
	f.Buttons = append(f.Buttons, Button{Key: key + " copy", Label: tr.T("Copy the id"), Copy: p.ID.String(), act: func(Value) {}})
	return f
}

// linkIn returns the invite that a note has in it; empty if there is none.
func linkIn(note string) string {
	for _, word := range strings.Fields(note) {
		if _, err := identity.ParseInvite(word); err == nil {
			return word
		}
	}
	return ""
}

func (w *Window) openPerson(id identity.PeerID) {
	w.dialog = Dialog{}
	if w.chat == nil || w.chat.id != id {
		w.openChat(id)
	}
}

// browsePage is how many people are shown at a time.
const browsePage = 20

// browse asks for a page of the public lists.
func (w *Window) browse(after []byte) {
	q := client.BrowseQuery{Name: strings.TrimSpace(w.typed("find")), Anywhere: true, Limit: browsePage, After: after}
	w.ask(func(ctx context.Context, api client.API) func() {
		page, err := api.Browse(ctx, q)
		if err != nil {
			return w.unanswered(tr.T("The lists could not be searched"), err)
		}
		return func() {
			if len(after) == 0 {
				w.found.listed = nil
			}
			w.found.listed = append(w.found.listed, page.People...)
			w.found.next, w.found.searched = page.Next, true
		}
	})
}

func (w *Window) nearbyFields() []Field {
	look := press("look", tr.T("Look who is here"), w.lookAround).suggested()
	look.Off = w.dialog.Busy || w.found.looking
	f := []Field{
		{Key: "visible", Kind: SwitchField, Label: tr.T("Visible on the local network"), On: w.visible,
			Hint: tr.T("Everybody on the same network sees your name, and can send a request."), act: w.setVisible},
		buttons("lookbuttons", look),
	}
	if w.found.looked && len(w.found.neighbours) == 0 && !w.found.looking {
		f = append(f, text("alone", tr.T("Nobody here is visible. The other one must switch it on, too.")))
	}
	for i, n := range w.found.neighbours {
		name := Line(n.Name)
		item := Field{Key: "neighbour " + itoa(i), Kind: ItemField, Label: name, Initials: Initials(name), Colour: Colour(n.ID),
			Text: tr.T("Says to be %s, on %s.", Isolate(name), Line(n.Interface)) + "\n" + n.ID.String()}
		if n.Contact {
			item.Buttons = []Button{press("n-open "+n.ID.String(), tr.T("Open the conversation"), func() { w.openPerson(n.ID) })}
		} else {
			request := press("n-add "+n.ID.String(), tr.T("Send a request"), func() { w.Add(n.Invite, "") }).suggested()
			request.Off = w.dialog.Busy // Add would not answer
			item.Buttons = []Button{request}
		}
		f = append(f, item)
	}
	return append(f, text("looknote", tr.T("No server is asked, and nothing leaves the local network. A name proves nothing: compare the words later.")))
}

// lookAround asks who announces itself on the local network. Who was found before
// can be written to meanwhile.
func (w *Window) lookAround() {
	w.found.looking, w.dialog.Problem = true, ""
	w.fetch(func(ctx context.Context, api client.API) func() {
		found, err := api.Neighbours(ctx)
		return func() {
			w.found.looking = false
			if err != nil {
				w.unanswered(tr.T("The local network could not be asked"), err)()
				return
			}
			w.found.neighbours, w.found.looked = found, true
		}
	})
}
