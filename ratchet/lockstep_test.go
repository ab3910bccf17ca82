package ratchet

import (
	"bytes"
	"crypto/mlkem"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sremp/sremp/wire"
)

// A lockstep drives the ratchet and the model with the same randomness: all
// messages must have the same bytes, and both must read and refuse the same.
type lockstep struct {
	t      testing.TB
	dice   func(n int) int
	real   [2]*side
	model  [2]*model
	copies [2][]twin // states of the past
	flight []parcel
	read   []parcel
	sent   int
}

// A twin is a state of both.
type twin struct {
	peer  []byte
	model *model
}

func newLockstep(t testing.TB, dice func(int) int) *lockstep {
	oneTime := dice(2)
	low, high := newSides(t, oneTime)
	l := &lockstep{t: t, dice: dice, real: [2]*side{low, high}}
	psk := [32]byte{byte(dice(2))}
	from, to := dice(2), 0
	to = 1 - from
	i, r := l.real[from], l.real[to]
	pairs := slices.Clone(r.store.s.oneTime)
	if len(pairs) > 0 {
		o := *pairs[0] // accepting erases it
		pairs[0] = &o
	}
	i.initiate(r, psk)
	ratchetKey := i.peer.s.sessions[0].dh.private
	transcript, secret := modelAgreement(t, i, r, pairs, i.peer.s.sessions[0].pending, psk)
	l.model[from], l.model[to] = newModels(transcript, secret, ratchetKey[:], r.store.s.generations[0].signed[:], from == 0)
	for k, s := range l.real {
		seed := fmt.Sprint("lockstep", k)
		s.rnd, l.model[k].rnd = seeded(t, seed), seeded(t, seed)
	}
	// The first message needs Accept.
	msg := i.encrypt("first")
	want := l.model[from].encrypt([]byte("first"))
	if !bytes.HasSuffix(msg, want) {
		t.Fatalf("the first message ends in %x, the model says %x", msg[len(msg)-len(want):], want)
	}
	if got := r.accept(msg, psk); got != "first" {
		t.Fatalf("accepted %q", got)
	}
	next, _, err := l.model[to].decrypt(want, unix(start))
	if err != nil {
		t.Fatalf("the model refuses the first message: %v", err)
	}
	l.model[to] = next
	l.send(to, false)
	l.deliver(0, false)
	return l
}

// modelAgreement computes §4.2.2 and §4.2.3 from the responder's keys.
func modelAgreement(t testing.TB, i, r *side, pairs []*oneTime, agreement []byte, psk [32]byte) (transcript, secret []byte) {
	x, err := wire.ParseAgreement(agreement)
	if err != nil {
		t.Fatal(err)
	}
	g := r.store.s.generations[0]
	identityKey := r.local.AgreementKey()
	initiatorKey := i.local.Record().Agreement
	seed := g.lastResort[:]
	secret = bytes.Repeat([]byte{0xff}, 32)
	secret = append(secret, modelDH(g.signed[:], initiatorKey[:])...)
	secret = append(secret, modelDH(identityKey.Seed(), x.Ephemeral[:])...)
	secret = append(secret, modelDH(g.signed[:], x.Ephemeral[:])...)
	oneHash := make([]byte, 32)
	if x.OneTime != 0 {
		o := pairs[0]
		public := r.store.s.public(o)
		oneHash = modelHash([]byte("SREMP v1 one-time prekey hash"), public.Append(nil))
		secret = append(secret, modelDH(o.x25519[:], x.Ephemeral[:])...)
		seed = o.mlkem[:]
	}
	dk, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		t.Fatal(err)
	}
	ss, err := dk.Decapsulate(x.Ciphertext[:])
	if err != nil {
		t.Fatal(err)
	}
	secret = append(append(secret, ss...), psk[:]...)
	record := i.local.Record().Hash()
	transcript = modelHash([]byte("SREMP v1 agreement transcript"), partyBytes(i), partyBytes(r), record[:],
		modelHash([]byte("SREMP v1 prekey bundle hash"), r.store.Bundle()), oneHash,
		modelHash([]byte("SREMP v1 agreement hash"), agreement))
	return transcript, secret
}

func (l *lockstep) session(i int) *session { return l.real[i].peer.s.sessions[0] }

// send makes one message with both; hurried makes an exchange due.
func (l *lockstep) send(i int, hurried bool) {
	if hurried {
		l.real[i].hurry()
		l.model[i].steps = max(l.model[i].steps, PQSteps)
	}
	l.sent++
	text := fmt.Sprintf("%d from %d", l.sent, i)
	if l.dice(4) > 0 {
		text = padded(text)
	}
	msg := l.real[i].encrypt(text)
	want := l.model[i].encrypt([]byte(text))
	if l.real[i].peer.Overhead() != wire.RatchetOverhead { // an initial message
		msg = msg[len(msg)-len(want):]
	}
	if !bytes.Equal(msg, want) {
		l.t.Fatalf("message %q is\n%x, the model says\n%x", text, msg, want)
	}
	l.flight = append(l.flight, parcel{1 - i, text, msg})
	l.check(i)
}

// offer gives both a message and compares what they do.
func (l *lockstep) offer(i int, msg []byte) (text string, ok bool) {
	before := l.real[i].state()
	text, err := l.real[i].decrypt(msg)
	next, plain, modelErr := l.model[i].decrypt(msg, unix(start))
	if (err == nil) != (modelErr == nil) || text != string(plain) {
		l.t.Fatalf("read %.20q, %v; the model %.20q, %v", text, err, plain, modelErr)
	}
	if err != nil {
		if !bytes.Equal(before, l.real[i].state()) {
			l.t.Fatal("a refused message changed the state")
		}
		return "", false
	}
	l.model[i] = next
	l.check(i)
	return text, true
}

