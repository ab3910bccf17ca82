package sim

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/sim/history"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

// A cheat is everybody's contact and works against them, with a program of its own
// made from the same packages: its identity, its connections, its ratchets are
// real, so that all it says is authenticated, and what it says is whatever it
// likes (lies_test.go). It connects when it is looked for, and leaves mail at the
// others' relays; nobody's mail waits for it anywhere.
//
// It knows more than a person could, so that it can hit: the names of all messages
// of the others. It has no key of anybody's.
//
// The laws for the others stay as they are among themselves, and of its own
// conversations all that is left holds: what is shown as its message is what it
// said to that person, each name once; nobody's own messages are changed, removed,
// or ticked by it for another; and bounds hold.
type cheat struct {
	*person // its client is nil: the program is another one
	rng     *mathrand.Rand
	local   *identity.Local
	ep      *transport.Endpoint // for connections,
	mailer  *transport.Endpoint // and for mail
	public  netip.AddrPort
	bundles [][]byte // of other keys of its own, the oldest first

	mu      sync.Mutex // not held over anything that waits
	prekeys *ratchet.PrekeyStore
	victims map[identity.PeerID]*victim
	senders map[identity.ServerID]*relay.Sender
	lies    map[string]int
	texts   int
	names   map[string]bool // of messages among the others
	read    int             // events of the history
	ended   bool
}

// A victim is a contact of the cheat's.
type victim struct {
	p       *person
	hello   [32]byte // seals hellos to the cheat
	psk     [32]byte // of the invite
	record  *identity.Record
	session *ratchet.Peer // nil before the first
	old     [][]byte      // states of it, as they were
	card    *wire.Card    // nil before it came
	cards   uint64        // that it was given

	next    uint64 // number of the next message to it
	epoch   uint32 // of its messages
	came    uint64 // their highest number
	mine    [][16]byte
	theirs  [][16]byte
	sent    [][]byte // ratchet messages to it,
	got     [][]byte // and from it
	conn    *transport.PeerConn
	out     chan []byte // frames
	silence time.Time   // no answers before
}

// cheated reports whether the seed's world has a cheat: every fourth one has.
func (w *world) cheated() bool { return w.seed%4 == 2 }

const cheatName = "Mallory Morgenstern"

// newCheat makes the cheat and has everybody meet it.
func (w *world) newCheat() {
	public := netip.AddrFrom4([4]byte{13, 0, 0, 1})
	p := &person{w: w, name: cheatName, host: w.net.newHost(public, w.net.newSite("the cheat's", public, noNAT))}
	c := &cheat{
		person: p, rng: source(w.seed, "cheat"), public: netip.AddrPortFrom(public, clientPort), victims: map[identity.PeerID]*victim{},
		senders: map[identity.ServerID]*relay.Sender{}, lies: map[string]int{}, names: map[string]bool{},
	}
	// Bundles from before, of which a serial is lower, and of the time at hand.
	for _, age := range []time.Duration{20 * 24 * time.Hour, time.Hour} {
		var err error
		if c.local == nil {
			if c.local, _, err = identity.NewLocal(cheatName, time.Now().Add(-age)); err != nil {
				w.t.Fatal(err)
			}
		}
		if c.prekeys, err = ratchet.NewPrekeyStore(c.local, time.Now().Add(-age), 20); err != nil {
			w.t.Fatal(err)
		}
		c.bundles = append(c.bundles, c.prekeys.Bundle())
	}
	p.id = c.local.PeerID()
	c.ep = c.endpoint(clientPort, c.local)
	c.mailer = c.endpoint(0, nil)
	w.cheat = c
	w.tasks.Go(c.accept)
	w.history.Add(history.Event{At: w.now(), Kind: history.Cheat, Who: c.name})
	for _, q := range w.people {
		c.meet(q)
	}
}

