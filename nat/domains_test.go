package nat

import (
	"testing"

	"github.com/sremp/sremp/internal/domains"
)

func TestDomainsOfProbes(t *testing.T) {
	key := [32]byte{1}
	opens := func(controlling bool) func(string) bool {
		receiver := newProbeSealer(key, !controlling)
		return func(c string) bool {
			_, ok := receiver.open(probeSealer{send: probeAEAD(key, c)}.seal(probe{kind: kindPing}))
			return ok
		}
	}
	domains.Row(t, contextControlling, opens(true))
	domains.Row(t, contextControlled, opens(false))
}
