package wire

import "encoding/binary"

// Frames between a relay and its clients (spec §6.2). Every request opens a
// stream, is its only frame, and is answered by one frame; a subscription is
// answered by many.
const (
	FrameRelayError  uint16 = 0x0100 // RelayError
	FrameRelayOK     uint16 = 0x0101 // empty
	FrameRelayAuth   uint16 = 0x0110 // RelayAuth, answered by
	FrameRelayTerms  uint16 = 0x0111 // RelayTerms
	FrameInboxCreate uint16 = 0x0112 // InboxCreate
	FrameInboxDelete uint16 = 0x0113 // InboxName
	FrameKnockAllow  uint16 = 0x0114 // KnockAllow
	FramePrekeysPut  uint16 = 0x0115 // PrekeysPut
	FramePrekeyCount uint16 = 0x0116 // InboxName, answered by
	FramePrekeysLeft uint16 = 0x0117 // PrekeysLeft
	FrameSubscribe   uint16 = 0x0118 // empty, answered by any number of
	FrameMail        uint16 = 0x0119 // Mail
	FrameMailAck     uint16 = 0x011a // MailAck
	FrameForwardOpen uint16 = 0x011b // empty, answered by FrameForwardLeg
	FrameForwardLeg  uint16 = 0x011c // ForwardLeg
	FrameForwardJoin uint16 = 0x011d // ForwardJoin, answered by FrameForwardLeg
	FrameWorkAllow   uint16 = 0x011e // WorkAllow
	FrameDeliver     uint16 = 0x0120 // Deliver, answered by
	FrameReceipt     uint16 = 0x0121 // Receipt
	FramePrekeysTake uint16 = 0x0122 // PrekeysTake, answered by
	FramePrekeys     uint16 = 0x0123 // Prekeys
	FrameWorkAsk     uint16 = 0x0124 // InboxName, answered by
	FrameWorkBits    uint16 = 0x0125 // WorkBits
	FrameWorkDeliver uint16 = 0x0126 // WorkDeliver, answered by FrameReceipt
	FrameWorkBundle  uint16 = 0x0127 // WorkBundle, answered by FramePrekeys
)

// Limits of the relay's frames (spec §6.2).
const (
	MaxBlob           = 1 << 20  // bytes of a stored blob
	MaxSealedBundle   = 32 << 10 // bytes of a sealed bundle
	MaxSealedOneTime  = 4 << 10  // bytes of a sealed one-time prekey
	MaxSealedOneTimes = 128      // of them in one frame
	MaxMailAcks       = 1024     // sequence numbers in one frame
	MaxRelayToken     = 255      // bytes of an admission token
	MaxRelayErrorText = 255
	RelayTicketLen    = 32

	// MaxRelayFrame is the longest payload of the relay's frames: one-time
	// prekeys with their bundle are below a blob with its envelope.
	MaxRelayFrame = MaxBlob + 1024
)

// A RelayError answers a request that failed. Its codes are in spec §6.9.
type RelayError struct {
	Code uint16
	Text string // for logs of the client, never parsed
}

// Append appends the payload.
func (x RelayError) Append(b []byte) []byte {
	return AppendVec8(binary.BigEndian.AppendUint16(b, x.Code), []byte(x.Text))
}

// ParseRelayError parses it.
func ParseRelayError(b []byte) (RelayError, error) {
	r := NewReader(b)
	x := RelayError{Code: r.Uint16(), Text: string(r.Vec8(0, MaxRelayErrorText))}
	return done(r, x)
}

// A RelayAuth makes the connection its owner's (spec §6.3).
type RelayAuth struct {
	Owner      [32]byte // Ed25519, made for this relay alone
	Token      []byte   // admission, may be empty
	Extensions []Extension
	Signature  [64]byte // over RelayAuthSigned
}

// Append appends the payload.
func (x RelayAuth) Append(b []byte) []byte {
	b = AppendVec8(append(b, x.Owner[:]...), x.Token)
	b = AppendExtensions(b, x.Extensions)
	return append(b, x.Signature[:]...)
}

// ParseRelayAuth parses it.
func ParseRelayAuth(b []byte) (RelayAuth, error) {
	r := NewReader(b)
	x := RelayAuth{Owner: r.Array32(), Token: r.Vec8(0, MaxRelayToken), Extensions: r.Extensions(), Signature: r.Array64()}
	return done(r, x)
}

// Signed returns what the owner signs: the server's id, the connection's
// binding, and the payload without the signature.
func (x RelayAuth) Signed(server, binding [32]byte) []byte {
	b := append(append([]byte{}, server[:]...), binding[:]...)
	b = AppendVec8(append(b, x.Owner[:]...), x.Token)
	return AppendExtensions(b, x.Extensions)
}

// RelayTerms are what a relay grants its owner.
type RelayTerms struct {
	Now        uint64 // the relay's clock, Unix ms
	QuotaBytes uint64 // of stored blobs
	QuotaBlobs uint32
	Inboxes    uint32
	Knocks     uint32 // open at a time, for each knock inbox
	OneTime    uint32 // prekeys, for each inbox
	MaxBlob    uint32 // bytes
	TTL        uint32 // seconds a blob is kept
	Extensions []Extension
}

// Append appends the payload.
func (x RelayTerms) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, x.Now)
	b = binary.BigEndian.AppendUint64(b, x.QuotaBytes)
	for _, v := range []uint32{x.QuotaBlobs, x.Inboxes, x.Knocks, x.OneTime, x.MaxBlob, x.TTL} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return AppendExtensions(b, x.Extensions)
}

// ParseRelayTerms parses it.
func ParseRelayTerms(b []byte) (RelayTerms, error) {
	r := NewReader(b)
	x := RelayTerms{
		Now: r.Uint64(), QuotaBytes: r.Uint64(), QuotaBlobs: r.Uint32(), Inboxes: r.Uint32(),
		Knocks: r.Uint32(), OneTime: r.Uint32(), MaxBlob: r.Uint32(), TTL: r.Uint32(), Extensions: r.Extensions(),
	}
	return done(r, x)
}
