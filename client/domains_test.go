package client

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/domains"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/wire"
)

func hkdf32(t *testing.T, secret, salt []byte, context string) [32]byte {
	t.Helper()
	b, err := hkdf.Key(sha256.New, secret, salt, context, 32)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(b)
}

// The keys of inboxes, that a relay sees, and of what is compared.
func TestDomainsOfInboxes(t *testing.T) {
	at, secret := identity.ServerID{1}, [32]byte{2}
	c := &contact{info: contactInfo{Inbox: newSecret(secret), Token: newSecret(secret)}}
	inbox, token := c.mailboxAt(at)
	domains.Row(t, contextInbox, func(c string) bool { return hkdf32(t, secret[:], at[:], c) == inbox })
	domains.Row(t, contextToken, func(c string) bool { return hkdf32(t, secret[:], at[:], c) == token })

	p := profile{NoteSecret: newSecret(secret)}
	inbox, token, key := p.noteInbox(at)
	domains.Row(t, contextNoteInbox, func(c string) bool { return hkdf32(t, secret[:], at[:], c) == inbox })
	domains.Row(t, contextNoteToken, func(c string) bool { return hkdf32(t, secret[:], at[:], c) == token })
	domains.Row(t, contextNoteKey, func(c string) bool { return hkdf32(t, secret[:], at[:], c) == key })
	domains.Row(t, contextNote, func(c string) bool {
		k := &core{}
		k.profile.NoteSecret = newSecret(secret)
		k.profile.Instances = []instance{{5}}
		keep, _ := k.takeNote(at, relay.Mail{Inbox: inbox, Blob: sealBox(keyAEAD(key), c, append([]byte{5}, make([]byte, noteSize)...))})
		return keep
	})

	inbox, token = prekeyInbox(secret, at, 3)
	salt := binary.BigEndian.AppendUint32(bytes.Clone(at[:]), 3)
	domains.Row(t, contextPrekeyInbox, func(c string) bool { return hkdf32(t, secret[:], salt, c) == inbox })
	domains.Row(t, contextPrekeyToken, func(c string) bool { return hkdf32(t, secret[:], salt, c) == token })

	a, b := identity.PeerID{1}, identity.PeerID{2}
	domains.Row(t, contextConversation, func(c string) bool {
		return sha256.Sum256(slices.Concat([]byte(c), a[:], b[:])) == conversationOf(b, a)
	})
	domains.Row(t, contextDigest, func(c string) bool {
		id := MessageID{9}
		h := sha256.Sum256(append(binary.BigEndian.AppendUint64([]byte(c), 7), id[:]...))
		return digest(h[:16]) == digest{}.add(7, id)
	})
	key1, binding := [32]byte{4}, [32]byte{5}
	domains.Row(t, contextFileRequest, func(c string) bool { return hkdf32(t, key1[:], binding[:], c) == fileToken(key1, binding) })
	domains.Row(t, contextProbeKey, func(c string) bool {
		return hkdf32(t, append(bytes.Clone(key1[:]), binding[:]...), nil, c) == probeKey(key1, binding)
	})
}