// deliver takes the k-th message in flight; may says that it may be refused.
func (l *lockstep) deliver(k int, may bool) {
	p := l.flight[k]
	l.flight = slices.Delete(l.flight, k, k+1)
	text, ok := l.offer(p.to, p.msg)
	if !ok && may {
		return
	}
	if !ok || text != p.text {
		l.t.Fatalf("message %.20q arrived as %.20q, %v", p.text, text, ok)
	}
	l.read = append(l.read, p)
}

// check compares the states as far as they have the same form.
func (l *lockstep) check(i int) {
	s, m := l.session(i), l.model[i]
	phase := []string{"", "offered", "agreed", "answered"}[s.pq.phase]
	if s.stored() != m.keys() || !bytes.Equal(s.root[:], m.root) || s.pq.epoch != m.epoch || phase != m.phase {
		l.t.Fatalf("%d keys, epoch %d, %q, root %x; the model has %d, %d, %q, %x",
			s.stored(), s.pq.epoch, phase, s.root[:4], m.keys(), m.epoch, m.phase, m.root[:4])
	}
}

func (l *lockstep) twin(i int) twin {
	b, err := l.real[i].peer.MarshalBinary()
	if err != nil {
		l.t.Fatal(err)
	}
	return twin{b, l.model[i].copy()}
}

func (l *lockstep) set(i int, w twin) {
	p, err := ParsePeer(w.peer)
	if err != nil {
		l.t.Fatal(err)
	}
	l.real[i].peer, l.model[i] = p, w.model.copy()
}

// step does something; rolled reports whether a device went back to an old copy,
// after which messages may be refused.
func (l *lockstep) step(rolled *bool, restore bool) {
	pick := func(from []parcel) parcel { return from[l.dice(len(from))] }
	i := l.dice(2)
	switch n := l.dice(24); {
	case n < 9:
		l.send(i, l.dice(2) == 0)
	case n < 16:
		if len(l.flight) > 0 {
			l.deliver(l.dice(len(l.flight)), *rolled)
		}
	case n == 16: // lose
		if len(l.flight) > 0 {
			k := l.dice(len(l.flight))
			l.flight = slices.Delete(l.flight, k, k+1)
		}
	case n == 17: // crash after storing
		l.set(i, l.twin(i))
	case n == 18:
		l.copies[i] = append(l.copies[i], l.twin(i))
	case n == 19: // an old copy comes back
		if restore && len(l.copies[i]) > 0 {
			l.set(i, l.copies[i][l.dice(len(l.copies[i]))])
			*rolled = true
		}
	case n == 20: // replay
		if len(l.read) > 0 {
			p := pick(l.read)
			if text, ok := l.offer(p.to, p.msg); ok && (!*rolled || text != p.text) {
				l.t.Fatalf("%.20q was read again, as %.20q", p.text, text)
			}
		}
	default: // forge: reflect, change, cut
		if len(l.flight) == 0 {
			return
		}
		p := pick(l.flight)
		to, msg := p.to, bytes.Clone(p.msg)
		switch l.dice(3) {
		case 0:
			to = 1 - to
		case 1:
			msg[l.dice(len(msg))] ^= 1 << l.dice(8)
		case 2:
			msg = msg[:l.dice(len(msg))]
		}
		if text, ok := l.offer(to, msg); ok {
			l.t.Fatalf("a forgery was read as %.20q", text)
		}
	}
}

func seededDice(seed uint64) func(int) int {
	r := rand.New(rand.NewPCG(seed, 7))
	return r.IntN
}

// TestModel runs random schedules of sending, loss, reordering, duplicates,
// forgery, crashes and post-quantum steps, with the model beside.
func TestModel(t *testing.T) {
	seeds := 2000
	if testing.Short() {
		seeds = 150
	}
	var epochs, waiting int
	for seed := range seeds {
		l := newLockstep(t, seededDice(uint64(seed)))
		rolled := false
		for range 60 {
			l.step(&rolled, false)
		}
		// What is in flight and was not lost is all read, however late.
		for len(l.flight) > 0 {
			l.deliver(l.dice(len(l.flight)), false)
		}
		for i := range 6 {
			l.send(i%2, false)
			l.deliver(0, false)
		}
		for i := range 2 {
			epochs += int(l.session(i).pq.epoch)
			waiting += l.session(i).stored()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if epochs < seeds || waiting == 0 {
		t.Errorf("%d epochs and %d lost messages in %d schedules: they prove little", epochs, waiting, seeds)
	}
}

// TestModelRestored is the same where devices go back to old copies: whatever
// is refused or read then, the model refuses and reads it as well.
func TestModelRestored(t *testing.T) {
	seeds := 1000
	if testing.Short() {
		seeds = 100
	}
	refused := 0
	for seed := range seeds {
		l := newLockstep(t, seededDice(uint64(seed)+1<<32))
		rolled := false
		for range 60 {
			l.step(&rolled, true)
		}
		if rolled {
			refused++
		}
	}
	if refused < seeds/10 {
		t.Errorf("in %d of %d schedules a copy came back: they prove little", refused, seeds)
	}
}

// FuzzSchedule lets the fuzzer choose the schedule.
func FuzzSchedule(f *testing.F) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 9))
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dice := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			v := int(b[0])
			if n > 256 && len(b) > 1 {
				v, b = v<<8|int(b[1]), b[1:]
			}
			b = b[1:]
			return v % n
		}
		l := newLockstep(t, dice)
		rolled := false
		for range 300 {
			if len(b) == 0 {
				return
			}
			l.step(&rolled, true)
		}
	})
}
