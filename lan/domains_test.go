package lan

import (
	"crypto/hkdf"
	"crypto/sha256"
	"testing"

	"github.com/sremp/sremp/internal/domains"
)

func TestDomainsOfTags(t *testing.T) {
	secret := [32]byte{1}
	domains.Row(t, contextTag, func(c string) bool {
		k, err := hkdf.Key(sha256.New, secret[:], nil, c, 32)
		if err != nil {
			t.Fatal(err)
		}
		x, ok := ParseSealed(noon, Seal(noon, []TagKey{TagKey(k)}, addrs)[0], addrs)
		return ok && x.Means(NewTagKey(secret))
	})
}
