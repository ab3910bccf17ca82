package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sremp/sremp/relay"
)

func testTokens(f fixture) {
	ctx := f.Context()
	admit := func(name byte, hash [32]byte, now time.Time, want bool) {
		f.Helper()
		known, err := f.Owner(ctx, id(name), now, relay.Admission{TokenHash: hash, Limit: 100})
		if known != want || err != nil {
			f.Errorf("owner %d: %v, %v; want %v", name, known, err, want)
		}
	}
	two := relay.AdmissionToken{Hash: id(50), Note: "for friends", Uses: 2, Created: t0, Expires: t0.Add(time.Hour)}
	late := relay.AdmissionToken{Hash: id(51), Uses: 9, Created: t0.Add(time.Second), Expires: t0.Add(time.Minute)}
	f.ok(f.AddToken(ctx, two))
	f.ok(f.AddToken(ctx, late))
	admit(10, [32]byte{}, t0, false)
	admit(10, id(52), t0, false)
	admit(10, id(50), t0, true)
	admit(10, id(50), t0, true) // registered: uses nothing up
	admit(11, id(50), t0, true)
	admit(12, id(50), t0, false) // used up
	admit(12, id(51), t0.Add(time.Minute), false)
	admit(12, id(51), t0, true)
	two.Uses, late.Uses = 0, 8
	got, err := f.Tokens(ctx)
	if len(got) != 2 || err != nil {
		f.Fatalf("Tokens = %+v, %v", got, err)
	}
	for i, want := range []relay.AdmissionToken{two, late} {
		g := got[i]
		if g.Hash != want.Hash || g.Note != want.Note || g.Uses != want.Uses || !g.Created.Equal(want.Created) || !g.Expires.Equal(want.Expires) {
			f.Errorf("token %d = %+v, want %+v", i, g, want)
		}
	}
	for _, want := range []bool{true, false} {
		if had, err := f.RevokeToken(ctx, id(51)); had != want || err != nil {
			f.Errorf("RevokeToken = %v, %v, want %v", had, err, want)
		}
	}
	admit(13, id(51), t0, false)
	admit(12, [32]byte{}, t0, true) // who is in stays in
}

func testTotals(f fixture) {
	totals := func(want relay.Totals) {
		f.Helper()
		if got, err := f.Totals(f.Context()); got != want || err != nil {
			f.Errorf("Totals = %+v, %v; want %+v", got, err, want)
		}
	}
	totals(relay.Totals{Owners: 2, Inboxes: 1})
	f.inbox(bob, id(4), true, [32]byte{})
	f.put(delivery(inbox, token, []byte("four"), t0))
	f.put(delivery(inbox, token, []byte("seven .."), t0))
	totals(relay.Totals{Owners: 2, Inboxes: 2, Mail: 2, Bytes: 12})
	_, seqs := f.bodies(alice, t0)
	f.ok(f.Ack(f.Context(), alice, seqs[:1]))
	totals(relay.Totals{Owners: 2, Inboxes: 2, Mail: 1, Bytes: 8})
}

