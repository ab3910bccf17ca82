package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sremp/sremp/identity"
)

// A connection that stood hurries the search when it ends; one that ended at once,
// because the other side refuses us perhaps, does not.
func TestBriefLinksHurryNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity.GenerateSecretKey().Public()
		x := &target{wake: make(chan struct{}, 1)}
		n := &network{targets: map[identity.PeerID]*target{id: x}}
		for _, tt := range []struct {
			stands time.Duration
			hurry  bool
		}{{time.Minute, true}, {time.Second, false}, {briefLink, true}, {briefLink - 1, false}} {
			n.setLinked(id, true)
			<-x.wake
			time.Sleep(tt.stands)
			n.setLinked(id, false)
			if got := x.stood.Equal(time.Now()); got != tt.hurry {
				t.Errorf("after %v: the pauses begin anew: %v, want %v", tt.stands, got, tt.hurry)
			}
			select {
			case <-x.wake:
				if !tt.hurry {
					t.Errorf("after %v the contact is looked for at once", tt.stands)
				}
			default:
				if tt.hurry {
					t.Errorf("after %v the contact is not looked for at once", tt.stands)
				}
			}
		}
	})
}
