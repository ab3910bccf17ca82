package wire

import "testing"

func fill32(v byte) (a [32]byte) {
	for i := range a {
		a[i] = v + byte(i)
	}
	return a
}

func relayVectors() []vector {
	var sig [64]byte
	for i := range sig {
		sig[i] = byte(0x40 + i)
	}
	id, token := fill32(0x10), fill32(0x80)
	return []vector{
		{"error", RelayError{Code: 5, Text: "quota"}.Append(nil), again(ParseRelayError)},
		{"auth", RelayAuth{Owner: id, Token: []byte("friends"), Extensions: []Extension{{1, []byte("x")}}, Signature: sig}.Append(nil), again(ParseRelayAuth)},
		{"terms", RelayTerms{Now: 1 << 40, QuotaBytes: 1 << 28, QuotaBlobs: 20000, Inboxes: 1000, Knocks: 64, OneTime: 200, MaxBlob: 1 << 20, TTL: 30 * 86400}.Append(nil), again(ParseRelayTerms)},
		{"inbox-create", InboxCreate{ID: id, TokenHash: token}.Append(nil), again(ParseInboxCreate)},
		{"inbox-create-knock", InboxCreate{ID: id, Knock: true}.Append(nil), again(ParseInboxCreate)},
		{"inbox-name", InboxName{ID: id}.Append(nil), again(ParseInboxName)},
		{"knock-allow", KnockAllow{Inbox: id, TokenHash: token, Expires: 1 << 33}.Append(nil), again(ParseKnockAllow)},
		{"prekeys-put", PrekeysPut{Inbox: id, Replace: true, Bundle: []byte("bundle"), OneTime: []SealedOneTime{{1, []byte("a")}, {9, []byte("bc")}}}.Append(nil), again(ParsePrekeysPut)},
		{"prekeys-left", PrekeysLeft{Count: 7}.Append(nil), again(ParsePrekeysLeft)},
		{"prekeys-take", PrekeysTake{Inbox: id, Token: token}.Append(nil), again(ParsePrekeysTake)},
		{"prekeys", Prekeys{Bundle: []byte("bundle"), OneTime: []byte("one")}.Append(nil), again(ParsePrekeys)},
		{"deliver", Deliver{Inbox: id, Token: token, Blob: []byte("blob")}.Append(nil), again(ParseDeliver)},
		{"receipt", Receipt{Inbox: id, Hash: token, StoredAt: 1 << 40, Expires: 1 << 41, Signature: sig}.Append(nil), again(ParseReceipt)},
		{"mail", Mail{Inbox: id, Seq: 3, StoredAt: 1 << 40, Blob: []byte("blob")}.Append(nil), again(ParseMail)},
		{"mail-ack", MailAck{Seqs: []uint64{1, 3, 1 << 63}}.Append(nil), again(ParseMailAck)},
		{"work-allow", WorkAllow{Inbox: id, Bits: 22}.Append(nil), again(ParseWorkAllow)},
		{"work-bits", WorkBits{Bits: 22}.Append(nil), again(ParseWorkBits)},
		{"work-deliver", WorkDeliver{Inbox: id, Work: Work{20000, 1 << 40}, Blob: []byte("blob")}.Append(nil), again(ParseWorkDeliver)},
		{"work-bundle", WorkBundle{Inbox: id, Work: Work{20000, 1 << 40}}.Append(nil), again(ParseWorkBundle)},
		{"forward-leg-0", ForwardLeg{Session: 1 << 60, Key: [16]byte(id[:16]), Ticket: token[:], Expires: 1 << 40, Grant: [ForwardGrantLen]byte{0: 1, 79: 2}}.Append(nil), again(ParseForwardLeg)},
		{"forward-leg-1", ForwardLeg{Session: 1 << 60, Side: 1, Key: [16]byte(id[:16])}.Append(nil), again(ParseForwardLeg)},
		{"forward-join", ForwardJoin{Ticket: token}.Append(nil), again(ParseForwardJoin)},
	}
}

func TestRelayVectors(t *testing.T) { checkVectors(t, "relay", relayVectors()) }

func FuzzRelay(f *testing.F) { fuzzVectors(f, relayVectors()) }

func TestRelayRefuses(t *testing.T) {
	id := fill32(1)
	big := make([]byte, MaxBlob+1)
	for _, tt := range []struct {
		name  string
		bytes []byte
		again func([]byte) ([]byte, error)
	}{
		{"blob over its limit", Deliver{Inbox: id, Blob: big}.Append(nil), again(ParseDeliver)},
		{"empty blob", Deliver{Inbox: id}.Append(nil), again(ParseDeliver)},
		{"bundle over its limit", PrekeysPut{Inbox: id, Bundle: big[:MaxSealedBundle+1]}.Append(nil), again(ParsePrekeysPut)},
		{"one-time prekeys out of order", PrekeysPut{Inbox: id, Bundle: big[:1], OneTime: []SealedOneTime{{2, big[:1]}, {2, big[:1]}}}.Append(nil), again(ParsePrekeysPut)},
		{"too many one-time prekeys", PrekeysPut{Inbox: id, Bundle: big[:1], OneTime: make([]SealedOneTime, MaxSealedOneTimes+1)}.Append(nil), again(ParsePrekeysPut)},
		{"no acks", MailAck{}.Append(nil), again(ParseMailAck)},
		{"too many acks", MailAck{Seqs: make([]uint64, MaxMailAcks+1)}.Append(nil), again(ParseMailAck)},
		{"third side", ForwardLeg{Side: 2}.Append(nil), again(ParseForwardLeg)},
		{"ticket for side 1", ForwardLeg{Side: 1, Ticket: id[:]}.Append(nil), again(ParseForwardLeg)},
	} {
		if _, err := tt.again(tt.bytes); err == nil {
			t.Errorf("%s accepted", tt.name)
		}
	}
	largest := Deliver{Inbox: id, Token: id, Blob: big[:MaxBlob]}.Append(nil)
	if len(largest) > MaxRelayFrame {
		t.Errorf("a full blob's frame has %d bytes, MaxRelayFrame is %d", len(largest), MaxRelayFrame)
	}
	full := PrekeysPut{Bundle: big[:MaxSealedBundle]}
	for i := range MaxSealedOneTimes {
		full.OneTime = append(full.OneTime, SealedOneTime{uint32(i), big[:MaxSealedOneTime]})
	}
	if n := len(full.Append(nil)); n > MaxRelayFrame {
		t.Errorf("full prekeys have %d bytes, MaxRelayFrame is %d", n, MaxRelayFrame)
	}
}