func testWork(f fixture) {
	ctx := f.Context()
	f.inbox(alice, id(3), true, [32]byte{})
	byWork := func(box [32]byte, body string, bits uint8) error {
		d := delivery(box, [32]byte{}, []byte(body), t0)
		d.TokenHash, d.Work = [32]byte{}, bits
		_, err := f.Put(ctx, d)
		return err
	}
	f.want(byWork(id(3), "a", 30), relay.ErrNoInbox)
	f.want(f.AllowWork(ctx, bob, id(3), 8), relay.ErrNoInbox)
	f.want(f.AllowWork(ctx, alice, inbox, 8), relay.ErrNoInbox) // a contact's
	f.ok(f.AllowWork(ctx, alice, id(3), 8))
	if bits, err := f.WorkBits(ctx, id(3)); bits != 8 || err != nil {
		f.Errorf("WorkBits = %d, %v", bits, err)
	}
	for _, box := range [][32]byte{inbox, id(77)} {
		if bits, err := f.WorkBits(ctx, box); bits != 0 || err != nil {
			f.Errorf("WorkBits = %d, %v, want 0", bits, err)
		}
		f.want(byWork(box, "a", 30), relay.ErrNoInbox)
		_, err := f.TakeBundle(ctx, box, 30)
		f.want(err, relay.ErrNoInbox)
	}
	f.want(byWork(id(3), "a", 7), relay.ErrNoInbox)
	f.ok(byWork(id(3), "a", 8))
	f.ok(byWork(id(3), "b", 9))
	f.want(byWork(id(3), "c", 9), relay.ErrQuota) // half of the inbox's five
	f.ok(byWork(id(3), "b", 9))                   // there already
	f.ok(f.AllowKnock(ctx, alice, id(3), relay.TokenHash(token), t0, t0.Add(time.Hour), 5))
	f.put(delivery(id(3), token, []byte("invited"), t0)) // finds room
	_, err := f.TakeBundle(ctx, id(3), 8)
	f.want(err, relay.ErrNoPrekeys)
	f.ok(f.PutPrekeys(ctx, alice, id(3), false, []byte("bundle"), []relay.SealedOneTime{{ID: 1, Blob: []byte("x")}}, 10))
	if b, err := f.TakeBundle(ctx, id(3), 8); string(b) != "bundle" || err != nil {
		f.Errorf("TakeBundle = %q, %v", b, err)
	}
	_, err = f.TakeBundle(ctx, id(3), 7)
	f.want(err, relay.ErrNoInbox)
	if n, err := f.PrekeyCount(ctx, alice, id(3)); n != 1 || err != nil {
		f.Errorf("work took a one-time prekey: %d left, %v", n, err)
	}
	f.ok(f.AllowWork(ctx, alice, id(3), 0))
	f.want(byWork(id(3), "d", 32), relay.ErrNoInbox)
	f.wantBodies(alice, t0, "a", "b", "invited")
}

func testBlock(f fixture) {
	ctx := f.Context()
	f.inbox(alice, id(3), false, token)
	f.put(delivery(inbox, token, bytes.Repeat([]byte("a"), 400), t0))
	f.put(delivery(id(3), token, []byte("kept"), t0))
	f.ok(f.Block(ctx, inbox, t0))
	f.wantBodies(alice, t0, "kept")
	_, err := f.Put(ctx, delivery(inbox, token, []byte("x"), t0))
	f.want(err, relay.ErrNoInbox)
	f.want(f.CreateInbox(ctx, alice, relay.InboxParams{ID: inbox, TokenHash: relay.TokenHash(token)}, 10), relay.ErrExists)
	// What the blocked inbox held is the owner's quota again.
	f.inbox(alice, id(4), false, token)
	f.put(delivery(id(4), token, bytes.Repeat([]byte("b"), 500), t0))
	f.put(delivery(id(3), token, bytes.Repeat([]byte("c"), 490), t0))

	f.ok(f.Block(ctx, alice, t0))
	f.ok(f.Block(ctx, alice, t0)) // again
	_, err = f.Owner(ctx, alice, t0, relay.Admission{Open: true, Limit: 10})
	f.want(err, relay.ErrAdmission)
	f.wantBodies(alice, t0)
	if got, err := f.Blocked(ctx); !reflect.DeepEqual(got, [][32]byte{inbox, alice}) || err != nil {
		f.Errorf("Blocked = %x, %v", got, err)
	}
	for _, want := range []bool{true, false} {
		if had, err := f.Unblock(ctx, alice); had != want || err != nil {
			f.Errorf("Unblock = %v, %v; want %v", had, err, want)
		}
	}
	if known, err := f.Owner(ctx, alice, t0, relay.Admission{Open: true, Limit: 10}); !known || err != nil {
		f.Errorf("unblocked: %v, %v", known, err)
	}
	f.wantBodies(alice, t0)
}

