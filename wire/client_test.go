package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

func filled[T ~[16]byte | ~[32]byte](c byte) (a T) {
	b := bytes.Repeat([]byte{c}, 32)
	switch p := any(&a).(type) {
	case *[16]byte:
		copy(p[:], b)
	case *[32]byte:
		copy(p[:], b)
	}
	return a
}

func clientVectors() []vector {
	server := Server{ID: filled[[32]byte](7), Host: "relay.example", Port: 4433}
	addr := netip.MustParseAddrPort("192.0.2.7:5000")
	cands := []Candidate{{Addr: addr, Kind: HostCandidate}}
	ext := []Extension{{Type: 9, Data: []byte("x")}}
	text := Payload{
		Type: PayloadText, ID: filled[[16]byte](1), Conversation: filled[[32]byte](2), Device: filled[[16]byte](3),
		Epoch: 1, Counter: 2, SentAt: 1700000000123, Body: []byte("hello"), Extensions: ext,
	}
	ack := Ack{Epoch: 1, Next: 7, Ranges: []Range{{8, 9}, {11, 11}}, Digest: [16]byte{1, 2, 3}}
	unnumbered := text
	unnumbered.Type, unnumbered.Counter, unnumbered.Body = PayloadAck, 0, ack.Append(nil)
	card := Card{
		Version: 3, Mailboxes: []Mailbox{{server, filled[[32]byte](8), filled[[32]byte](9)}}, Rendezvous: []Server{server},
		Lookup: filled[[32]byte](4), Intro: filled[[32]byte](5), Hello: filled[[32]byte](6),
		Addrs: []netip.AddrPort{addr}, Record: []byte("record"), Extensions: ext,
	}
	offer := Offer{
		Peer: filled[[32]byte](1), Secret: filled[[32]byte](2), SentAt: 5, Candidates: cands,
		Relay: []Server{server}, Ticket: []byte("ticket"), Extensions: ext,
	}
	return []vector{
		{"payload-text", text.Append(nil), again(ParsePayload)},
		{"payload-ack", unnumbered.Append(nil), again(ParsePayload)},
		{"ack", ack.Append(nil), again(ParseAck)},
		{"read-mark", ReadMark{1, 2}.Append(nil), again(ParseReadMark)},
		{"card", card.Append(nil), again(ParseCard)},
		{"card-empty", Card{}.Append(nil), again(ParseCard)},
		{"knock", Knock{filled[[32]byte](1), []byte("m")}.Append(nil), again(ParseKnock)},
		{"get-bundle", GetBundle{filled[[32]byte](1)}.Append(nil), again(ParseGetBundle)},
		{"prekey-box", PrekeyBox{[]byte("b"), []byte("o"), []byte("k"), ext}.Append(nil), again(ParsePrekeyBox)},
		{"edit", Edit{filled[[16]byte](1), []byte("better")}.Append(nil), again(ParseEdit)},
		{"deletion", Deletion{[][16]byte{filled[[16]byte](1), filled[[16]byte](2)}}.Append(nil), again(ParseDeletion)},
		{"reaction", Reaction{filled[[16]byte](1), []byte("+1")}.Append(nil), again(ParseReaction)},
		{"reaction-none", Reaction{ID: filled[[16]byte](1)}.Append(nil), again(ParseReaction)},
		{"timer", Timer{86400}.Append(nil), again(ParseTimer)},
		{"picture", Picture{7, []byte("jpeg"), ext}.Append(nil), again(ParsePicture)},
		{"picture-none", Picture{Version: 8}.Append(nil), again(ParsePicture)},
		{"typing", Typing{true}.Append(nil), again(ParseTyping)},
		{"offer", offer.Append(nil), again(ParseOffer)},
		{"answer", Answer{AnswerConnect, filled[[32]byte](3), cands, true, ext}.Append(nil), again(ParseAnswer)},
	}
}

func TestClientVectors(t *testing.T) { checkVectors(t, "client", clientVectors()) }

func FuzzClient(f *testing.F) { fuzzVectors(f, clientVectors()) }

// Texts of 1 to 4096 bytes show few sizes (spec §8.1).
func TestPayloadSizes(t *testing.T) {
	sizes := map[int]bool{}
	for n := 1; n <= 4096; n++ {
		p := Payload{Type: PayloadText, Counter: 1, Body: bytes.Repeat([]byte{'a'}, n)}
		sizes[len(p.Append(nil))] = true
	}
	if len(sizes) > 6 || len(sizes) < 2 {
		t.Errorf("%d sizes: %v, want 2 to 6", len(sizes), sizes)
	}
	largest := Payload{Type: PayloadText, Counter: 1, Body: make([]byte, MaxPayloadBody)}
	if got := len(largest.Append([]byte("xy"))); got != 2+262144 {
		t.Errorf("largest payload has %d bytes", got-2)
	}
}

func TestPayloadRefusals(t *testing.T) {
	good := Payload{Type: PayloadText, Counter: 1, Body: []byte("a")}.Append(nil)
	for name, change := range map[string]func([]byte) []byte{
		"padding not zero": func(b []byte) []byte { b[len(b)-1] = 1; return b },
		"larger bucket":    func(b []byte) []byte { return append(b, make([]byte, 4096-len(b))...) },
		"format":           func(b []byte) []byte { b[0] = 2; return b },
		"counter zero":     func(b []byte) []byte { clear(b[70:78]); return b },
		"counter of an ack": func(b []byte) []byte {
			b[1] = byte(PayloadAck)
			return b
		},
	} {
		if _, err := ParsePayload(change(bytes.Clone(good))); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v, want ErrNotCanonical", name, err)
		}
	}
	if _, err := ParsePayload(make([]byte, 262145)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the largest bucket: %v, want ErrTooLarge", err)
	}
}

func TestAckRefusals(t *testing.T) {
	for name, a := range map[string]Ack{
		"next zero":      {Next: 0},
		"touches next":   {Next: 5, Ranges: []Range{{5, 6}}},
		"reversed":       {Next: 5, Ranges: []Range{{9, 8}}},
		"adjacent":       {Next: 5, Ranges: []Range{{7, 8}, {9, 9}}},
		"out of order":   {Next: 5, Ranges: []Range{{9, 9}, {7, 7}}},
		"the last value": {Next: 5, Ranges: []Range{{9, 1<<64 - 1}}},
	} {
		if _, err := ParseAck(a.Append(nil)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v, want ErrNotCanonical", name, err)
		}
	}
}
