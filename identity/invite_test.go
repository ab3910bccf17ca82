package identity

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/wire"
)

func TestInviteRoundTrip(t *testing.T) {
	full := testInvite(t)
	full.Extensions = []wire.Extension{{Type: 7, Data: []byte("future")}}
	for _, want := range []Invite{full, testInvite(t), leastInvite(t)} {
		uri := want.URI()
		for how, text := range map[string]string{
			"as it is":    uri,
			"as QR":       strings.ToUpper(uri),
			"wrapped":     " " + uri[:40] + "\r\n  " + uri[40:90] + "\n" + uri[90:] + "\n",
			"upper start": strings.ToUpper(uri[:6]) + uri[6:],
		} {
			got, err := ParseInvite(text)
			if err != nil {
				t.Errorf("%s: %v", how, err)
				continue
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %s, want %s", how, got.URI(), want.URI())
			}
		}
		for n := range uri {
			if _, err := ParseInvite(uri[:n]); !errors.Is(err, ErrBadInvite) {
				t.Fatalf("cut to %d letters: got %v, want ErrBadInvite", n, err)
			}
			c := "a"
			if uri[n] == 'a' {
				c = "b"
			}
			if _, err := ParseInvite(uri[:n] + c + uri[n+1:]); !errors.Is(err, ErrBadInvite) {
				t.Fatalf("letter %d mistyped: got %v, want ErrBadInvite", n, err)
			}
		}
	}
}

// An invite is text from anywhere.
func TestInviteHostile(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "scheme": "sremp:", "web": "https://example.org/", "server": testInvite(t).Relays[0].String(),
		"long": InviteScheme + strings.Repeat("a", MaxInviteText), "padding": leastInvite(t).URI() + "=",
		"trailing": leastInvite(t).URI() + "a", "other letters": "sremp:0189",
	} {
		if _, err := ParseInvite(s); !errors.Is(err, ErrBadInvite) {
			t.Errorf("%s: got %v, want ErrBadInvite", name, err)
		}
	}
}

// Spec §2.8: what the checksum cannot see.
func TestInviteRules(t *testing.T) {
	addr := func(s string) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(s)} }
	bad := unhex32(t, badEd25519["identity point"])
	for name, change := range map[string]func(*Invite){
		"no peer":            func(i *Invite) { i.Peer = PeerID{} },
		"weak peer":          func(i *Invite) { i.Peer = bad },
		"no secret":          func(i *Invite) { i.Secret = [32]byte{} },
		"no expiry":          func(i *Invite) { i.Expires = time.Unix(0, 0) },
		"year 10000":         func(i *Invite) { i.Expires = time.Unix(wire.MaxTime+1, 0) },
		"name":               func(i *Invite) { i.Name = "Alice\u202e" },
		"unspecified":        func(i *Invite) { i.Addrs = addr("0.0.0.0:1") },
		"multicast":          func(i *Invite) { i.Addrs = addr("[ff02::1]:1") },
		"broadcast":          func(i *Invite) { i.Addrs = addr("255.255.255.255:1") },
		"relay without port": func(i *Invite) { i.Relays[0].Port = 0 },
		"relay host":         func(i *Invite) { i.Relays[0].Host = "a b" },
		"relay key":          func(i *Invite) { i.Relays[0].ID = bad },
		"rendezvous key":     func(i *Invite) { i.Rendezvous[0].ID = bad },
		"many relays": func(i *Invite) {
			for len(i.Relays) <= wire.MaxInviteServers {
				i.Relays = append(i.Relays, i.Relays[0])
			}
		},
		"many addresses": func(i *Invite) {
			for len(i.Addrs) <= wire.MaxInviteAddrs {
				i.Addrs = append(i.Addrs, i.Addrs[0])
			}
		},
	} {
		i := testInvite(t)
		change(&i)
		if err := i.Check(); !errors.Is(err, ErrBadInvite) {
			t.Errorf("%s: Check = %v, want ErrBadInvite", name, err)
		}
		b := i.wire().Append(nil)
		uri := InviteScheme + textEncoding.EncodeToString(append(b, inviteChecksum(b)...))
		if _, err := ParseInvite(uri); !errors.Is(err, ErrBadInvite) {
			t.Errorf("%s: got %v, want ErrBadInvite", name, err)
		}
	}
}

// The largest invite still parses, and no shorter limit cuts it.
func TestInviteLargest(t *testing.T) {
	i := testInvite(t)
	i.Name = strings.Repeat("界", MaxNameChars)
	for len(i.Addrs) < wire.MaxInviteAddrs {
		i.Addrs = append(i.Addrs, i.Addrs[1])
	}
	server := ServerAddr{ID: i.Relays[0].ID, Host: strings.Repeat("a", wire.MaxHost), Port: 65535}
	i.Relays = []ServerAddr{server, server, server, server}
	i.Rendezvous = i.Relays
	if got, err := ParseInvite(i.URI()); err != nil || len(got.Rendezvous) != 4 {
		t.Errorf("%d letters: %v", len(i.URI()), err)
	}
}

// The relay sees the knock, and must learn nothing else from it.
func TestInviteKeysDiffer(t *testing.T) {
	a := testInvite(t)
	b := a
	b.Secret = NewInviteSecret()
	c := a
	c.Peer = PeerID(testSecretKey(t, 88).Public())
	seen := map[[32]byte]bool{a.Secret: true}
	for _, i := range []Invite{a, b, c} {
		for _, k := range [][32]byte{i.Knock(), i.PSK(), i.HelloKey(), i.IntroKey()} {
			if seen[k] || k == [32]byte{} {
				t.Errorf("key %x came twice", k)
			}
			seen[k] = true
		}
	}
}

func FuzzParseInvite(f *testing.F) {
	f.Add(testInvite(f).URI())
	f.Add(leastInvite(f).URI())
	f.Add(strings.ToUpper(leastInvite(f).URI()))
	f.Fuzz(func(t *testing.T, s string) {
		i, err := ParseInvite(s)
		if err != nil {
			return
		}
		again, err := ParseInvite(i.URI())
		if err != nil || !reflect.DeepEqual(again, i) || !strings.EqualFold(i.URI(), strings.Join(strings.Fields(s), "")) {
			t.Errorf("ParseInvite(%q) = %s, again %v", s, i.URI(), err)
		}
	})
}
