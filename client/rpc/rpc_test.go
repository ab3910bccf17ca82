package rpc

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// fake answers with what is set and remembers what it was asked.
type fake struct {
	client.API // nil: what is not set here must not be called
	err        error
	asked      []any
	events     chan client.Event
	blocked    chan struct{} // closed when a call waits for its context
}

func (f *fake) ask(args ...any) error { f.asked = append(f.asked, args...); return f.err }

func (f *fake) WhoAmI(ctx context.Context) (client.Me, error) { return me, f.ask("whoami") }
func (f *fake) Invite(_ context.Context, o client.InviteOptions) (client.Invite, error) {
	return client.Invite{URI: "sremp:x", Expires: at}, f.ask("invite", o)
}
func (f *fake) Add(_ context.Context, uri, nick string) (client.Contact, error) {
	return contact, f.ask("add", uri, nick)
}
func (f *fake) Contacts(context.Context) ([]client.Contact, error) {
	return []client.Contact{contact}, f.ask("contacts")
}
func (f *fake) Send(_ context.Context, to identity.PeerID, text string) (client.Message, error) {
	return text1, f.ask("send", to, text)
}
func (f *fake) History(_ context.Context, with identity.PeerID, q client.HistoryQuery) ([]client.Message, error) {
	return []client.Message{text1}, f.ask("history", with, q)
}
func (f *fake) Path(ctx context.Context, to identity.PeerID) (client.Path, error) {
	if f.blocked != nil {
		close(f.blocked)
		<-ctx.Done()
		return client.Path{}, ctx.Err()
	}
	return contact.Path, f.ask("path", to)
}
func (f *fake) RemoveServer(_ context.Context, a identity.ServerAddr) error {
	return f.ask("remove_server", a)
}
func (f *fake) AddServer(_ context.Context, a identity.ServerAddr) error {
	return f.ask("add_server", a)
}
func (f *fake) Servers(context.Context) ([]client.Server, error) {
	return me.Servers, f.ask("servers")
}
func (f *fake) Subscribe(ctx context.Context) (<-chan client.Event, error) {
	if f.err != nil {
		return nil, f.err
	}
	out := make(chan client.Event)
	go func() {
		defer close(out)
		for {
			select {
			case e, open := <-f.events:
				if !open {
					return
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func peer(seed byte) identity.PeerID {
	k, err := identity.NewSecretKey([]byte(strings.Repeat(string(rune(seed)), 32)))
	if err != nil {
		panic(err)
	}
	return identity.PeerID(k.Public())
}

var (
	at     = time.Date(2026, 3, 1, 12, 30, 0, 123456789, time.UTC)
	bob    = peer('b')
	server = identity.ServerAddr{ID: identity.ServerID(peer('s')), Host: "2001:db8::1", Port: 4433}
	me     = client.Me{ID: peer('a'), Name: "Ann", Created: at, Servers: []client.Server{
		{Address: server, Connected: true}, {Address: server, Problem: "no route"},
	}}
	contact = client.Contact{
		ID: bob, Name: "Bob", Nick: "bobby", Trust: client.Trusted, FirstSeen: at, LastSeen: at, Unread: 3,
		Path: client.Path{
			Contact: bob, Kind: client.PathDirect, Remote: "11.0.0.1:5", RTT: 1234567 * time.Nanosecond,
			Reason: "punched", Since: at,
		},
		LastText: "hi \x7f \"quoted\" <b>", LastAt: at,
	}
	text1 = client.Message{
		ID: client.MessageID{1, 2, 3}, Contact: bob, From: me.ID, Mine: true, Text: "line\nline ✓",
		SentAt: at, ReceivedAt: at, State: client.Held, Seq: 7,
	}
)

// connect returns the two ends of a connection, closed with the test.
func connect(t *testing.T, api client.API) *Client {
	t.Helper()
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { ServeConn(ctx, far, api); close(ended) }()
	c := NewClient(near)
	t.Cleanup(func() {
		c.Close()
		<-ended
		cancel()
	})
	return c
}

func TestEveryMethodRoundTrips(t *testing.T) {
	f := &fake{}
	c := connect(t, f)
	ctx := t.Context()
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	gotMe, err := c.WhoAmI(ctx)
	check("WhoAmI", gotMe, me, err)
	gotInvite, err := c.Invite(ctx, client.InviteOptions{TTL: time.Hour})
	check("Invite", gotInvite, client.Invite{URI: "sremp:x", Expires: at}, err)
	gotContact, err := c.Add(ctx, "sremp:y", "nick")
	check("Add", gotContact, contact, err)
	gotContacts, err := c.Contacts(ctx)
	check("Contacts", gotContacts, []client.Contact{contact}, err)
	gotMessage, err := c.Send(ctx, bob, "text")
	check("Send", gotMessage, text1, err)
	gotHistory, err := c.History(ctx, bob, client.HistoryQuery{Before: 5, Limit: 6})
	check("History", gotHistory, []client.Message{text1}, err)
	gotPath, err := c.Path(ctx, bob)
	check("Path", gotPath, contact.Path, err)
	check("AddServer", nil, nil, c.AddServer(ctx, server))
	check("RemoveServer", nil, nil, c.RemoveServer(ctx, server))
	gotServers, err := c.Servers(ctx)
	check("Servers", gotServers, me.Servers, err)

	want := []any{
		"whoami", "invite", client.InviteOptions{TTL: time.Hour}, "add", "sremp:y", "nick", "contacts",
		"send", bob, "text", "history", bob, client.HistoryQuery{Before: 5, Limit: 6}, "path", bob,
		"add_server", server, "remove_server", server, "servers",
	}
	if !reflect.DeepEqual(f.asked, want) {
		t.Errorf("the API was asked %v, want %v", f.asked, want)
	}
}

// Every sentinel that package client shows to people must survive the socket.
func TestEverySentinelSurvives(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	sentinels := 0
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Err") {
			sentinels++
		}
		return true
	})
	known := 0
	for code, sentinel := range codes {
		if sentinel == nil {
			continue
		}
		if strings.HasPrefix(fmt.Sprint(sentinel), "identity: ") || sentinel == identity.ErrBadKit || errors.Is(sentinel, context.Canceled) ||
			errors.Is(sentinel, context.DeadlineExceeded) {
			// not package client's
		} else {
			known++
		}
		c := connect(t, &fake{err: fmt.Errorf("%w (more)", sentinel)})
		err := c.AddServer(t.Context(), server)
		if !errors.Is(err, sentinel) || err.Error() != sentinel.Error()+" (more)" {
			t.Errorf("code %d: got %v, want %v (more)", code, err, sentinel)
		}
	}
	if known != sentinels {
		t.Errorf("%d of the %d sentinels of client/errors.go have a code", known, sentinels)
	}

	c := connect(t, &fake{err: errors.New("something else")})
	if err := c.AddServer(t.Context(), server); err == nil || err.Error() != "something else" {
		t.Errorf("got %v, want the text of an error without sentinel", err)
	}
}

func TestEvents(t *testing.T) {
	f := &fake{events: make(chan client.Event, 8)}
	c := connect(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := c.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []client.Event{
		client.MessageEvent{Message: text1},
		client.DeliveryEvent{ID: text1.ID, Contact: bob, State: client.Read},
		client.PathEvent{Path: contact.Path},
		client.ContactEvent{Contact: contact},
		client.ServerEvent{Server: me.Servers[1]},
	}
	for _, e := range want {
		f.events <- e
	}
	close(f.events)
	var got []client.Event
	for e := range events {
		got = append(got, e)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSubscriptionEndsWithItsContext(t *testing.T) {
	c := connect(t, &fake{events: make(chan client.Event)})
	ctx, cancel := context.WithCancel(t.Context())
	events, err := c.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, open := <-events; open {
		t.Error("got an event, want a closed channel")
	}
}

// A subscriber that does not read loses its subscription, not the connection.
func TestSlowSubscriber(t *testing.T) {
	f := &fake{events: make(chan client.Event)}
	c := connect(t, f)
	events, err := c.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * maxQueue {
		f.events <- client.DeliveryEvent{ID: text1.ID, Contact: bob}
	}
	if _, err := c.WhoAmI(t.Context()); err != nil {
		t.Errorf("another call: got %v, want no error", err)
	}
	n := 0
	for range events {
		n++
	}
	if n < maxQueue || n >= 2*maxQueue {
		t.Errorf("got %d events before the end, want %d or a few more", n, maxQueue)
	}
}

func TestCancelReachesTheOtherEnd(t *testing.T) {
	f := &fake{blocked: make(chan struct{})}
	c := connect(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-f.blocked; cancel() }()
	if _, err := c.Path(ctx, bob); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	// connect's cleanup waits for the call at the other end to return.
}

func TestCloseEndsCallsAndSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{blocked: make(chan struct{}), events: make(chan client.Event)}
		c := connect(t, f)
		events, err := c.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		result := make(chan error)
		go func() { _, err := c.Path(t.Context(), bob); result <- err }()
		<-f.blocked
		c.Close()
		if err := <-result; !errors.Is(err, client.ErrClosed) {
			t.Errorf("open call: got %v, want %v", err, client.ErrClosed)
		}
		if _, open := <-events; open {
			t.Error("got an event, want a closed channel")
		}
		if _, err := c.WhoAmI(t.Context()); !errors.Is(err, client.ErrClosed) {
			t.Errorf("later call: got %v, want %v", err, client.ErrClosed)
		}
	})
}
