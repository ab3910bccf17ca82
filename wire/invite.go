package wire

import (
	"encoding/binary"
	"net/netip"
)

// Limits and the format of an invite (spec §2.8).
const (
	InviteFormat     = 1
	MaxInviteAddrs   = 16
	MaxInviteServers = 4 // of each kind
	MaxHost          = 253
	MaxInvite        = 4096
)

// A Server says where a server is and which key it must prove.
//
//	struct { opaque id[32]; opaque host<1..253>; uint16 port; } Server;
type Server struct {
	ID   [32]byte
	Host string
	Port uint16 // not 0
}

// Append appends the server.
func (x Server) Append(b []byte) []byte {
	b = AppendVec8(append(b, x.ID[:]...), []byte(x.Host))
	return binary.BigEndian.AppendUint16(b, x.Port)
}

// ParseServer decodes a server.
func ParseServer(b []byte) (Server, error) {
	r := NewReader(b)
	x := r.Server()
	if err := r.Done(); err != nil {
		return Server{}, err
	}
	return x, nil
}

// Server takes a server; its key and the letters of its host are not checked.
func (r *Reader) Server() (x Server) {
	x = Server{ID: r.Array32(), Host: string(r.Vec8(1, MaxHost)), Port: r.Uint16()}
	if x.Port == 0 {
		r.Fail(ErrNotCanonical)
	}
	return x
}

// AppendServers appends a vector of servers with a one-byte count.
func AppendServers(b []byte, servers []Server) []byte {
	if len(servers) > 255 {
		panic("wire: too many servers")
	}
	b = append(b, byte(len(servers)))
	for _, s := range servers {
		b = s.Append(b)
	}
	return b
}

// Servers takes a vector of at most max servers.
func (r *Reader) Servers(max int) []Server {
	n := int(r.Uint8())
	if n > max {
		r.Fail(ErrTooLarge)
	}
	var servers []Server
	for i := 0; i < n && r.Err() == nil; i++ {
		servers = append(servers, r.Server())
	}
	return servers
}

// AppendAddrPort appends an address: uint8 length (4 or 16), the address,
// uint16 port. An invalid one, one with a zone, or IPv4 in IPv6 form panics.
func AppendAddrPort(b []byte, a netip.AddrPort) []byte {
	if !goodAddrPort(a) {
		panic("wire: address " + a.String() + " has no encoding")
	}
	b = AppendVec8(b, a.Addr().AsSlice())
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// AddrPort takes an address.
func (r *Reader) AddrPort() netip.AddrPort {
	ip, _ := netip.AddrFromSlice(r.Vec8(4, 16))
	a := netip.AddrPortFrom(ip, r.Uint16())
	if r.Err() == nil && !goodAddrPort(a) {
		r.Fail(ErrNotCanonical)
		return netip.AddrPort{}
	}
	return a
}

func goodAddrPort(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && a.Addr().Zone() == "" && !a.Addr().Is4In6()
}

// An Invite is what one person hands another outside this system (spec §2.8).
//
//	struct {
//	    uint8 format = 1;
//	    opaque peer[32];
//	    opaque name<0..160>;
//	    opaque secret[32];
//	    opaque lookup<0..32>;        // 0 or 32 bytes
//	    uint64 expires;
//	    uint8 count; Address addrs[count];          // at most 16
//	    uint8 count; Server relays[count];          // at most 4
//	    uint8 count; Server rendezvous[count];      // at most 4
//	    opaque knock_inbox<0..32>;   // 0 or 32 bytes
//	    Extension extensions<0..2^15>;
//	} Invite;
type Invite struct {
	Peer               [32]byte
	Name               string
	Secret             [32]byte
	Lookup             [32]byte // zero: none
	Expires            uint64   // Unix seconds
	Addrs              []netip.AddrPort
	Relays, Rendezvous []Server
	KnockInbox         [32]byte // zero: none
	Extensions         []Extension
}

// Append appends the invite.
func (x Invite) Append(b []byte) []byte {
	b = append(append(b, InviteFormat), x.Peer[:]...)
	b = AppendVec8(b, []byte(x.Name))
	b = append(b, x.Secret[:]...)
	b = appendOptional32(b, x.Lookup)
	b = binary.BigEndian.AppendUint64(b, x.Expires)
	if len(x.Addrs) > 255 {
		panic("wire: too many addresses")
	}
	b = append(b, byte(len(x.Addrs)))
	for _, a := range x.Addrs {
		b = AppendAddrPort(b, a)
	}
	b = AppendServers(AppendServers(b, x.Relays), x.Rendezvous)
	b = appendOptional32(b, x.KnockInbox)
	return AppendExtensions(b, x.Extensions)
}

// ParseInvite decodes an invite; package identity checks its meaning.
func ParseInvite(b []byte) (x Invite, err error) {
	if len(b) > MaxInvite {
		return Invite{}, ErrTooLarge
	}
	r := NewReader(b)
	if r.Uint8() != InviteFormat {
		r.Fail(ErrNotCanonical)
	}
	x.Peer = r.Array32()
	x.Name = string(r.Vec8(0, MaxName))
	x.Secret = r.Array32()
	x.Lookup = r.optional32()
	x.Expires = r.Time()
	n := int(r.Uint8())
	if n > MaxInviteAddrs {
		r.Fail(ErrTooLarge)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		x.Addrs = append(x.Addrs, r.AddrPort())
	}
	x.Relays, x.Rendezvous = r.Servers(MaxInviteServers), r.Servers(MaxInviteServers)
	x.KnockInbox = r.optional32()
	x.Extensions = r.Extensions()
	if err := r.Done(); err != nil {
		return Invite{}, err
	}
	return x, nil
}

// appendOptional32 appends an opaque<0..32>: nothing if v is zero.
func appendOptional32(b []byte, v [32]byte) []byte {
	if v == [32]byte{} {
		return AppendVec8(b, nil)
	}
	return AppendVec8(b, v[:])
}

func (r *Reader) optional32() (v [32]byte) {
	b := r.Vec8(0, 32)
	if len(b) == 0 {
		return v
	}
	if copy(v[:], b) != 32 || v == [32]byte{} {
		r.Fail(ErrNotCanonical)
	}
	return v
}