// Owners are listed by what they hold, the fullest first.
func testOwnersUse(f fixture) {
	ctx := f.Context()
	carol := id(70)
	for _, o := range [][32]byte{bob, carol} {
		_, err := f.Owner(ctx, o, t0, relay.Admission{Open: true, Limit: 10})
		f.ok(err)
	}
	f.inbox(bob, id(4), false, token)
	f.put(delivery(id(4), token, []byte("a longer one, of bob's"), t0))
	f.put(delivery(inbox, token, []byte("one"), t0))
	f.put(delivery(inbox, token, []byte("two"), t0))
	all, err := f.Owners(ctx, 10)
	f.ok(err)
	day := t0.UTC().Truncate(24 * time.Hour)
	want := []relay.OwnerUse{{Key: bob, Seen: day, Inboxes: 1, Mail: 1, Bytes: 22}, {Key: alice, Seen: day, Inboxes: 1, Mail: 2, Bytes: 6}, {Key: carol, Seen: day}}
	if !reflect.DeepEqual(all, want) {
		f.Errorf("owners %+v, want %+v", all, want)
	}
	if few, err := f.Owners(ctx, 1); err != nil || !reflect.DeepEqual(few, want[:1]) {
		f.Errorf("one owner: %+v, %v; want %+v", few, err, want[:1])
	}
}

// Knows shows all that is stored about a name, and nothing of others.
func testKnows(f fixture) {
	ctx := f.Context()
	f.inbox(alice, id(3), true, [32]byte{})
	f.ok(f.AllowKnock(ctx, alice, id(3), id(60), t0, t0.Add(time.Hour), 5))
	f.ok(f.PutPrekeys(ctx, alice, id(3), false, []byte("the bundle"), []relay.SealedOneTime{{ID: 7, Blob: []byte("one time")}}, 10))
	f.put(delivery(inbox, token, []byte("alice's mail"), t0))
	f.inbox(bob, id(4), false, token)
	f.put(delivery(id(4), token, []byte("bob's mail"), t0))
	knows := func(key [32]byte) string {
		f.Helper()
		var b strings.Builder
		f.ok(f.Knows(ctx, key, func(table string, columns []string, values []any) error {
			fmt.Fprintf(&b, "%s:", table)
			for i, v := range values {
				fmt.Fprintf(&b, " %s=%s", columns[i], text(v))
			}
			b.WriteString("\n")
			return nil
		}))
		return b.String()
	}
	tables := func(s string) (all []string) {
		for line := range strings.Lines(s) {
			all = append(all, line[:strings.Index(line, ":")])
		}
		return all
	}
	got := knows(alice)
	if want := []string{"owners", "inboxes", "inboxes", "knocks", "mail", "one_time"}; !reflect.DeepEqual(tables(got), want) {
		f.Errorf("tables %v, want %v", tables(got), want)
	}
	for _, part := range []string{"alice's mail", "the bundle", "one time", string(bytes.Clone(alice[:]))} {
		if !strings.Contains(got, part) {
			f.Errorf("Knows(alice) leaves out %q:\n%q", part, got)
		}
	}
	if strings.Contains(got, "bob's mail") {
		f.Error("Knows(alice) shows bob's mail")
	}
	got = knows(inbox)
	if want := []string{"owners", "inboxes", "mail"}; !reflect.DeepEqual(tables(got), want) {
		f.Errorf("of an inbox: tables %v, want %v", tables(got), want)
	}
	if got := knows(id(99)); got != "" {
		f.Errorf("of nobody: %q", got)
	}
	f.ok(f.Block(ctx, bob, t0))
	if got := tables(knows(bob)); !reflect.DeepEqual(got, []string{"blocked"}) {
		f.Errorf("of the blocked: %v", got)
	}
}

func text(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}
