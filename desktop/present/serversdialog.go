package present

import (
	"context"
	"strconv"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

func itoa(n int) string { return strconv.Itoa(n) }

// servers is what the dialog about servers knows.
type servers struct {
	announced []client.AnnouncedServer
	known     map[identity.ServerID]bool // what it knows is shown
	own       string                     // address of the server on this computer; empty: it does not run
	ownQR     *QR
	ownAsked  bool
}

// OpenServers shows the servers in use, and one's own.
func (w *Window) OpenServers() {
	if !w.showForm(ServersDialog, tr.T("Servers"), nil, func(int) []Field { return w.serverFields() }) {
		return
	}
	w.servers = servers{known: map[identity.ServerID]bool{}}
	w.put("port", "4433")
	w.dialog.Focus = "address"
	w.fetch(func(ctx context.Context, api client.API) func() {
		announced, err := api.Announced(ctx)
		if err != nil {
			return func() {} // without an answer there is nothing to offer
		}
		return func() { w.servers.announced = announced }
	})
	if host := w.host; host != nil {
		w.fetch(func(context.Context, client.API) func() {
			own := host.Serving()
			return func() { w.ownServer(own) }
		})
	}
	w.redraw()
}

// ownServer takes in where the own server is.
func (w *Window) ownServer(address string) {
	w.servers.own, w.servers.ownQR, w.servers.ownAsked = address, nil, true
	if address != "" {
		w.servers.ownQR, _ = NewQR(address) // without it the text is there
	}
}

func (w *Window) serverFields() []Field {
	use := func() { w.AddServer(w.typed("address")) }
	f := []Field{text("what", tr.T("A server helps two people to meet, and keeps sealed messages for those who are away. It cannot read them."))}
	if len(w.me.Servers) == 0 {
		f = append(f, text("none", tr.T("No server is used yet: only direct connections work.")))
	}
	for i, s := range w.me.Servers {
		f = append(f, w.serverField(i, s))
	}
	address := w.entry("address", tr.T("Another server"), "sremp://KEY@HOST:PORT", use)
	address.Spoken = tr.T("Server address")
	button := press("use", tr.T("Use it"), use).suggested()
	button.Off = w.dialog.Busy
	f = append(f, address, buttons("usebuttons", button,
		Button{Key: "serverfile", Label: tr.T("From a picture…"), Open: tr.T("A picture with a QR code"), act: func(v Value) { w.scanInto("address", v) }},
		Button{Key: "serverclip", Label: tr.T("From the clipboard"), Paste: true, act: func(v Value) { w.scanInto("address", v) }}))
	return append(append(f, w.announcedFields()...), w.ownFields()...)
}

func (w *Window) serverField(i int, s client.Server) Field {
	id, key := s.Address.ID, "server "+s.Address.ID.String()
	r := serverRows([]client.Server{s})[0]
	said := r.Address + "\n" + r.Status
	if s.Tunnel {
		said += "\n" + tr.T("Over TCP, because this network blocks UDP.")
	}
	if !s.Left.IsZero() {
		said = r.Address + "\n" + tr.T("You have left it. What still comes there is fetched until %s.", tr.Date(s.Left.Add(30*day).In(w.config.Zone), tr.Mark("2 January")))
	}
	what := press(key+" knows", tr.T("What it knows"), func() { w.servers.known[id] = !w.servers.known[id] })
	if w.servers.known[id] {
		what.Label = tr.T("Hide what it knows")
		said += "\n\n" + tr.T("It knows: your id and name, your network address and when you are connected; how many sealed messages wait for you, how large they are and since when; whom you look up, by a number that changes. It does not know: what you write, who writes to you, who your contacts are.")
	}
	return Field{Key: "server " + itoa(i), Kind: ItemField, Label: s.Address.HostPort(), Text: said, Buttons: []Button{
		what,
		{Key: key + " copy", Label: tr.T("Copy the address"), Copy: r.Address, act: func(Value) {}},
		press(key+" remove", tr.T("Remove"), func() { w.removeServer(s) }).destructive(),
	}}
}

func (w *Window) announcedFields() (f []Field) {
	for i, a := range w.servers.announced {
		if a.Used {
			continue
		}
		if len(f) == 0 {
			f = append(f, heading("announced", tr.T("What your servers announce")))
		}
		address := a.Address.String()
		f = append(f, Field{Key: "announced " + itoa(i), Kind: ItemField, Label: a.Address.HostPort(), Text: address,
			Buttons: []Button{press("use "+address, tr.T("Use it, too"), func() { w.AddServer(address) })}})
	}
	return f
}

// ownFields are about a server on this computer.
func (w *Window) ownFields() []Field {
	if w.host == nil || !w.servers.ownAsked {
		return nil
	}
	own := w.servers.own
	f := []Field{
		heading("own", tr.T("Your own server")),
		{Key: "serve", Kind: SwitchField, Label: tr.T("Run a server on this computer"), On: own != "", Off: w.dialog.Busy,
			Hint: tr.T("While SREMP runs. Your contacts leave their mail here then, and nobody else's computer is needed. Others must be able to reach this port."),
			act:  func(v Value) { w.serve(v.On) }},
	}
	if own == "" {
		return append(f, w.entry("port", tr.T("UDP port"), "", nil),
			w.entry("public", tr.T("Where others reach it, if that is not this computer's own address"), "chat.example.org:4433", nil))
	}
	f = append(f, Field{Key: "ownaddress", Kind: TextField, Text: own, Mono: true, Spoken: tr.T("The server's address: %s", own)})
	if w.servers.ownQR != nil {
		f = append(f, Field{Key: "ownqr", Kind: PictureField, QR: w.servers.ownQR})
	}
	return append(f, buttons("ownbuttons", Button{Key: "copyown", Label: tr.T("Copy the address"), Copy: own, act: func(Value) {}}))
}

// serve starts or ends the server on this computer; the profile uses it first.
func (w *Window) serve(on bool) {
	host, port, public := w.host, strings.TrimSpace(w.typed("port")), strings.TrimSpace(w.typed("public"))
	if n, err := strconv.ParseUint(port, 10, 16); on && (err != nil || n == 0) {
		w.dialog.Problem = tr.T("A port is a number from 1 to 65535.")
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		if !on {
			err := host.StopServing()
			return func() {
				w.ownServer("")
				if err != nil {
					w.dialog.Problem = problem(tr.T("The server could not be ended"), err)
				}
			}
		}
		address, err := host.Serve(ctx, ":"+port, public)
		if err != nil {
			return w.unanswered(tr.T("The server could not be started"), err)
		}
		a, err := identity.ParseServerAddr(address)
		if err == nil {
			err = api.AddServer(ctx, a)
		}
		all, listErr := api.Servers(ctx)
		return func() {
			w.ownServer(address)
			if listErr == nil {
				w.me.Servers = all
			}
			if err != nil {
				w.dialog.Problem = problem(tr.T("The server could not be added"), err)
			}
		}
	})
}

