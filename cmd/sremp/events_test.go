package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

func testPeer(t *testing.T, seed byte) identity.PeerID {
	t.Helper()
	k, err := identity.NewSecretKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return identity.PeerID(k.Public())
}

// The shapes of docs/cli.md, byte by byte: scripts depend on them.
func TestJSON(t *testing.T) {
	ann, bob := testPeer(t, 1), testPeer(t, 2)
	at := time.Date(2026, 3, 1, 12, 30, 0, 500_000_000, time.FixedZone("", 3600))
	server := identity.ServerAddr{ID: identity.ServerID(bob), Host: "chat.example.org", Port: 4433}
	id := client.MessageID{0xab, 1}
	const idText = "ab010000000000000000000000000000"
	path := client.Path{Contact: bob, Kind: client.PathDirect, Remote: "11.0.2.2:4000", RTT: 1234567, Reason: "punched", Why: "direct", Sent: 200, Lost: 3}
	for _, tt := range []struct {
		event client.Event
		want  string
	}{
		{
			client.MessageEvent{Message: client.Message{ID: id, Contact: bob, From: bob, Text: "hi <b> ✓\n", SentAt: at}},
			`{"event":"message","id":"` + idText + `","contact":"BOB","contact_name":"Bob","from":"BOB","mine":false,` +
				`"text":"hi \u003cb\u003e ✓\n","sent_at":"2026-03-01T11:30:00.5Z"}`,
		},
		{
			client.MessageEvent{Message: client.Message{ID: id, Contact: bob, From: ann, Mine: true, Text: "yes", SentAt: at, State: client.Held}},
			`{"event":"message","id":"` + idText + `","contact":"BOB","contact_name":"Bob","from":"ANN","mine":true,` +
				`"text":"yes","sent_at":"2026-03-01T11:30:00.5Z","state":"held"}`,
		},
		{
			client.PathEvent{Path: path},
			`{"event":"path","contact":"BOB","contact_name":"Bob","path":"direct","remote":"11.0.2.2:4000","rtt_ms":1.23,"sent":200,"lost":3,"reason":"punched","why":"direct"}`,
		},
		{
			client.DeliveryEvent{ID: id, Contact: bob, State: client.Delivered},
			`{"event":"delivery","id":"` + idText + `","contact":"BOB","contact_name":"Bob","state":"delivered"}`,
		},
		{
			client.ContactEvent{Contact: client.Contact{ID: bob, Name: "Bob", Nick: "Bobby", Trust: client.Trusted, Unread: 2, Path: path, FirstSeen: at}},
			`{"event":"contact","contact":"BOB","contact_name":"Bobby","name":"Bob","nick":"Bobby","trust":"trusted","unread":2,` +
				`"path":"direct","first_seen":"2026-03-01T11:30:00.5Z","last_seen":null}`,
		},
		{
			client.ServerEvent{Server: client.Server{Address: server, Problem: "no route"}},
			`{"event":"server","address":"SERVER","connected":false,"problem":"no route"}`,
		},
	} {
		var out strings.Builder
		p := &printer{w: &out, json: true, names: map[identity.PeerID]string{bob: "Bob"}}
		if err := p.event(tt.event); err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("BOB", bob.String(), "ANN", ann.String(), "SERVER", server.String()).Replace(tt.want)
		if got := strings.TrimSuffix(out.String(), "\n"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestPeopleReadNoControlCharacters(t *testing.T) {
	var out strings.Builder
	p := &printer{w: &out, names: map[identity.PeerID]string{}}
	text := "\x1b]0;owned\x07 \u202egnp.exe\nBob: fake line"
	if err := p.message(client.Message{Contact: testPeer(t, 2), Text: text}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07\u202e") || strings.Contains(got, "\nBob") {
		t.Errorf("got %q, want no control characters and no line that looks like another message", got)
	}
}
