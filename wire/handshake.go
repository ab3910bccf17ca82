package wire

// A HandshakePayload is what one side says of itself inside a handshake message
// (spec §3.3).
//
//	struct {
//	    opaque credential<0..2^14-1>;  // identity record or server certificate; empty: anonymous
//	    Extension extensions<0..2^15>;
//	} HandshakePayload;
type HandshakePayload struct {
	Credential []byte
	Extensions []Extension
}

// MaxCredential is the most bytes of a credential.
const MaxCredential = 1<<14 - 1

// Append appends the payload.
func (x HandshakePayload) Append(b []byte) []byte {
	return AppendExtensions(AppendVec16(b, x.Credential), x.Extensions)
}

// ParseHandshakePayload decodes a payload; its slices alias b.
func ParseHandshakePayload(b []byte) (HandshakePayload, error) {
	r := NewReader(b)
	x := HandshakePayload{Credential: r.Vec16(0, MaxCredential), Extensions: r.Extensions()}
	if err := r.Done(); err != nil {
		return HandshakePayload{}, err
	}
	return x, nil
}
