package client

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// The vector of spec §8.3 opens to what it says, and nothing changed does.
func TestKnockVector(t *testing.T) {
	b, err := os.ReadFile("testdata/knock.txt")
	if err != nil {
		t.Fatal(err)
	}
	v := map[string][]byte{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			if v[name], err = hex.DecodeString(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	k := &core{profile: profile{KnockKeys: []hidden{newHidden(v["private"])}}}
	x, err := k.openKnock(v["sealed"])
	if got := x.Append(nil); err != nil || string(got) != string(v["knock"]) {
		t.Fatalf("got %x, %v, want %x", got, err, v["knock"])
	}
	public, err := knockPublic(k.profile.KnockKeys[0])
	if err != nil || string(public) != string(v["public"]) {
		t.Errorf("got %x, %v, want %x", public, err, v["public"])
	}
	v["sealed"][0] ^= 1
	if _, err := k.openKnock(v["sealed"]); err == nil {
		t.Error("a changed knock opens")
	}
}
