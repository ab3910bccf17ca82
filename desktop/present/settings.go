package present

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

// The pages of the settings.
const (
	profilePage = iota
	privacyPage
	notificationsPage
	appearancePage
	storagePage
	keysPage
	networkPage
	aboutPage
)

// OpenSettings shows everything that can be chosen, in one place.
func (w *Window) OpenSettings() { w.openSettings(profilePage) }

func (w *Window) openSettings(page int) {
	if !w.showForm(SettingsDialog, tr.T("Settings"), []string{
		tr.T("Profile"), tr.T("Privacy"), tr.T("Notifications"), tr.T("Appearance"), tr.T("Storage"),
		tr.T("Keys and backup"), tr.T("Network"), tr.T("About"),
	}, w.settingsPage) {
		return
	}
	w.form.tab = page
	w.stored = storage{age: 1}
	w.put("name", w.me.Name)
	w.put("downloads", w.settings.Files.Downloads)
	w.put("listen", w.settings.Network.Listen)
	w.put("backup", w.backupPath())
	w.loadProfile()
	w.measureStorage()
	w.redraw()
}

func (w *Window) settingsPage(page int) []Field {
	switch page {
	case profilePage:
		return w.profileFields()
	case privacyPage:
		return w.privacyFields()
	case notificationsPage:
		return w.notificationFields()
	case appearancePage:
		return w.appearanceFields()
	case storagePage:
		return w.storageFields()
	case keysPage:
		return w.keyFields()
	case networkPage:
		return w.networkFields()
	}
	return w.aboutFields()
}

// changeSettings stores the settings after a change.
func (w *Window) changeSettings(change func(s *client.Settings)) {
	before := w.settings
	change(&w.settings)
	api, s := w.api, w.settings
	w.ask(func(ctx context.Context, _ client.API) func() {
		err := api.SetSettings(ctx, s)
		return func() {
			if err != nil {
				w.settings = before
				w.dialog.Problem = problem(tr.T("The setting could not be stored"), err)
			}
		}
	})
}

func (w *Window) privacyFields() []Field {
	c := w.settings.Contacts
	return []Field{
		heading("new", tr.T("For contacts that you will have")),
		w.setting("read", tr.T("Say what I have read"), tr.T("The contact sees which of its messages you have seen."),
			c.ShareRead, func(s *client.Settings, on bool) { s.Contacts.ShareRead = on }),
		w.setting("typing", tr.T("Say that I write"), tr.T("The contact sees that you are writing."),
			c.ShareTyping, func(s *client.Settings, on bool) { s.Contacts.ShareTyping = on }),
		w.setting("relayonly", tr.T("Hide my address"), tr.T("Connect through a relay only: the contact never learns your network address."),
			c.RelayOnly, func(s *client.Settings, on bool) { s.Contacts.RelayOnly = on }),
		text("each", tr.T("Each conversation's menu (Ctrl+M) has the same for one contact.")),
		heading("strangers", tr.T("Strangers")),
		text("requests", tr.T("A stranger's message is a request: nothing is answered, and nothing is told of you, before you accept.")),
		{Key: "visible", Kind: SwitchField, Label: tr.T("Visible on the local network"),
			Hint: tr.T("Everybody on the same network sees your name, and can send a request."), On: w.visible, act: w.setVisible},
		{Key: "listed", Kind: SwitchField, Label: tr.T("In the public lists"),
			Hint: tr.T("Everybody who uses one of your servers can find you by your name."), On: w.listing.Listed,
			act: func(v Value) { w.setListing(func(l *client.Listing) { l.Listed = v.On }) }},
	}
}

func (w *Window) notificationFields() []Field {
	n := w.settings.Notifications
	levels := []string{client.ShowNone, client.ShowSender, client.ShowFull}
	return []Field{
		{Key: "show", Kind: ChoiceField, Label: tr.T("Notifications show"), Chosen: max(0, slices.Index(levels, n.Show)),
			Hint:    tr.T("Others may see your screen."),
			Choices: []string{tr.T("That there is something"), tr.T("Who writes"), tr.T("Who writes, and the text")},
			act: func(v Value) {
				w.changeSettings(func(s *client.Settings) { s.Notifications.Show = levels[v.Chosen] })
			}},
		w.setting("n-requests", tr.T("Of strangers' requests"), "", n.Requests,
			func(s *client.Settings, on bool) { s.Notifications.Requests = on }),
		w.setting("n-reactions", tr.T("Of reactions"), "", n.Reactions,
			func(s *client.Settings, on bool) { s.Notifications.Reactions = on }),
		w.setting("n-mentions", tr.T("Of your name in muted conversations"), "", n.Mentions,
			func(s *client.Settings, on bool) { s.Notifications.Mentions = on }),
	}
}

