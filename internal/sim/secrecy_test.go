package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/wire"
)

func sha(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// views are what adversaries get to see: everybody on the network, the operators
// of relays and rendezvous, and who copies a disk. What they see is searched at
// once for what they must not have.
type views struct {
	w  *world
	mu sync.Mutex

	secrets map[uint64][]secret // by the first 8 bytes
	first   [1 << 16]bool       // first two bytes of any
	found   []string

	searched map[string]int64 // bytes, by view

	// What relays see of persons.
	joining *person               // whose owner keys are new now
	owners  map[[32]byte]*person  // the truth about owner keys; no relay knows it
	inboxes map[[32]byte][32]byte // inbox to owner, as relays know it
	seenAt  map[[32]byte]*server  // where an owner key or an inbox was used
	active  map[*server][]visit   // of owners, the last ones
	arrived map[*server]netip.Addr
	cheat   map[[32]byte]bool // inboxes that are for the cheat: whose mail says nothing of persons
	puts    []put
	guesses map[string]*guess
}

type secret struct {
	what  string
	bytes []byte
}

type visit struct {
	owner [32]byte
	at    time.Time
}

// A put is a delivery as a relay sees it.
type put struct {
	at       time.Time
	s        *server
	to       *person
	byVisit  *person    // who the relay would say it was, from when its owners came
	byPacket netip.Addr // where the last packet before it came from
	used     bool
}

// A guess counts how often an observer was right.
type guess struct {
	right, total int
	chance       float64 // what guessing without looking would have got
}

func newViews(w *world) *views {
	return &views{
		w: w, secrets: map[uint64][]secret{}, searched: map[string]int64{}, owners: map[[32]byte]*person{}, inboxes: map[[32]byte][32]byte{},
		seenAt: map[[32]byte]*server{}, active: map[*server][]visit{}, cheat: map[[32]byte]bool{}, arrived: map[*server]netip.Addr{}, guesses: map[string]*guess{"relay": {}, "network": {}},
	}
}

// hide makes b something that no adversary may see.
func (v *views) hide(what string, b []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := binary.BigEndian.Uint64(b)
	v.secrets[k] = append(v.secrets[k], secret{what, bytes.Clone(b)})
	v.first[binary.BigEndian.Uint16(b)] = true
}

// person hides what is known of a person.
func (v *views) person(p *person) {
	v.hide("the id of "+p.name, p.id[:])
	v.hide("the id of "+p.name+" as text", []byte(p.id.String()))
	v.hide("the name "+p.name, []byte(p.name))
	v.hide("the recovery kit of "+p.name, p.kit[:])
	v.hide("a passphrase", []byte(passphrase))
}

// search looks for secrets in what a view got.
func (v *views) search(view string, b []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.searchLocked(view, b)
}

func (v *views) searchLocked(view string, b []byte) {
	v.searched[view] += int64(len(b))
	for i := 0; i+8 <= len(b); i++ {
		if !v.first[uint16(b[i])<<8|uint16(b[i+1])] {
			continue
		}
		for _, s := range v.secrets[binary.BigEndian.Uint64(b[i:])] {
			if bytes.HasPrefix(b[i:], s.bytes) && len(v.found) < 20 {
				v.found = append(v.found, fmt.Sprintf("%v: %s sees %s", v.w.now(), view, s.what))
			}
		}
	}
}

// packet is what a wire carries.
func (v *views) packet(_ time.Time, from, to netip.AddrPort, b []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.searchLocked("the network", b)
	for _, s := range v.w.servers {
		if to.Addr() == s.host.addr {
			v.arrived[s] = from.Addr()
		}
	}
}

// stolen is the disk that somebody copied, or found.
func (v *views) stolen(p *person) { v.search("who has the disk of "+p.name, p.disk.image()) }

// linked notes an identifier at a relay: two relays that compare notes must have
// none in common.
func (v *views) linkedLocked(s *server, what string, id [32]byte) {
	switch at := v.seenAt[id]; {
	case at == nil:
		v.seenAt[id] = s
	case at != s && len(v.found) < 20:
		v.found = append(v.found, fmt.Sprintf("%v: %s and %s see the same %s", v.w.now(), at.name, s.name, what))
	}
}

// owner notes that a relay served an owner.
func (v *views) owner(s *server, owner [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.linkedLocked(s, "owner", owner)
	if v.owners[owner] == nil {
		v.owners[owner] = v.joining
	}
	a := v.active[s]
	if i := slices.IndexFunc(a, func(x visit) bool { return x.owner == owner }); i >= 0 {
		a = slices.Delete(a, i, i+1)
	}
	v.active[s] = append(a, visit{owner, time.Now()})
}

// put notes a delivery, and what an observer would say about its sender.
func (v *views) put(s *server, inbox [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cheat[inbox] {
		return
	}
	owner := v.inboxes[inbox]
	p := put{at: time.Now(), s: s, to: v.owners[owner], byPacket: v.arrived[s]}
	for _, x := range slices.Backward(v.active[s]) {
		if x.owner != owner {
			p.byVisit = v.owners[x.owner]
			break
		}
	}
	if v.puts = append(v.puts, p); len(v.puts) > 1024 {
		v.puts = slices.Clone(v.puts[512:])
	}
}

// strange notes the inboxes that a person has for the cheat.
func (v *views) strange(card wire.Card) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range card.Mailboxes {
		v.cheat[m.Inbox] = true
	}
}

// ticked compares what the observers said with the truth: a message that a relay
// holds now was the last delivery to its reader.
func (v *views) ticked(p *person, e client.DeliveryEvent) {
	if e.State != client.Held {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range slices.Backward(v.puts) {
		x := &v.puts[i]
		if x.to == nil || x.to.id != e.Contact || x.used {
			continue
		}
		x.used = true
		others := 0
		for _, q := range v.w.people {
			if q != p && q.id != e.Contact {
				others++
			}
		}
		for name, right := range map[string]bool{"relay": x.byVisit == p, "network": x.byPacket == p.host.at.outer(p.host)} {
			g := v.guesses[name]
			g.total++
			g.chance += 1 / float64(others+1)
			if right {
				g.right++
			}
		}
		return
	}
}

// advantage is how much more often an observer names the sender than chance.
func (g *guess) advantage() float64 {
	if g.total == 0 {
		return 0
	}
	return (float64(g.right) - g.chance) / float64(g.total)
}

// A watchedRelay shows what a relay's operator sees.
type watchedRelay struct {
	relay.Store
	v *views
	s *server
}

func (r *watchedRelay) see(bs ...[]byte) {
	for _, b := range bs {
		r.v.search("the operator of "+r.s.name, b)
	}
}

func (r *watchedRelay) Owner(ctx context.Context, owner [32]byte, now time.Time, a relay.Admission) (bool, error) {
	r.see(owner[:])
	r.v.owner(r.s, owner)
	return r.Store.Owner(ctx, owner, now, a)
}

func (r *watchedRelay) CreateInbox(ctx context.Context, owner [32]byte, p relay.InboxParams, limit int) error {
	r.see(p.ID[:], p.TokenHash[:])
	r.v.mu.Lock()
	r.v.inboxes[p.ID] = owner
	if !p.Knock { // a knock inbox is the same at all relays of its owner: invites name one (spec §2.8)
		r.v.linkedLocked(r.s, "inbox", p.ID)
	}
	r.v.mu.Unlock()
	return r.Store.CreateInbox(ctx, owner, p, limit)
}

func (r *watchedRelay) PutPrekeys(ctx context.Context, owner, inbox [32]byte, replace bool, bundle []byte, oneTime []relay.SealedOneTime, limit int) error {
	r.see(bundle)
	for _, o := range oneTime {
		r.see(o.Blob)
	}
	return r.Store.PutPrekeys(ctx, owner, inbox, replace, bundle, oneTime, limit)
}

func (r *watchedRelay) Put(ctx context.Context, d relay.Delivery) (relay.Stored, error) {
	r.see(d.Blob, d.Inbox[:], d.TokenHash[:])
	r.v.put(r.s, d.Inbox)
	stored, err := r.Store.Put(ctx, d)
	if err == nil && stored.Fresh {
		r.holds(ctx, stored.Owner, d)
	}
	return stored, err
}

// holds checks that a relay has what it is about to sign for.
func (r *watchedRelay) holds(ctx context.Context, owner [32]byte, d relay.Delivery) {
	all, err := r.Store.Fetch(ctx, owner, 0, d.Now, 1<<20, 1<<30)
	if err == nil && !slices.ContainsFunc(all, func(m relay.Mail) bool { return m.Hash == d.Hash }) {
		r.v.mu.Lock()
		defer r.v.mu.Unlock()
		r.v.found = append(r.v.found, fmt.Sprintf("%v: %s signs for mail that it does not hold", r.v.w.now(), r.s.name))
	}
}

func (r *watchedRelay) Fetch(ctx context.Context, owner [32]byte, after uint64, now time.Time, limit, maxBytes int) ([]relay.Mail, error) {
	r.v.owner(r.s, owner)
	return r.Store.Fetch(ctx, owner, after, now, limit, maxBytes)
}

func (r *watchedRelay) Ack(ctx context.Context, owner [32]byte, seqs []uint64) error {
	r.v.owner(r.s, owner)
	return r.Store.Ack(ctx, owner, seqs)
}

// A watchedRendezvous shows what a rendezvous' operator sees.
type watchedRendezvous struct {
	rendezvous.Store
	v *views
}

func (r *watchedRendezvous) Put(ctx context.Context, x rendezvous.StoredRecord, limit int) error {
	r.v.search("the operator of a rendezvous", x.Blinded[:])
	r.v.search("the operator of a rendezvous", x.Sealed)
	return r.Store.Put(ctx, x, limit)
}
