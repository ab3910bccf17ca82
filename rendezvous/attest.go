package rendezvous

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// contextAttestation is the context of an attestation's signature (spec §5.22.8).
const contextAttestation = "SREMP v1 rendezvous attestation"

// attestationLife is how long an attestation counts, by its server's clock.
const attestationLife = time.Minute

// attestationMessage is what the server signs.
func attestationMessage(subject [32]byte, x wire.Attestation) []byte {
	a := x.Address.As16()
	return binary.BigEndian.AppendUint64(append(subject[:], a[:]...), x.Time)
}

// attest signs where the connection comes from.
func (s *Server) attest(id connID, l link, x wire.RendezvousAttest) wire.RendezvousAttested {
	now := s.now()
	s.mu.Lock()
	allowed := s.core.allow(now, id, rateLookup)
	s.mu.Unlock()
	if !allowed {
		return wire.RendezvousAttested{Request: x.Request, Status: wire.RendezvousBusy}
	}
	a := wire.Attestation{Server: s.id, Address: l.RemoteAddr().Addr().Unmap().WithZone(""), Time: milliseconds(now)}
	a.Signature = s.others.key.Sign(contextAttestation, attestationMessage(x.Subject, a))
	return wire.RendezvousAttested{Request: x.Request, Attestation: a}
}

// Attest has the server sign that it sees us at our address now. subject is what
// the attestation is for: a hash that only the receiver, who knows what is
// hashed, can connect with us.
func (c *Client) Attest(ctx context.Context, subject [32]byte) (wire.Attestation, error) {
	b, err := c.call(ctx, wire.FrameRendezvousAttest, wire.FrameRendezvousAttested, func(req uint32) []byte {
		return wire.RendezvousAttest{Request: req, Subject: subject}.Append(nil)
	})
	if err != nil {
		return wire.Attestation{}, err
	}
	x, err := wire.ParseRendezvousAttested(b)
	if err != nil {
		return wire.Attestation{}, c.fail(err)
	}
	return x.Attestation, statusError(x.Status)
}

// CheckAttestation reports whether the server that c is connected to has signed
// x for subject within the last minute, by its clock.
func (c *Client) CheckAttestation(subject [32]byte, x wire.Attestation) bool {
	age := c.ServerTime().Sub(time.UnixMilli(int64(x.Time)))
	return identity.ServerID(x.Server) == c.server && x.Address.IsValid() && age.Abs() <= attestationLife &&
		identity.Verify(x.Server, contextAttestation, attestationMessage(subject, x), x.Signature)
}