// textSizes are offered, in percent.
var textSizes = []int{80, 100, 125, 150, 200}

func (w *Window) appearanceFields() []Field {
	a := w.settings.Appearance
	schemes := []string{client.SchemeSystem, client.SchemeLight, client.SchemeDark}
	sizes := make([]string, len(textSizes))
	for i, n := range textSizes {
		sizes[i] = strconv.Itoa(n) + " %"
	}
	return []Field{
		{Key: "scheme", Kind: ChoiceField, Label: tr.T("Colours"), Chosen: max(0, slices.Index(schemes, a.Scheme)),
			Choices: []string{tr.T("As the system"), tr.T("Light"), tr.T("Dark")},
			act: func(v Value) {
				w.changeSettings(func(s *client.Settings) { s.Appearance.Scheme = schemes[v.Chosen] })
			}},
		{Key: "text", Kind: ChoiceField, Label: tr.T("Text size"), Chosen: nearestSize(int(a.Text)), Choices: sizes,
			act: func(v Value) {
				w.changeSettings(func(s *client.Settings) { s.Appearance.Text = client.Percent(textSizes[v.Chosen]) })
			}},
	}
}

// nearestSize is the place of the size offered that is nearest.
func nearestSize(percent int) (best int) {
	for i, n := range textSizes {
		if abs(n-percent) < abs(textSizes[best]-percent) {
			best = i
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

func (w *Window) networkFields() []Field {
	n := w.settings.Network
	return []Field{
		text("network", network(w.me.Servers)),
		buttons("serverbuttons", press("servers", tr.T("Servers…"), w.OpenServers)),
		w.setting("mapports", tr.T("Ask the router for a port"), tr.T("It makes direct connections easier. From the next start on."),
			n.MapPorts, func(s *client.Settings, on bool) { s.Network.MapPorts = on }),
		w.setting("lan", tr.T("Find contacts on the local network"), tr.T("From the next start on."),
			n.LAN, func(s *client.Settings, on bool) { s.Network.LAN = on }),
		w.entry("listen", tr.T("Listen on"), ":0", w.setListen),
		buttons("listenbuttons", press("setlisten", tr.T("Use this address from the next start on"), w.setListen)),
	}
}

func (w *Window) setListen() {
	w.changeSettings(func(s *client.Settings) { s.Network.Listen = w.typed("listen") })
}

func (w *Window) aboutFields() []Field {
	f := []Field{
		heading("sremp", "SREMP"),
		text("what", tr.T("A messenger that speaks straight from one computer to another.")),
	}
	var facts []Fact
	if w.host != nil {
		facts = w.host.About()
	}
	if w.config.Toolkit != "" {
		facts = append(facts, Fact{tr.Mark("Drawn with"), w.config.Toolkit})
	}
	id := w.me.ID.String()
	facts = append(facts, Fact{tr.Mark("Your id"), id})
	lines := make([]string, len(facts))
	for i, fact := range facts {
		lines[i] = tr.Text(fact.What) + ": " + fact.Text
	}
	about := strings.Join(lines, "\n")
	return append(f, Field{Key: "facts", Kind: TextField, Text: about, Mono: true},
		buttons("copies", Button{Key: "copyid", Label: tr.T("Copy your id"), Copy: id},
			Button{Key: "copyabout", Label: tr.T("Copy all"), Copy: about}))
}

// lockTimes are offered for the lock.
var lockTimes = []time.Duration{0, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

func (w *Window) lockField() Field {
	after := time.Duration(w.settings.Lock.After)
	f := Field{Key: "autolock", Kind: ChoiceField, Label: tr.T("Lock when nobody is there"), Choices: []string{tr.T("Never")}}
	times := lockTimes
	if !slices.Contains(times, after) {
		times = append(slices.Clone(times), after)
	}
	for i, d := range times {
		if d > 0 {
			f.Choices = append(f.Choices, tr.T("After %s", span(d)))
		}
		if d == after {
			f.Chosen = i
		}
	}
	f.act = func(v Value) {
		w.changeSettings(func(s *client.Settings) { s.Lock.After = client.Span(times[v.Chosen]) })
	}
	return f
}
