package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Secrets never print through fmt, slog or JSON, nested in whatever: spec §2.1.
func TestSecretsNeverPrint(t *testing.T) {
	l, recovery := testLocal(t, 0x51)
	rotated, err := l.Rotate(testNow)
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServerKey(bytes.Repeat([]byte{0x77}, 32))
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		secret SecretKey
		dh     DHKey
		local  *Local
		server *ServerKey
		Shown  any
	}
	h := holder{recovery, l.NoiseKey(), rotated, server, *rotated}

	var buf bytes.Buffer
	invite := testInvite(t)
	invite.Secret = testSecretKey(t, 0x31).Public()
	values := []any{
		invite, &invite, []Invite{invite}, struct{ I Invite }{invite},
		recovery, &recovery, l.NoiseKey(), rotated, *rotated, &rotated, server, *server, h, &h,
		[]any{h, rotated}, map[string]any{"k": h}, []*Local{rotated}, [1]SecretKey{recovery}, fmt.Errorf("x: %v", h),
	}
	text, js := slog.New(slog.NewTextHandler(&buf, nil)), slog.New(slog.NewJSONHandler(&buf, nil))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%T"} {
			fmt.Fprintf(&buf, verb+"\n", v)
		}
		text.Info("x", "v", v, slog.Group("g", "v", v))
		js.Info("x", "v", v, slog.Group("g", "v", v))
		if j, err := json.Marshal(v); err == nil {
			buf.Write(j)
		}
	}
	out := buf.String()
	secrets := [][]byte{invite.Secret[:], recovery.Seed(), l.IdentityKey().Seed(), l.NoiseKey().Seed(), l.AgreementKey().Seed(),
		rotated.NoiseKey().Seed(), rotated.AgreementKey().Seed(), server.Noise().Seed(), server.sign.Seed()}
	for i, s := range secrets {
		for _, leak := range []string{
			string(s[:8]), hex.EncodeToString(s[:8]), strings.ToUpper(hex.EncodeToString(s[:8])), fmt.Sprintf("% x", s[:8]),
			strings.Trim(fmt.Sprint(s[:8]), "[]"), strings.Trim(fmt.Sprintf("%o", s[:8]), "[]"),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", s[:8]), "[]byte{"), "}"),
		} {
			if strings.Contains(out, leak) {
				t.Errorf("secret %d leaked as %q", i, leak)
			}
		}
	}
	if !strings.Contains(out, "redacted") {
		t.Error("nothing was printed at all")
	}
}
