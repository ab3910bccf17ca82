package rendezvous

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
)

// A lockedBuffer is a log that many write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// A citizen is somebody whom a curious operator would like to know.
type citizen struct {
	local  *identity.Local
	lookup [32]byte
	remote netip.AddrPort // what it tells its friends; the server sees 11.0.0.0/8
	client *Client
}

// After a day of a thousand unlisted people a curious operator finds, in what is
// stored and in the log at its most verbose, no identity, no name, no address, no
// lookup secret, and nothing that joins two people (spec §7.1, negative test 23).
func TestCuriousOperator(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	synctest.Test(t, func(t *testing.T) {
		log := &lockedBuffer{}
		store := &MemoryStore{}
		f := newFixture(t, ServerConfig{
			Store: store, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		rng := rand.New(rand.NewPCG(1, 2))
		var people []*citizen
		for i := range n {
			p := f.connect()
			c := &citizen{
				local: newPerson(t, fmt.Sprintf("Citizen %d of many", i)), remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, byte(i >> 8), byte(i), 77}), 40000),
			}
			for j := range c.lookup {
				c.lookup[j] = byte(rng.Uint32())
			}
			var err error
			if c.client, err = newClient(t.Context(), f.key.ID(), p, p.Conn); err != nil {
				t.Fatal(err)
			}
			people = append(people, c)
			if err := c.client.Register(t.Context(), time.Now(), c.local, c.lookup, testContent(t, c.local), 0); err != nil {
				t.Fatal(err)
			}
			go func() {
				for in := range c.client.Introductions() {
					_ = in.Answer(context.Background(), in.Sealed)
				}
			}()
		}
		for range 2 { // a day
			for _, c := range people {
				friend := people[rng.IntN(n)]
				if _, _, err := c.client.Lookup(t.Context(), time.Now(), friend.local.PeerID(), friend.lookup); err != nil {
					t.Fatal(err)
				}
				offer := append(c.remote.Addr().AsSlice(), friend.lookup[:]...)
				if _, err := c.client.Introduce(t.Context(), time.Now(), friend.local.PeerID(), friend.lookup, offer); err != nil {
					t.Fatal(err)
				}
				if _, err := c.client.Subscribe(t.Context(), time.Now(), friend.local.PeerID(), friend.lookup); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(11 * time.Hour)
			for _, c := range people {
				if _, err := c.client.Renew(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range people {
			c.client.Close()
		}
		synctest.Wait()

		var dump bytes.Buffer // all that the store holds, byte for byte
		for name, r := range store.records {
			dump.Write(name[:])
			dump.Write(r.Blinded[:])
			dump.Write(r.Sealed)
			fmt.Fprint(&dump, r.Expires.Unix())
		}
		if len(store.listed) != 0 || len(store.order) != 0 {
			t.Error("the unlisted are on the list")
		}
		if len(store.records) < n {
			t.Fatalf("%d records of %d people: there was nothing to find", len(store.records), n)
		}
		text := log.b.String()
		if !strings.Contains(text, "connection ended") {
			t.Fatal("the log is empty: there was nothing to find")
		}
		today := Period(time.Now())
		for _, c := range people {
			id := c.local.PeerID()
			noise, agreement := c.local.NoiseKey().Public(), c.local.AgreementKey().Public()
			for what, secret := range map[string][]byte{
				"identity": id[:], "lookup secret": c.lookup[:], "Noise key": noise[:], "agreement key": agreement[:],
				"name": []byte(c.local.Record().Name), "record": c.local.Record().Bytes(), "binary address": c.remote.Addr().AsSlice()[:4:4],
			} {
				if what != "binary address" && bytes.Contains(dump.Bytes(), secret) { // four bytes may occur by chance
					t.Errorf("the store has the %s of %s", what, c.local.Record().Name)
				}
				if bytes.Contains([]byte(text), secret) || strings.Contains(text, hex.EncodeToString(secret)) {
					t.Errorf("the log has the %s of %s", what, c.local.Record().Name)
				}
			}
			for _, s := range []string{id.String(), id.Short(), "11.0."} {
				if strings.Contains(text, s) || bytes.Contains(dump.Bytes(), []byte(s)) {
					t.Errorf("the log or the store has %q", s)
				}
			}
			for _, p := range []uint64{today - 1, today, today + 1} {
				name := BlindedName(id, c.lookup, p).Blinded
				if strings.Contains(text, hex.EncodeToString(name[:])) || bytes.Contains([]byte(text), name[:]) {
					t.Error("the log has a blinded key: with others it would show who knows whom")
				}
				// A record names itself only: key of the table, and key of the row.
				if k := bytes.Count(dump.Bytes(), name[:]); k != 0 && k != 2 {
					t.Errorf("a blinded key stands %d times in the store, want its own two", k)
				}
			}
		}
	})
}