func (c *cheat) endpoint(port uint16, l *identity.Local) *transport.Endpoint {
	ep, err := transport.New(transport.Config{
		PacketConn: c.w.net.listen(c.host, port), Identity: l, Logger: c.w.log(c.name),
		Known: func(id identity.PeerID) *identity.Record {
			c.mu.Lock()
			defer c.mu.Unlock()
			if v := c.victims[id]; v != nil {
				return v.record
			}
			return nil
		},
	})
	if err != nil {
		c.w.t.Fatal(err)
	}
	return ep
}

// end closes what the cheat has open.
func (c *cheat) end() {
	c.mu.Lock()
	c.ended = true
	senders := slices.Collect(maps.Values(c.senders))
	c.mu.Unlock()
	for _, s := range senders {
		s.Close()
	}
	c.ep.Close()
	c.mailer.Close()
}

// run does something beside, unless the world ends.
func (c *cheat) run(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.w.tasks.Go(f)
	}
}

// meet has q use an invite of the cheat's.
func (c *cheat) meet(q *person) {
	inv := identity.Invite{
		Peer: c.id, Name: c.name, Secret: identity.NewInviteSecret(), Expires: time.Now().Add(240 * time.Hour).Truncate(time.Second),
		Addrs: []netip.AddrPort{c.public},
	}
	v := &victim{p: q, psk: inv.PSK(), next: 1, out: make(chan []byte, 256)}
	rand.Read(v.hello[:])
	c.mu.Lock()
	c.victims[q.id] = v
	c.mu.Unlock()
	c.ep.OnHello(inv.HelloKey(), c.answer)
	c.ep.OnHello(v.hello, c.answer)
	if err := c.w.call(func(ctx context.Context) error { _, err := q.client.Add(ctx, inv.URI(), ""); return err }); err != nil {
		c.w.t.Fatalf("%s and %s did not meet: %v", q.name, c.name, err)
	}
	c.w.note(q.name, "met %s", c.name)
	time.Sleep(5 * time.Second)
}

// answer takes a hello: both sides connect.
func (c *cheat) answer(from netip.AddrPort, payload []byte) []byte {
	o, err := wire.ParseOffer(payload)
	if err != nil {
		return nil
	}
	a := wire.Answer{What: wire.AnswerConnect, Candidates: []nat.Candidate{{Addr: c.public, Kind: nat.ServerReflexive}}}
	rand.Read(a.Secret[:])
	probe, err := hkdf.Key(sha256.New, append(o.Secret[:], a.Secret[:]...), nil, "SREMP v1 connection probe key", 32)
	if err != nil {
		panic(err)
	}
	c.run(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, err := c.ep.Connect(ctx, transport.Attempt{
			Peer: o.Peer, Record: c.record(o.Peer), ProbeKey: [32]byte(probe), Answering: true,
			Remote: append(o.Candidates, nat.Candidate{Addr: from, Kind: nat.ServerReflexive}),
		})
		if err == nil {
			c.linked(conn)
		}
	})
	return a.Append(nil)
}

func (c *cheat) record(id identity.PeerID) *identity.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.victims[id]; v != nil {
		return v.record
	}
	return nil
}

// accept takes those who connect without asking.
func (c *cheat) accept() {
	for {
		conn, err := c.ep.Accept(context.Background())
		if err != nil {
			return
		}
		c.linked(conn)
	}
}

func (c *cheat) linked(conn *transport.PeerConn) {
	c.mu.Lock()
	v := c.victims[conn.Peer().Identity]
	if v == nil {
		c.mu.Unlock()
		conn.Close(0, "")
		return
	}
	v.conn, v.record = conn, conn.Peer()
	c.mu.Unlock()
	c.run(func() { v.write(conn) })
	c.run(func() {
		for {
			s, err := conn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			c.run(func() { c.readStream(v, s) })
		}
	})
}

// write sends the frames that there are for a victim.
func (v *victim) write(conn *transport.PeerConn) {
	s, err := conn.OpenStream(context.Background())
	for err == nil {
		select {
		case f := <-v.out:
			_, err = s.Write(f)
		case <-conn.Done():
			return
		}
	}
	conn.Close(0, "")
}

