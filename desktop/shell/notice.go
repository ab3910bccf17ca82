package shell

import (
	"html"
	"slices"

	"github.com/godbus/dbus/v5"
)

const (
	notifyName = "org.freedesktop.Notifications"
	notifyPath = "/org/freedesktop/Notifications"
)

// Actions of a notice.
const (
	actionOpen   = "default"
	actionReply  = "reply"        // a button: the answer is written in the window
	actionInline = "inline-reply" // an entry in the notice, where the server has that
)

// Capabilities of a notification server.
const (
	canMarkup = "body-markup"
	canInline = "inline-reply"
)

// A Notice is a notification. Its texts are literal. A tag names it here and is
// not told to others; a new one of the same tag takes the place of the old.
type Notice struct {
	Tag         string
	Title, Body string
	Open        string // the word for opening it
	Reply       string // the word for answering it; empty: it cannot be answered
	// Pixels are a picture of whom it is about, three bytes each; nil: none.
	Pixels        []byte
	Width, Height int
}

// An imageData is a picture in a notice (Desktop Notifications Specification 1.2,
// "Icons and Images").
type imageData struct {
	Width, Height, Stride int32
	Alpha                 bool
	Bits, Channels        int32
	Pixels                []byte
}

// notices are those that are shown.
type notices struct {
	asked bool // what the server can do
	able  []string
	ids   map[string]uint32 // by tag
	token map[uint32]string // of the next action
}

// forget takes in that the server is another, or gone.
func (n *notices) forget() { *n = notices{} }

func (n *notices) tag(id uint32) (string, bool) {
	for tag, i := range n.ids {
		if i == id {
			return tag, true
		}
	}
	return "", false
}

// Notify shows a notice.
func (s *Shell) Notify(n Notice) { s.do(func() { s.notify(n) }) }

// Withdraw takes away the notice of a tag.
func (s *Shell) Withdraw(tag string) {
	s.do(func() {
		id, ok := s.notices.ids[tag]
		if !ok {
			return
		}
		delete(s.notices.ids, tag)
		_ = s.call(s.bus.Object(notifyName, notifyPath), notifyName+".CloseNotification", []any{id}) // it may be gone already
	})
}

func (s *Shell) notify(n Notice) {
	server := s.bus.Object(notifyName, notifyPath)
	if !s.notices.asked {
		if s.call(server, notifyName+".GetCapabilities", nil, &s.notices.able) != nil {
			return // nobody shows notices here
		}
		s.notices.asked = true
		s.notices.ids, s.notices.token = map[string]uint32{}, map[uint32]string{}
		for _, rule := range [][]dbus.MatchOption{
			{dbus.WithMatchInterface(notifyName)},
			{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, notifyName)},
		} {
			_ = s.bus.AddMatchSignal(rule...) // without it a click does nothing
		}
	}
	body := n.Body
	if slices.Contains(s.notices.able, canMarkup) {
		body = html.EscapeString(body)
	}
	actions := []string{actionOpen, n.Open}
	hints := map[string]dbus.Variant{
		"desktop-entry": dbus.MakeVariant(AppID),
		"category":      dbus.MakeVariant("im.received"),
	}
	if len(n.Pixels) > 0 && len(n.Pixels) == 3*n.Width*n.Height {
		hints["image-data"] = dbus.MakeVariant(imageData{
			int32(n.Width), int32(n.Height), int32(3 * n.Width), false, 8, 3, n.Pixels,
		})
	}
	switch {
	case n.Reply == "":
	case slices.Contains(s.notices.able, canInline):
		actions = append(actions, actionInline, n.Reply)
		hints["x-kde-reply-placeholder-text"] = dbus.MakeVariant(n.Reply)
	default:
		actions = append(actions, actionReply, n.Reply)
	}
	var id uint32
	err := s.call(server, notifyName+".Notify",
		[]any{"SREMP", s.notices.ids[n.Tag], AppID, n.Title, body, actions, hints, int32(-1)}, &id)
	if err == nil {
		s.notices.ids[n.Tag] = id
	}
}

// noticeSignal takes in what a person did with a notice.
func (s *Shell) noticeSignal(m *dbus.Signal) {
	var id uint32
	if len(m.Body) == 0 || dbus.Store(m.Body[:1], &id) != nil {
		return
	}
	tag, ok := s.notices.tag(id)
	if !ok {
		return // another program's
	}
	text := func() (t string) {
		if len(m.Body) > 1 {
			t, _ = m.Body[1].(string)
		}
		return t
	}
	switch m.Name {
	case notifyName + ".ActivationToken":
		s.notices.token[id] = text()
	case notifyName + ".ActionInvoked":
		token := s.notices.token[id]
		delete(s.notices.token, id)
		switch text() {
		case actionOpen:
			s.tell(func(e Events) { e.Opened(tag, token) })
		case actionReply:
			s.tell(func(e Events) { e.Reply(tag, token) })
		}
	case notifyName + ".NotificationReplied":
		t := text()
		s.tell(func(e Events) { e.Replied(tag, t) })
	case notifyName + ".NotificationClosed":
		delete(s.notices.ids, tag)
		delete(s.notices.token, id)
	}
}
