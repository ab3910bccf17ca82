package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

func fill(b byte) (a [32]byte) { return [32]byte(bytes.Repeat([]byte{b}, 32)) }

func sampleRecord() Record {
	return Record{
		Identity: fill(1), Noise: fill(2), Agreement: fill(3), Recovery: fill(4),
		Name: "Alice", Flags: 0x01020304, Version: 7, Created: 1_800_000_000, Prev: fill(5),
		Signature: [64]byte(bytes.Repeat([]byte{6}, 64)),
	}
}

func sampleInvite() Invite {
	return Invite{
		Peer: fill(1), Name: "Alice", Secret: fill(2), Lookup: fill(3), Expires: 1_800_000_000,
		Addrs: []netip.AddrPort{
			netip.MustParseAddrPort("192.0.2.1:7350"), netip.MustParseAddrPort("[2001:db8::1]:7350"),
		},
		Relays:     []Server{{fill(4), "relay.example.org", 7350}},
		Rendezvous: []Server{{fill(5), "198.51.100.7", 443}, {fill(6), "2001:db8::2", 7350}},
		KnockInbox: fill(7), Extensions: []Extension{{9, []byte("x")}},
	}
}

// Spec §2.4, §2.8, §3.3.
func identityVectors() []vector {
	granted := sampleRecord()
	granted.Epoch, granted.Signer = 5, fill(8)
	granted.GrantSignature = [64]byte(bytes.Repeat([]byte{9}, 64))
	granted.Extensions = []Extension{{1, nil}, {0x8000, []byte("kept")}}
	return []vector{
		{"record", sampleRecord().Append(nil), again(ParseRecord)},
		{"record-granted", granted.Append(nil), again(ParseRecord)},
		{"server", Server{fill(1), "relay.example.org", 7350}.Append(nil), again(ParseServer)},
		{"invite", sampleInvite().Append(nil), again(ParseInvite)},
		{"invite-least", Invite{Peer: fill(1), Secret: fill(2), Expires: 1}.Append(nil), again(ParseInvite)},
		{"handshake-payload", HandshakePayload{[]byte("record"), []Extension{{2, []byte("y")}}}.Append(nil), again(ParseHandshakePayload)},
		{"handshake-anonymous", HandshakePayload{}.Append(nil), again(ParseHandshakePayload)},
	}
}

func TestIdentityVectors(t *testing.T) { checkVectors(t, "identity", identityVectors()) }

func FuzzIdentity(f *testing.F) { fuzzVectors(f, identityVectors()) }

// Spec §1.1: what the encoder cannot emit is refused.
func TestRecordNotCanonical(t *testing.T) {
	const grantAt = 1 + 4*32 + 1 + 5 + 4 + 4 + 8 + 8 + 32
	for _, tt := range []struct {
		name   string
		change func(*Record)
		patch  func([]byte) []byte
		want   error
	}{
		{"format", nil, func(b []byte) []byte { b[0] = 2; return b }, ErrNotCanonical},
		{"no name", func(r *Record) { r.Name = "" }, nil, ErrNotCanonical},
		{"long name", func(r *Record) { r.Name = string(make([]byte, MaxName+1)) }, nil, ErrTooLarge},
		{"year 10000", func(r *Record) { r.Created = MaxTime + 1 }, nil, ErrTooLarge},
		{"grant in epoch 0", nil, func(b []byte) []byte {
			return append(AppendVec8(bytes.Clone(b[:grantAt]), make([]byte, EpochGrantLen)), b[grantAt+1:]...)
		}, ErrTooLarge},
		{"no grant in epoch 1", func(r *Record) { r.Epoch = 1 }, func(b []byte) []byte {
			return append(AppendVec8(bytes.Clone(b[:grantAt]), nil), b[grantAt+1+EpochGrantLen:]...)
		}, ErrNotCanonical},
		{"too large", func(r *Record) { r.Extensions = []Extension{{1, make([]byte, MaxRecord)}} }, nil, ErrTooLarge},
	} {
		r := sampleRecord()
		if tt.change != nil {
			tt.change(&r)
		}
		b := r.Append(nil)
		if tt.patch != nil {
			b = tt.patch(b)
		}
		if _, err := ParseRecord(b); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestInviteNotCanonical(t *testing.T) {
	server := Server{fill(4), "h", 1}
	for _, tt := range []struct {
		name   string
		change func(*Invite)
		want   error
	}{
		{"17 addresses", func(i *Invite) {
			for len(i.Addrs) <= MaxInviteAddrs {
				i.Addrs = append(i.Addrs, i.Addrs[0])
			}
		}, ErrTooLarge},
		{"5 relays", func(i *Invite) { i.Relays = []Server{server, server, server, server, server} }, ErrTooLarge},
		{"5 rendezvous", func(i *Invite) { i.Rendezvous = []Server{server, server, server, server, server} }, ErrTooLarge},
		{"no host", func(i *Invite) { i.Relays[0].Host = "" }, ErrNotCanonical},
		{"long host", func(i *Invite) { i.Relays[0].Host = string(make([]byte, MaxHost+1)) }, ErrTooLarge},
		{"port 0", func(i *Invite) { i.Relays[0].Port = 0 }, ErrNotCanonical},
		{"long name", func(i *Invite) { i.Name = string(make([]byte, MaxName+1)) }, ErrTooLarge},
		{"year 10000", func(i *Invite) { i.Expires = MaxTime + 1 }, ErrTooLarge},
		{"too large", func(i *Invite) { i.Extensions = []Extension{{1, make([]byte, MaxInvite)}} }, ErrTooLarge},
	} {
		i := sampleInvite()
		tt.change(&i)
		if _, err := ParseInvite(i.Append(nil)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestAddrPortNotCanonical(t *testing.T) {
	for name, b := range map[string][]byte{
		"IPv4 in IPv6": append(AppendVec8(nil, netip.MustParseAddr("::ffff:192.0.2.1").AsSlice()), 1, 2),
		"port 0":       {4, 192, 0, 2, 1, 0, 0},
		"five bytes":   {5, 192, 0, 2, 1, 1, 0, 1},
	} {
		r := NewReader(b)
		if a := r.AddrPort(); !errors.Is(r.Done(), ErrNotCanonical) || a.IsValid() {
			t.Errorf("%s: got %v, %v; want ErrNotCanonical", name, a, r.Done())
		}
	}
	for _, a := range []netip.AddrPort{
		{}, netip.AddrPortFrom(netip.MustParseAddr("fe80::1%eth0"), 1), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 0),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AppendAddrPort(%v) did not panic", a)
				}
			}()
			AppendAddrPort(nil, a)
		}()
	}
}
