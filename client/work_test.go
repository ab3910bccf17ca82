package client_test

import (
	"testing"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/relay"
	relaysqlite "github.com/sremp/sremp/relay/sqlite"
)

// An invite whose knock the relay does not take any more still leads to its
// maker: the first message is paid for by work.
func TestKnockByWork(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b, bDir := newClient(t, "Bob")
	useServer(t, b, s)
	bID := me(t, b)
	uri := invite(t, b)
	b.Close()
	s.stop()
	store, err := relaysqlite.Open(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Expire(t.Context(), time.Now().Add(100*24*time.Hour), time.Time{}); err != nil { // knocks live for 90
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()

	a, _ := newClient(t, "Alice")
	useServer(t, a, s)
	aID := me(t, a)
	add(t, a, uri)
	send(t, a, bID, "hello")
	waitTexts(t, a, bID, ">held hello")
	a.Close()
	b = open(t, bDir)
	waitTexts(t, b, aID, "<hello")
}

// What a full mailbox refuses stays in the outbox, is not shown as held, and
// arrives once there is room.
func TestQuotaKeepsMessages(t *testing.T) {
	t.Parallel()
	s, a, b := accounts(t)
	b.c.Close()
	s.relay.SetLimits(relay.Limits{InboxBlobs: 1})
	all := []string{"one", "two", "three"}
	for _, text := range all {
		send(t, a.c, b.id, text)
	}
	eventually(t, "the refusal", func() (bool, string) {
		p, err := a.c.Path(t.Context(), b.id)
		if err != nil {
			t.Fatal(err)
		}
		return p.Why == client.WhyMailbox, p.Reason
	})
	got := texts(t, a.c, b.id)
	if last := got[len(got)-1]; last != ">queued three" {
		t.Errorf("the last message is %q, want it queued", last)
	}
	s.relay.SetLimits(relay.Limits{})
	before := []string{"<hello", ">delivered hello"}
	waitTexts(t, a.c, b.id, append(before, ">held one", ">held two", ">held three")...)
	a.c.Close()
	b.open(nil)
	waitTexts(t, b.c, a.id, ">delivered hello", "<hello", "<one", "<two", "<three")
}
