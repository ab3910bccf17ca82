package wire

import "encoding/binary"

// Frames on the message streams of a peer connection (spec §8.5).
const (
	FrameMessage   = 0x0300 // a ratchet message
	FrameFirst     = 0x0301 // Knock: an initial message that uses an invite
	FrameGetBundle = 0x0302 // GetBundle
	FrameBundle    = 0x0303 // PrekeyBox
)

// Limits of first contact (spec §8.3, §8.5).
const (
	// MaxRatchetMessage is the largest bucket and what prekey agreement and
	// header add to it.
	MaxRatchetMessage = 262144 + 32<<10
	// MaxMessageFrame bounds the payload of a frame on a message stream.
	MaxMessageFrame = MaxRatchetMessage + 64
	MaxBundle       = 16 << 10
	MaxOneTime      = 4 << 10
	MaxKnockKey     = 4 << 10
)

// A Knock is an initial ratchet message with the invite that it uses. On its
// way through a relay it is sealed with HPKE (spec §8.3).
//
//	struct { opaque token[32]; opaque message<1..2^24-1>; } Knock;
type Knock struct {
	Token   [32]byte // of the invite: HKDF(secret, "knock")
	Message []byte
}

// Append appends the knock.
func (x Knock) Append(b []byte) []byte { return AppendVec24(append(b, x.Token[:]...), x.Message) }

// ParseKnock decodes a knock.
func ParseKnock(b []byte) (Knock, error) {
	r := NewReader(b)
	x := Knock{r.Array32(), r.Vec24(1, MaxRatchetMessage)}
	return done(r, x)
}

// A GetBundle asks a peer for its prekeys, showing the invite's token.
//
//	struct { opaque token[32]; } GetBundle;
type GetBundle struct{ Token [32]byte }

// Append appends the question.
func (x GetBundle) Append(b []byte) []byte { return append(b, x.Token[:]...) }

// ParseGetBundle decodes a question.
func ParseGetBundle(b []byte) (GetBundle, error) {
	r := NewReader(b)
	x := GetBundle{r.Array32()}
	return done(r, x)
}

// A PrekeyBox is what somebody who was invited needs for a first message: the
// answer to a GetBundle, and, without a one-time key, what stands sealed at the
// relay (spec §8.3).
//
//	struct {
//	    opaque bundle<1..2^14>;
//	    opaque one_time<0..2^12>;    // empty: none is left
//	    opaque knock_key<1..2^12>;   // HPKE public key, MLKEM768-X25519
//	    Extension extensions<0..2^15>;
//	} PrekeyBox;
type PrekeyBox struct {
	Bundle     []byte
	OneTime    []byte
	KnockKey   []byte
	Extensions []Extension
}

// Append appends the box.
func (x PrekeyBox) Append(b []byte) []byte {
	b = AppendVec16(AppendVec16(AppendVec16(b, x.Bundle), x.OneTime), x.KnockKey)
	return AppendExtensions(b, x.Extensions)
}

// ParsePrekeyBox decodes a box; its keys are not checked.
func ParsePrekeyBox(b []byte) (PrekeyBox, error) {
	r := NewReader(b)
	x := PrekeyBox{
		Bundle: r.Vec16(1, MaxBundle), OneTime: r.Vec16(0, MaxOneTime),
		KnockKey: r.Vec16(1, MaxKnockKey), Extensions: r.Extensions(),
	}
	return done(r, x)
}

// MaxTicket bounds a forwarding ticket in an offer.
const MaxTicket = 512

// An Offer asks a peer to connect (spec §8.6). It travels in a hello, or sealed
// in an introduction.
//
//	struct {
//	    opaque peer[32];             // who asks
//	    opaque secret[32];           // goes into the probe key
//	    uint64 sent_at;              // Unix milliseconds
//	    Candidates candidates;
//	    uint8 count; Server relay[count];           // 0 or 1: the ticket's
//	    opaque ticket<0..512>;
//	    Extension extensions<0..2^15>;
//	} Offer;
type Offer struct {
	Peer       [32]byte
	Secret     [32]byte
	SentAt     uint64
	Candidates []Candidate
	Relay      []Server
	Ticket     []byte
	Extensions []Extension
}

// Append appends the offer.
func (x Offer) Append(b []byte) []byte {
	b = append(append(b, x.Peer[:]...), x.Secret[:]...)
	b = binary.BigEndian.AppendUint64(b, x.SentAt)
	b = AppendCandidates(b, x.Candidates)
	b = AppendServers(b, x.Relay)
	return AppendExtensions(AppendVec16(b, x.Ticket), x.Extensions)
}

// ParseOffer decodes an offer.
func ParseOffer(b []byte) (Offer, error) {
	r := NewReader(b)
	x := Offer{
		Peer: r.Array32(), Secret: r.Array32(), SentAt: r.Uint64(), Candidates: r.Candidates(),
		Relay: r.Servers(1), Ticket: r.Vec16(0, MaxTicket), Extensions: r.Extensions(),
	}
	return done(r, x)
}

// What an Answer says.
const (
	AnswerConnect = 1 // both sides connect now
	AnswerLater   = 2 // the answerer's own offer goes first, or a connection was just made
	AnswerRefused = 3 // the invite was used by somebody else, or is over
)

// An Answer is the reply to an Offer.
//
//	struct {
//	    uint8 what;
//	    opaque secret[32];           // goes into the probe key
//	    Candidates candidates;
//	    bool joined;                 // the offer's forwarding session
//	    Extension extensions<0..2^15>;
//	} Answer;
type Answer struct {
	What       uint8
	Secret     [32]byte
	Candidates []Candidate
	Joined     bool
	Extensions []Extension
}

// Append appends the answer.
func (x Answer) Append(b []byte) []byte {
	b = AppendCandidates(append(append(b, x.What), x.Secret[:]...), x.Candidates)
	joined := byte(0)
	if x.Joined {
		joined = 1
	}
	return AppendExtensions(append(b, joined), x.Extensions)
}

// ParseAnswer decodes an answer.
func ParseAnswer(b []byte) (Answer, error) {
	r := NewReader(b)
	x := Answer{
		What: r.Uint8(), Secret: r.Array32(), Candidates: r.Candidates(),
		Joined: r.Bool(), Extensions: r.Extensions(),
	}
	if x.What < AnswerConnect || x.What > AnswerRefused {
		r.Fail(ErrNotCanonical)
	}
	return done(r, x)
}
