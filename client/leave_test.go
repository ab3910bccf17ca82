package client_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sremp/sremp/client"
)

// J12: who moves to another relay gets what was left at the old one by a contact
// that has not heard of it, and the contact then uses the new one.
func TestMoveToAnotherServer(t *testing.T) {
	t.Parallel()
	old, next := startServerKey(t, 1), startServerKey(t, 2)
	a, aDir := newClient(t, "Alice")
	useServer(t, a, old)
	b, bDir := newClient(t, "Bob")
	useServer(t, b, old)
	aID, bID := me(t, a), me(t, b)
	add(t, b, invite(t, a))
	send(t, b, aID, "hello")
	waitTexts(t, a, bID, "<hello")
	waitTexts(t, b, aID, ">delivered hello")
	b.Close()

	// Bob does not hear of it, and writes to the old one while Alice is away.
	useServer(t, a, next)
	if err := a.RemoveServer(t.Context(), old.addr); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b = open(t, bDir)
	send(t, b, aID, "are you there?")
	waitTexts(t, b, aID, ">delivered hello", ">held are you there?")
	a = open(t, aDir)
	waitTexts(t, a, bID, "<hello", "<are you there?")
	waitTexts(t, b, aID, ">delivered hello", ">delivered are you there?")

	// Bob has heard of it by an answer; the old one may go.
	send(t, a, bID, "yes")
	waitTexts(t, a, bID, "<hello", "<are you there?", ">delivered yes")
	if err := a.RemoveServer(t.Context(), old.addr); err != nil { // for good
		t.Fatal(err)
	}
	servers, err := a.Servers(t.Context())
	if err != nil || slices.ContainsFunc(servers, func(s client.Server) bool { return s.Address == old.addr }) {
		t.Errorf("servers %v, %v; want the old one forgotten", servers, err)
	}
	if err := a.RemoveServer(t.Context(), old.addr); !errors.Is(err, client.ErrUnknownServer) {
		t.Errorf("a third time: got %v, want ErrUnknownServer", err)
	}
	a.Close()
	send(t, b, aID, "and now?")
	waitTexts(t, b, aID, ">delivered hello", ">delivered are you there?", "<yes", ">held and now?")
	a = open(t, aDir)
	waitTexts(t, a, bID, "<hello", "<are you there?", ">delivered yes", "<and now?")
}
