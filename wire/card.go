package wire

import (
	"encoding/binary"
	"net/netip"
)

// A Mailbox is an inbox at a relay that its owner made for one contact.
//
//	struct { Server relay; opaque inbox[32]; opaque token[32]; } Mailbox;
type Mailbox struct {
	Relay        Server
	Inbox, Token [32]byte
}

// A Card is the body of a PayloadCard: how the contact it was made for reaches
// its sender (spec §8.3). Of two cards the one with the higher version counts.
//
//	struct {
//	    uint64 version;
//	    uint8 count; Mailbox mailboxes[count];      // at most 4
//	    uint8 count; Server rendezvous[count];      // at most 4
//	    opaque lookup[32], intro[32], hello[32];
//	    uint8 count; Address addrs[count];          // at most 16
//	    opaque record<0..8192>;
//	    Extension extensions<0..2^15>;
//	} Card;
type Card struct {
	Version    uint64
	Mailboxes  []Mailbox
	Rendezvous []Server
	Lookup     [32]byte         // of the sender's rendezvous records
	Intro      [32]byte         // seals introductions to the sender
	Hello      [32]byte         // seals hellos to the sender
	Addrs      []netip.AddrPort // where the sender was reached last
	Record     []byte           // the sender's identity record; empty: unchanged
	Extensions []Extension
}

// Append appends the card.
func (x Card) Append(b []byte) []byte {
	if len(x.Mailboxes) > MaxMailboxes || len(x.Addrs) > MaxCardAddrs {
		panic("wire: card over its limits")
	}
	b = binary.BigEndian.AppendUint64(b, x.Version)
	b = append(b, byte(len(x.Mailboxes)))
	for _, m := range x.Mailboxes {
		b = m.Relay.Append(b)
		b = append(append(b, m.Inbox[:]...), m.Token[:]...)
	}
	b = AppendServers(b, x.Rendezvous)
	b = append(append(append(b, x.Lookup[:]...), x.Intro[:]...), x.Hello[:]...)
	b = append(b, byte(len(x.Addrs)))
	for _, a := range x.Addrs {
		b = AppendAddrPort(b, a)
	}
	b = AppendVec16(b, x.Record)
	return AppendExtensions(b, x.Extensions)
}

// ParseCard decodes a card; the record is not looked into.
func ParseCard(b []byte) (x Card, err error) {
	r := NewReader(b)
	x.Version = r.Uint64()
	n := int(r.Uint8())
	if n > MaxMailboxes {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		x.Mailboxes = append(x.Mailboxes, Mailbox{r.Server(), r.Array32(), r.Array32()})
	}
	x.Rendezvous = r.Servers(MaxInviteServers)
	x.Lookup, x.Intro, x.Hello = r.Array32(), r.Array32(), r.Array32()
	n = int(r.Uint8())
	if n > MaxCardAddrs {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		x.Addrs = append(x.Addrs, r.AddrPort())
	}
	x.Record = r.Vec16(0, MaxRecord)
	x.Extensions = r.Extensions()
	return done(r, x)
}
