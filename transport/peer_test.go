package transport

import (
	"testing"
)

// Two peers without any server meet by their candidates alone.
func TestConnectDirect(t *testing.T) {
	for _, test := range []struct {
		name  string
		known bool
	}{{"XX", false}, {"IK", true}} {
		t.Run(test.name, func(t *testing.T) {
			ctx := withTimeout(t)
			ann, bob := pair(t)
			ea, eb := endpoint(t, Config{Identity: ann}), endpoint(t, Config{Identity: bob})
			key := [32]byte{7}
			aa := Attempt{Peer: bob.PeerID(), ProbeKey: key, Remote: eb.Gather(ctx, nil)}
			ab := Attempt{Peer: ann.PeerID(), ProbeKey: key, Remote: ea.Gather(ctx, nil)}
			want := alpnXX
			if test.known {
				aa.Record, ab.Record, want = bob.Record(), ann.Record(), alpnIK
			}
			a, b := connect(t, ctx, ea, aa, eb, ab)
			if got := a.ALPN(); got != want {
				t.Errorf("protocol: got %s, want %s", got, want)
			}
			if a.Peer().Identity != bob.PeerID() || b.Peer().Identity != ann.PeerID() {
				t.Error("peers are not each other's")
			}
			if a.Binding() != b.Binding() {
				t.Error("the two ends have different bindings")
			}
			exchange(t, ctx, a, b)
			for _, p := range []*PeerConn{a, b} {
				if got := p.Path(); got.Kind != PathDirect || !got.Remote.IsValid() {
					t.Errorf("path: got %+v, want a direct one", got)
				}
			}
		})
	}
}