// frame queues a frame; what is too much is lost.
func (v *victim) frame(typ uint16, payload []byte) {
	if v.conn == nil || v.conn.Err() != nil {
		return
	}
	select {
	case v.out <- wire.AppendFrame(nil, typ, payload):
	default:
	}
}

func (c *cheat) readStream(v *victim, s *transport.Stream) {
	for {
		typ, payload, err := transport.ReadFrame(s, wire.MaxMessageFrame)
		if err != nil {
			return
		}
		c.mu.Lock()
		c.take(v, typ, payload)
		c.mu.Unlock()
	}
}

// take reads what an honest program says.
func (c *cheat) take(v *victim, typ uint16, payload []byte) {
	switch typ {
	case wire.FrameGetBundle:
		box := wire.PrekeyBox{Bundle: c.prekeys.Bundle(), KnockKey: []byte("none")}
		if one := c.prekeys.OneTime(); len(one) > 0 {
			box.OneTime = one[0].Bytes
			c.prekeys.Published([]uint32{one[0].ID})
		}
		v.frame(wire.FrameBundle, box.Append(nil))
	case wire.FrameFirst:
		if x, err := wire.ParseKnock(payload); err == nil {
			c.message(v, x.Message)
		}
	case wire.FrameMessage:
		c.message(v, payload)
	}
}

// message decrypts a message of a victim, and answers it if it likes.
func (c *cheat) message(v *victim, msg []byte) {
	var plain []byte
	err := ratchet.ErrDecrypt
	if v.session != nil {
		plain, err = v.session.Decrypt(time.Now(), c.local, c.prekeys, [32]byte{}, msg)
	}
	if err != nil && ratchet.IsInitial(msg) {
		for _, psk := range [][32]byte{v.psk, {}} {
			if p, _, b, e := ratchet.Accept(time.Now(), c.local, c.prekeys, psk, msg); e == nil {
				v.session, plain, err = p, b, nil
				v.old = nil
				break
			}
		}
	}
	if err != nil {
		return
	}
	v.got = keep(v.got, msg)
	p, err := wire.ParsePayload(plain)
	if err != nil || !p.Type.Numbered() {
		return
	}
	if v.epoch = p.Epoch; p.Type == wire.PayloadCard {
		if card, err := wire.ParseCard(slices.Clone(p.Body)); err == nil {
			v.card = &card
			c.w.views.strange(card)
		}
	} else {
		v.theirs = keep(v.theirs, p.ID)
	}
	v.came = max(v.came, p.Counter)
	if v.cards == 0 {
		c.sendCard(v)
	}
	if time.Now().After(v.silence) { // all up to this one, whether it came or not
		c.notice(v, wire.PayloadAck, wire.Ack{Epoch: v.epoch, Next: v.came + 1}.Append(nil))
	}
}

// sendCard gives a victim a card with which it finds the cheat.
func (c *cheat) sendCard(v *victim) {
	v.cards++
	card := wire.Card{Version: v.cards, Hello: v.hello, Addrs: []netip.AddrPort{c.public}, Record: c.local.Record().Bytes()}
	rand.Read(card.Lookup[:])
	rand.Read(card.Intro[:])
	c.number(v, wire.PayloadCard, card.Append(nil))
}

// payload is a numbered one, as an honest program writes it.
func (c *cheat) payload(v *victim, typ wire.PayloadType, body []byte) wire.Payload {
	p := wire.Payload{
		Type: typ, Conversation: conversation(c.id, v.p.id), Device: [16]byte(c.local.Device()), Counter: v.next,
		SentAt: uint64(time.Now().UnixMilli()), Body: body,
	}
	rand.Read(p.ID[:])
	if !typ.Numbered() {
		p.Counter = 0
	}
	return p
}

// conversation is the name of two people's (spec §8.1).
func conversation(a, b identity.PeerID) [32]byte {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return sha256.Sum256(slices.Concat([]byte("SREMP v1 conversation"), a[:], b[:]))
}

