package handshake

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/flynn/noise"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/transcripts.txt; commit it only if the spec changed")

// fixedDH gives one ephemeral key, so that a transcript can be written down.
type fixedDH struct {
	strictDH
	ephemeral identity.DHKey
}

func (d fixedDH) GenerateKeypair(io.Reader) (noise.DHKey, error) { return keypair(d.ephemeral), nil }

// fixedLocal is an identity whose keys are seed and role, 16 times.
func fixedLocal(t *testing.T, seed byte, name string) *identity.Local {
	t.Helper()
	key := func(role byte) []byte { return bytes.Repeat([]byte{seed, role}, 16) }
	id, err := identity.NewSecretKey(key(1))
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := identity.NewSecretKey(key(2))
	if err != nil {
		t.Fatal(err)
	}
	x := wire.Record{
		Identity: id.Public(), Noise: fixedKey(t, seed, 3).Public(), Agreement: fixedKey(t, seed, 4).Public(),
		Recovery: recovery.Public(), Name: name, Version: 1, Created: uint64(testNow.Unix()),
	}
	x.Signature = id.Sign("SREMP v1 identity record", x.AppendUnsigned(nil))
	b := append([]byte{1}, bytes.Repeat([]byte{seed}, 16)...)
	b = wire.AppendVec8(append(b, key(1)...), nil)
	b = append(append(append(b, key(3)...), key(4)...), 0)
	l, err := identity.ParseLocal(wire.AppendVec16(b, x.Append(nil)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fixedKey(t *testing.T, seed, role byte) identity.DHKey {
	t.Helper()
	k, err := identity.NewDHKey(bytes.Repeat([]byte{seed, role}, 16))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestTranscripts pins whole handshakes of spec §3: every message of each
// pattern, from keys that are written beside them.
func TestTranscripts(t *testing.T) {
	alice, bob := fixedLocal(t, 1, "Alice"), fixedLocal(t, 2, "Bob")
	server, err := identity.NewServerKey(bytes.Repeat([]byte("s"), 32))
	if err != nil {
		t.Fatal(err)
	}
	p := people{alice: alice, bob: bob, server: server}
	var out strings.Builder
	put := func(name string, b []byte) { fmt.Fprintf(&out, "%s = %x\n", name, b) }
	out.WriteString("# Vectors of spec §3. Rewritten by go test ./handshake -run TestTranscripts -update.\n")
	alpn := map[Pattern]string{XX: "sremp-xx/1", IK: "sremp-ik/1", NX: "sremp-relay/1"}
	for _, pattern := range patterns {
		ci, cr := p.configs(pattern)
		ci.Version, ci.ALPN, ci.Exporter = Version, alpn[pattern], [32]byte(bytes.Repeat([]byte{0xee}, 32))
		cr.Version, cr.ALPN, cr.Exporter = ci.Version, ci.ALPN, ci.Exporter
		fmt.Fprintf(&out, "\n# %v\n", pattern)
		put("alpn", []byte(ci.ALPN))
		put("exporter", ci.Exporter[:])
		put("prologue", prologue(ci))
		i, r := pair(t, ci, cr)
		for n, side := range []*Handshake{i, r} {
			who := []string{"initiator", "responder"}[n]
			static := side.staticKeys()[0]
			if !static.IsZero() {
				put(who+"_static_private", static.Seed())
			}
			ephemeral := fixedKey(t, byte(n+1), 9)
			put(who+"_ephemeral_private", ephemeral.Seed())
			config := side.noiseConfig(static)
			config.CipherSuite = noise.NewCipherSuite(fixedDH{ephemeral: ephemeral}, noise.CipherChaChaPoly, noise.HashBLAKE2s)
			state, err := noise.NewHandshakeState(config)
			if err != nil {
				t.Fatal(err)
			}
			side.states = []*noise.HandshakeState{state}
		}
		switch pattern {
		case NX:
			put("server_id", ci.RemoteServer[:])
			put("responder_credential", server.Certificate())
		default:
			put("initiator_credential", alice.Record().Bytes())
			put("responder_credential", bob.Record().Bytes())
		}
		for n, message := range mustFinish(t, i, r) {
			put(fmt.Sprintf("message_%d", n+1), message)
		}
		if i.Result().ChannelKey != r.Result().ChannelKey {
			t.Errorf("%v: the channel keys differ", pattern)
		}
		key := i.Result().ChannelKey
		put("channel_key", key[:])
	}
	const path = "testdata/transcripts.txt"
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the transcripts changed; got\n%s\nwant what is in %s", out.String(), path)
	}
}
