package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/rendezvous"
)

func TestPrintDirectory(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	l, _, err := identity.NewLocal("Adа", now) // the last letter is Cyrillic
	if err != nil {
		t.Fatal(err)
	}
	p := rendezvous.Person{Listing: rendezvous.Listing{Content: rendezvous.Content{Record: l.Record()}, Note: "hi"}, Seen: now, Suspect: true}
	for asJSON, want := range map[bool][]string{
		false: {"! " + l.PeerID().String(), "Adа", "seen 2026-01-01", "hi\n"},
		true:  {`"id":"` + l.PeerID().String() + `"`, `"online":false`, `"seen":"2026-01-01T12:00:00Z"`, `"suspect":true`},
	} {
		var out strings.Builder
		if err := printDirectory(&out, []rendezvous.Person{p}, asJSON); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("got %q, want %q in it", out.String(), w)
			}
		}
	}
}