// number sends a numbered payload, and counts on.
func (c *cheat) number(v *victim, typ wire.PayloadType, body []byte) {
	p := c.payload(v, typ, body)
	v.next++
	c.post(v, c.encrypt(v, p))
}

// notice sends a payload without a number.
func (c *cheat) notice(v *victim, typ wire.PayloadType, body []byte) {
	c.post(v, c.encrypt(v, c.payload(v, typ, body)))
}

// encrypt returns a ratchet message, nil without a session.
func (c *cheat) encrypt(v *victim, p wire.Payload) []byte {
	if v.session == nil {
		return nil
	}
	if state, err := v.session.MarshalBinary(); err == nil && c.rng.IntN(8) == 0 {
		v.old = keep(v.old, state)
	}
	msg, err := v.session.Encrypt(nil, p.Append(nil))
	if err != nil {
		return nil
	}
	v.sent = keep(v.sent, msg)
	return msg
}

// post sends a ratchet message: by the connection, else by mail.
func (c *cheat) post(v *victim, msg []byte) {
	switch {
	case msg == nil:
	case v.conn != nil && v.conn.Err() == nil:
		v.frame(wire.FrameMessage, msg)
	default:
		c.mail(v, msg)
	}
}

// mail leaves a blob in a victim's mailbox.
func (c *cheat) mail(v *victim, blob []byte) {
	if c.ended || v.card == nil || len(v.card.Mailboxes) == 0 || len(blob) == 0 {
		return
	}
	if c.showsWho(blob) {
		blob = sealFirst(v.card.Intro, blob)
	}
	box := v.card.Mailboxes[c.rng.IntN(len(v.card.Mailboxes))]
	c.w.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		at := identity.ServerAddr{ID: box.Relay.ID, Host: box.Relay.Host, Port: box.Relay.Port}
		c.mu.Lock()
		s, ended := c.senders[at.ID], c.ended
		c.mu.Unlock()
		if s == nil && !ended {
			var err error
			if s, err = relay.DialSender(ctx, c.mailer, at); err != nil {
				return
			}
			c.mu.Lock()
			if c.ended {
				defer s.Close()
			} else if old := c.senders[at.ID]; old != nil {
				defer s.Close()
				s = old
			} else {
				c.senders[at.ID] = s
			}
			c.mu.Unlock()
		}
		if ended {
			return
		}
		if _, err := s.Store(ctx, box.Inbox, box.Token, blob); err != nil {
			select {
			case <-s.Done():
				c.mu.Lock()
				if c.senders[at.ID] == s {
					delete(c.senders, at.ID)
				}
				c.mu.Unlock()
			default: // it was full
			}
		}
	})
}

// showsWho reports whether a blob names a person. Mail that does is sealed, as
// honest programs seal it: that a contact can tell a relay's operator whatever it
// knows of a person needs no proof.
func (c *cheat) showsWho(blob []byte) bool {
	for id, v := range c.victims {
		if bytes.Contains(blob, id[:]) || bytes.Contains(blob, []byte(v.p.name)) {
			return true
		}
	}
	return false
}

// sealFirst seals a message that begins a session for a mailbox (spec §8.30).
func sealFirst(intro [32]byte, msg []byte) []byte {
	aead, err := chacha20poly1305.NewX(intro[:])
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, msg, []byte("SREMP v1 sealed first message"))
}

// said writes down what a victim may be shown from now on.
func (c *cheat) said(v *victim, id [16]byte, text string) {
	v.mine = keep(v.mine, id)
	c.w.history.Add(history.Event{At: c.w.now(), Kind: history.Said, Who: c.name, Peer: v.p.name, ID: client.MessageID(id).String(), Text: text})
}

// text is a new one.
func (c *cheat) text() string {
	c.texts++
	return fmt.Sprintf("lie%08x-%d", c.rng.Uint32(), c.texts)
}
