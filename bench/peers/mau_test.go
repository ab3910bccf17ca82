package peers

import (
	"context"
	"testing"

	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/util/keyhelper"
)

// mauStore keeps everything in memory, as that library's own tests do: no
// message pays for storage.
type mauStore struct {
	pair     *identity.KeyPair
	id       uint32
	sessions map[string]*record.Session
	prekeys  map[uint32]*record.PreKey
	signed   *record.SignedPreKey
	codec    *serialize.Serializer
}

func (s *mauStore) GetIdentityKeyPair() *identity.KeyPair { return s.pair }
func (s *mauStore) GetLocalRegistrationID() uint32        { return s.id }
func (s *mauStore) SaveIdentity(context.Context, *protocol.SignalAddress, *identity.Key) error {
	return nil
}
func (s *mauStore) IsTrustedIdentity(context.Context, *protocol.SignalAddress, *identity.Key) (bool, error) {
	return true, nil
}

func (s *mauStore) LoadSession(_ context.Context, a *protocol.SignalAddress) (*record.Session, error) {
	if r, ok := s.sessions[a.String()]; ok {
		return r, nil
	}
	r := record.NewSession(s.codec.Session, s.codec.State)
	s.sessions[a.String()] = r
	return r, nil
}
func (s *mauStore) GetSubDeviceSessions(context.Context, string) ([]uint32, error) { return nil, nil }
func (s *mauStore) StoreSession(_ context.Context, a *protocol.SignalAddress, r *record.Session) error {
	s.sessions[a.String()] = r
	return nil
}
func (s *mauStore) ContainsSession(_ context.Context, a *protocol.SignalAddress) (bool, error) {
	_, ok := s.sessions[a.String()]
	return ok, nil
}
func (s *mauStore) DeleteSession(_ context.Context, a *protocol.SignalAddress) error {
	delete(s.sessions, a.String())
	return nil
}
func (s *mauStore) DeleteAllSessions(context.Context) error { clear(s.sessions); return nil }

func (s *mauStore) LoadPreKey(_ context.Context, id uint32) (*record.PreKey, error) {
	return s.prekeys[id], nil
}
func (s *mauStore) StorePreKey(_ context.Context, id uint32, r *record.PreKey) error {
	s.prekeys[id] = r
	return nil
}
func (s *mauStore) ContainsPreKey(_ context.Context, id uint32) (bool, error) {
	return s.prekeys[id] != nil, nil
}
func (s *mauStore) RemovePreKey(context.Context, uint32) error { return nil }

func (s *mauStore) LoadSignedPreKey(context.Context, uint32) (*record.SignedPreKey, error) {
	return s.signed, nil
}
func (s *mauStore) LoadSignedPreKeys(context.Context) ([]*record.SignedPreKey, error) {
	return []*record.SignedPreKey{s.signed}, nil
}
func (s *mauStore) StoreSignedPreKey(context.Context, uint32, *record.SignedPreKey) error { return nil }
func (s *mauStore) ContainsSignedPreKey(context.Context, uint32) (bool, error)            { return true, nil }
func (s *mauStore) RemoveSignedPreKey(context.Context, uint32) error                      { return nil }

type mauEnd struct {
	store   *mauStore
	address *protocol.SignalAddress
	builder *session.Builder
	cipher  *session.Cipher
}

type mau struct {
	t     testing.TB
	codec *serialize.Serializer
	a, b  *mauEnd
}

func newMau(t testing.TB) *mau {
	p := &mau{t: t, codec: serialize.NewProtoBufSerializer()}
	for i, e := range []**mauEnd{&p.a, &p.b} {
		pair, err := keyhelper.GenerateIdentityKeyPair()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := keyhelper.GenerateSignedPreKey(pair, 0, p.codec.SignedPreKeyRecord)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := keyhelper.GeneratePreKeys(1, 1, p.codec.PreKeyRecord)
		if err != nil {
			t.Fatal(err)
		}
		s := &mauStore{
			pair: pair, id: uint32(i + 1), sessions: map[string]*record.Session{},
			prekeys: map[uint32]*record.PreKey{keys[0].ID().Value: keys[0]}, signed: signed, codec: p.codec,
		}
		*e = &mauEnd{store: s, address: protocol.NewSignalAddress("peer", uint32(i+1))}
	}
	p.agree()
	return p
}

func (p *mau) connect(e, to *mauEnd) {
	s := e.store
	clear(s.sessions)
	e.builder = session.NewBuilder(s, s, s, s, to.address, p.codec)
	e.cipher = session.NewCipher(e.builder, to.address)
}

// agree makes a session without a one-time key, as ours does.
func (p *mau) agree() {
	p.connect(p.a, p.b)
	p.connect(p.b, p.a)
	s := p.b.store
	bundle := prekey.NewBundle(s.id, 1, nil, s.signed.ID(), nil,
		s.signed.KeyPair().PublicKey(), s.signed.Signature(), s.pair.PublicKey())
	if err := p.a.builder.ProcessBundle(context.Background(), bundle); err != nil {
		p.t.Fatal(err)
	}
	first, err := protocol.NewPreKeySignalMessageFromBytes(p.encrypt([]byte("?")), p.codec.PreKeySignalMessage, p.codec.SignalMessage)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.b.cipher.DecryptMessage(context.Background(), first); err != nil {
		p.t.Fatal(err)
	}
	p.swap()
	p.must(p.encrypt([]byte("!")))
	p.swap()
	p.must(p.encrypt([]byte("a step")))
}

func (p *mau) encrypt(plain []byte) []byte {
	m, err := p.a.cipher.Encrypt(context.Background(), plain)
	if err != nil {
		p.t.Fatal(err)
	}
	return m.Serialize()
}

func (p *mau) decrypt(msg []byte) ([]byte, error) {
	m, err := protocol.NewSignalMessageFromBytes(msg, p.codec.SignalMessage)
	if err != nil {
		return nil, err
	}
	return p.b.cipher.Decrypt(context.Background(), m)
}

func (p *mau) must(msg []byte) {
	if _, err := p.decrypt(msg); err != nil {
		p.t.Fatal(err)
	}
}

func (p *mau) swap() { p.a, p.b = p.b, p.a }

func (p *mau) state() []byte { return p.b.store.sessions[p.a.address.String()].Serialize() }

func (p *mau) restore(state []byte) {
	n, err := record.NewSessionFromBytes(state, p.codec.Session, p.codec.State)
	if err != nil {
		p.t.Fatal(err)
	}
	p.b.store.sessions[p.a.address.String()] = n
}