// AddServer makes the profile use a server.
func (w *Window) AddServer(address string) {
	if w.dialog.Kind != ServersDialog || w.dialog.Busy {
		return
	}
	a, err := identity.ParseServerAddr(strings.TrimSpace(address))
	if err != nil {
		w.dialog.Problem = tr.T("This is not a server's address. It looks like sremp://KEY@HOST:PORT; its operator gives it to you.")
		w.redraw()
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.AddServer(ctx, a); err != nil {
			return w.unanswered(tr.T("The server could not be added"), err)
		}
		all, err := api.Servers(ctx)
		if err != nil {
			return w.unanswered(tr.T("The servers could not be listed"), err)
		}
		return func() {
			w.me.Servers = all
			w.put("address", "")
		}
	})
	w.redraw()
}

// removeServer leaves a server. It is asked for twice.
func (w *Window) removeServer(s client.Server) {
	if w.form.doomed != s.Address.ID {
		w.form.doomed = s.Address.ID
		w.dialog.Problem = tr.T("Press Remove again to leave %s. Your contacts are told; what still comes there is fetched for 30 days.", s.Address.HostPort())
		if !s.Left.IsZero() {
			w.dialog.Problem = tr.T("Press Remove again to forget %s now. What waits for you there is lost.", s.Address.HostPort())
		}
		return
	}
	w.form.doomed = identity.ServerID{}
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.RemoveServer(ctx, s.Address); err != nil {
			return w.unanswered(tr.T("The server could not be removed"), err)
		}
		all, err := api.Servers(ctx)
		return func() {
			if err == nil {
				w.me.Servers = all
			}
		}
	})
}
