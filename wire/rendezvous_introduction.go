package wire

import "encoding/binary"

// A RendezvousIntroduce asks to pass an offer on to the holder of a blinded key.
//
//	struct { uint32 request; opaque blinded[32]; opaque offer[4136]; } Introduce;
type RendezvousIntroduce struct {
	Request uint32
	Blinded [32]byte
	Offer   []byte // RendezvousBlob bytes
}

// Append appends the payload of the frame.
func (x RendezvousIntroduce) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), x.Blinded[:]...)
	return appendBlob(b, x.Offer)
}

// ParseRendezvousIntroduce decodes the payload of the frame.
func ParseRendezvousIntroduce(b []byte) (RendezvousIntroduce, error) {
	r := NewReader(b)
	x := RendezvousIntroduce{Request: r.Uint32(), Blinded: r.Array32(), Offer: r.Bytes(RendezvousBlob)}
	return done(r, x)
}

// A RendezvousIntroduced answers an Introduce. It tells the offerer to begin.
//
//	struct { uint32 request; uint8 status; opaque answer[4136]; } Introduced;
//
// The answer is zero unless the status is OK.
type RendezvousIntroduced struct {
	Request uint32
	Status  RendezvousStatus
	Answer  []byte // RendezvousBlob bytes; nil unless Status is OK
}

// Append appends the payload of the frame.
func (x RendezvousIntroduced) Append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, x.Request), byte(x.Status))
	if x.Status != RendezvousOK {
		return append(b, make([]byte, RendezvousBlob)...)
	}
	return appendBlob(b, x.Answer)
}

// ParseRendezvousIntroduced decodes the payload of the frame.
func ParseRendezvousIntroduced(b []byte) (RendezvousIntroduced, error) {
	r := NewReader(b)
	x := RendezvousIntroduced{Request: r.Uint32(), Status: r.RendezvousStatus()}
	if x.Status == RendezvousOK {
		x.Answer = r.Bytes(RendezvousBlob)
	} else {
		r.zeros(RendezvousBlob)
	}
	return done(r, x)
}

// A RendezvousOffer passes an offer on.
//
//	struct { opaque introduction[16]; opaque blinded[32]; opaque offer[4136]; } Offer;
type RendezvousOffer struct {
	Introduction [16]byte // random, names this introduction between server and receiver
	Blinded      [32]byte
	Offer        []byte // RendezvousBlob bytes
}

// Append appends the payload of the frame.
func (x RendezvousOffer) Append(b []byte) []byte {
	return appendBlob(append(append(b, x.Introduction[:]...), x.Blinded[:]...), x.Offer)
}

// ParseRendezvousOffer decodes the payload of the frame.
func ParseRendezvousOffer(b []byte) (RendezvousOffer, error) {
	r := NewReader(b)
	x := RendezvousOffer{Introduction: r.Array16(), Blinded: r.Array32(), Offer: r.Bytes(RendezvousBlob)}
	return done(r, x)
}

// A RendezvousAnswer is the receiver's answer to an Offer.
//
//	struct { opaque introduction[16]; opaque answer[4136]; } Answer;
type RendezvousAnswer struct {
	Introduction [16]byte
	Answer       []byte // RendezvousBlob bytes
}

// Append appends the payload of the frame.
func (x RendezvousAnswer) Append(b []byte) []byte {
	return appendBlob(append(b, x.Introduction[:]...), x.Answer)
}

// ParseRendezvousAnswer decodes the payload of the frame.
func ParseRendezvousAnswer(b []byte) (RendezvousAnswer, error) {
	r := NewReader(b)
	x := RendezvousAnswer{Introduction: r.Array16(), Answer: r.Bytes(RendezvousBlob)}
	return done(r, x)
}

// A RendezvousGo answers an Answer. With status OK it leaves the server together
// with the Introduced frame, and tells the receiver to begin.
//
//	struct { opaque introduction[16]; uint8 status; } Go;
type RendezvousGo struct {
	Introduction [16]byte
	Status       RendezvousStatus
}

// Append appends the payload of the frame.
func (x RendezvousGo) Append(b []byte) []byte {
	return append(append(b, x.Introduction[:]...), byte(x.Status))
}

// ParseRendezvousGo decodes the payload of the frame.
func ParseRendezvousGo(b []byte) (RendezvousGo, error) {
	r := NewReader(b)
	x := RendezvousGo{Introduction: r.Array16(), Status: r.RendezvousStatus()}
	return done(r, x)
}

// appendBlob appends a sealed offer or answer; another length panics.
func appendBlob(b, blob []byte) []byte {
	if len(blob) != RendezvousBlob {
		panic("wire: an introduction of the wrong size")
	}
	return append(b, blob...)
}