// What goes through servers to a contact or a stranger.
func TestDomainsOfFirstContact(t *testing.T) {
	id, lookup := identity.PeerID{1}, [32]byte{2}
	box := wire.PrekeyBox{KnockKey: []byte("key"), Bundle: []byte("bundle")}.Append(nil)
	prekeys := func(key, bundle, oneTime string) bool {
		k := hkdf32(t, lookup[:], id[:], key)
		aead := keyAEAD(k)
		_, err := openPrekeys(id, lookup, sealBox(aead, bundle, box), sealBox(aead, oneTime, []byte("one")))
		return err == nil
	}
	domains.Row(t, contextBundleKey, func(c string) bool { return prekeys(c, contextBundle, contextOneTime) })
	domains.Row(t, contextBundle, func(c string) bool { return prekeys(contextBundleKey, c, contextOneTime) })
	domains.Row(t, contextOneTime, func(c string) bool { return prekeys(contextBundleKey, contextBundle, c) })

	secret, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := secret.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	k := &core{}
	k.profile.KnockKeys = append(k.profile.KnockKeys, newHidden(private))
	domains.Row(t, contextKnock, func(c string) bool {
		b, err := hpke.Seal(secret.PublicKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(c), wire.Knock{Message: []byte("x")}.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.openKnock(b)
		return err == nil
	})

	intro := [32]byte{3}
	n := &network{targets: map[identity.PeerID]*target{id: {ownIntro: newSecret(intro)}}}
	offer := wire.Offer{Peer: id, Secret: [32]byte{4}}
	domains.Row(t, contextOffer, func(c string) bool {
		_, _, _, _, ok := n.openOffer(sealBox(introAEAD(intro), c, offer.Append(nil)))
		return ok
	})
	domains.Row(t, contextAnswer, func(c string) bool {
		_, err := openBox(introAEAD(intro), answerContext(offer), sealBox(introAEAD(intro), c+string(offer.Secret[:]), []byte("x")))
		return err == nil
	})
	domains.Row(t, contextFirstMail, func(c string) bool {
		_, err := openBox(introAEAD(intro), contextFirstMail, sealBox(introAEAD(intro), c, []byte("initial")))
		return err == nil
	})
	domains.Row(t, contextSealedInvite, func(c string) bool {
		_, err := openBox(keyAEAD(intro), contextSealedInvite, sealBox(keyAEAD(intro), c, []byte("sremp:")))
		return err == nil
	})
}

// What lies on the disk and in backups.
func TestDomainsOfStorage(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 32)
	v := newVault(nil, key)
	opens := func(rowKey, row string) bool {
		k := hkdf32(t, key, nil, rowKey)
		aead := keyAEAD(k)
		nonce := make([]byte, chacha20poly1305.NonceSizeX)
		ad := append([]byte(row), bytes.TrimPrefix(place(TableOutbox, 7, 3, 1), []byte(contextRow))...)
		_, err := v.open(TableOutbox, Row{Owner: 7, Seq: 3, State: 1, Body: aead.Seal(nonce, nonce, []byte("x"), ad)})
		return err == nil
	}
	domains.Row(t, contextRowKey, func(c string) bool { return opens(c, contextRow) })
	domains.Row(t, contextRow, func(c string) bool { return opens(contextRowKey, c) })
	domains.Row(t, contextTagKey, func(c string) bool {
		k := hkdf32(t, key, nil, c)
		id := MessageID{9}
		h := hmac.New(sha256.New, k[:])
		h.Write(append(binary.BigEndian.AppendUint64(nil, 7), id[:]...))
		return int64(binary.BigEndian.Uint64(h.Sum(nil))>>1|1) == v.tag(7, id)
	})

	kit, ring := [32]byte{2}, [32]byte{3}
	kdf := identity.KDFParams{Time: 1, MemoryKiB: 8, Threads: 1}
	header := func(kind uint8, sealed []byte) []byte { return appendHolders([]holder{{kind, sealed}}) }
	domains.Row(t, contextDatabaseKey, func(c string) bool {
		_, err := openHolders(header(holdsPassphrase, identity.SealSecret([]byte("pw"), kdf, c, key)), []byte("pw"), nil, nil)
		return err == nil
	})
	domains.Row(t, contextKitKey, func(c string) bool {
		k := hkdf32(t, kit[:], nil, c)
		_, err := openHolders(header(holdsKit, sealBox(keyAEAD(k), contextHolder+"\x02", key)), nil, &kit, nil)
		return err == nil
	})
	domains.Row(t, contextKeyringKey, func(c string) bool {
		k := hkdf32(t, ring[:], nil, c)
		_, err := openHolders(header(holdsKeyring, sealBox(keyAEAD(k), contextHolder+"\x03", key)), nil, nil, &ring)
		return err == nil
	})
	domains.Row(t, contextHolder, func(c string) bool {
		_, err := openHolders(header(holdsKit, sealBox(keyAEAD(kitKey(kit)), c+"\x02", key)), nil, &kit, nil)
		return err == nil
	})
	domains.Row(t, contextBackup, func(c string) bool {
		var at backupPlace
		ad := c + strings.TrimPrefix(at.data(true), contextBackup)
		r := &backupReader{r: bufio.NewReader(bytes.NewReader(sealBox(v.aead, ad, make([]byte, backupChunk)))), aead: v}
		row, err := r.next()
		if err != nil && !errors.Is(err, ErrBadBackup) {
			t.Fatal(err)
		}
		return err == nil && row.table == 0
	})
}
