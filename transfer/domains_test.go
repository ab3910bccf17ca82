package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/sremp/sremp/internal/domains"
)

func TestDomainsOfTree(t *testing.T) {
	data, left, right := []byte("data"), Hash{1}, Hash{2}
	hash := func(parts ...[]byte) Hash {
		h := sha256.New()
		for _, p := range parts {
			h.Write(p)
		}
		return Hash(h.Sum(nil))
	}
	domains.Row(t, contextLeaf, func(c string) bool { return hash([]byte(c), data) == leaf(data) })
	domains.Row(t, contextNode, func(c string) bool { return hash([]byte(c), left[:], right[:]) == node(left, right) })
	domains.Row(t, contextRoot, func(c string) bool {
		return hash([]byte(c), binary.BigEndian.AppendUint64(nil, 7), left[:]) == root(7, left)
	})
}
