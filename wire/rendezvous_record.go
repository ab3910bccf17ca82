package wire

import "encoding/binary"

// MaxRendezvousServers bounds each list of servers in a record.
const MaxRendezvousServers = 4

// A RendezvousRecord is what stands sealed at a rendezvous (spec §7.3). It has
// no field for a client's address, on purpose.
//
//	struct {
//	    uint64 issued;                  // Unix milliseconds
//	    opaque identity<1..8192>;       // the signed identity record
//	    uint8 count; Server relays[count];          // at most 4
//	    uint8 count; Server rendezvous[count];      // at most 4
//	    opaque knock_inbox<0..32>;      // 0 or 32 bytes
//	    Extension extensions<0..2^15>;
//	    opaque signature[64];           // by the blinded key, over all before
//	} Record;
type RendezvousRecord struct {
	Issued             uint64
	Identity           []byte
	Relays, Rendezvous []Server
	KnockInbox         [32]byte // zero: none
	Extensions         []Extension
	Signature          [64]byte
}

// AppendUnsigned appends everything before the signature.
func (x RendezvousRecord) AppendUnsigned(b []byte) []byte {
	b = AppendVec16(binary.BigEndian.AppendUint64(b, x.Issued), x.Identity)
	b = AppendServers(AppendServers(b, x.Relays), x.Rendezvous)
	return AppendExtensions(appendOptional32(b, x.KnockInbox), x.Extensions)
}

// Append appends the record.
func (x RendezvousRecord) Append(b []byte) []byte {
	return append(x.AppendUnsigned(b), x.Signature[:]...)
}

// ParseRendezvousRecord decodes a record; its signature is not checked.
func ParseRendezvousRecord(b []byte) (RendezvousRecord, error) {
	r := NewReader(b)
	x := RendezvousRecord{
		Issued: r.Uint64(), Identity: r.Vec16(1, 8192),
		Relays: r.Servers(MaxRendezvousServers), Rendezvous: r.Servers(MaxRendezvousServers),
		KnockInbox: r.optional32(), Extensions: r.Extensions(), Signature: r.Array64(),
	}
	return done(r, x)
}
