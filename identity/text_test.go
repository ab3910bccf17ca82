package identity

import (
	"slices"
	"strings"
	"testing"
)

func kitText(seed [32]byte) string {
	words := KitWords(seed)
	return strings.Join(words[:], " ")
}

// Texts that a person pastes: what is accepted has one form, which is accepted
// again and means the same.
func FuzzTexts(f *testing.F) {
	key := [32]byte{31: 1}
	for i := byte(1); CheckEd25519(key) != nil; i++ {
		key[0] = i
	}
	addr := ServerAddr{ID: ServerID(key), Host: "2001:db8::1", Port: 4433}
	for _, s := range []string{
		PeerID(key).String(), ServerID(key).String(), addr.String(), kitText([32]byte{1, 2, 3}), "", " \u202e", "host:70000",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParsePeerID(s); err == nil {
			if again, err := ParsePeerID(id.String()); err != nil || again != id {
				t.Errorf("peer %q: again %v, %v", s, again, err)
			}
		}
		if id, err := ParseServerID(s); err == nil {
			if again, err := ParseServerID(id.String()); err != nil || again != id {
				t.Errorf("server %q: again %v, %v", s, again, err)
			}
		}
		if a, err := ParseServerAddr(s); err == nil {
			if again, err := ParseServerAddr(a.String()); err != nil || again != a {
				t.Errorf("address %q: again %v, %v", s, again, err)
			}
		}
		if seed, err := ParseKit(s); err == nil {
			if again, err := ParseKit(kitText(seed)); err != nil || again != seed {
				t.Errorf("kit %q: again %x, %v", s, again, err)
			}
		}
		var id PeerID
		var a ServerAddr
		one, two := id.UnmarshalText([]byte(s)), a.UnmarshalText([]byte(s))
		_, errID := ParsePeerID(s)
		_, errAddr := ParseServerAddr(s)
		if got, want := []bool{one == nil, two == nil}, []bool{errID == nil, errAddr == nil}; !slices.Equal(got, want) {
			t.Errorf("%q: UnmarshalText accepts %v, the parsers %v", s, got, want)
		}
	})
}
