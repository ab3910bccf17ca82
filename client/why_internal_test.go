package client

import (
	"context"
	"errors"
	"testing"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
	"github.com/sremp/sremp/transport"
)

// Whatever keeps a contact from being connected has a word for programs.
func TestWhyOfEveryReason(t *testing.T) {
	for want, errs := range map[Why][]error{
		WhyInviteUsed: {ErrInviteUsed},
		WhyNoRelay:    {errNoRelayOfOurs},
		WhyNoWay:      {errNoWay},
		WhyAway:       {rendezvous.ErrOffline, rendezvous.ErrNotFound},
		WhyNoAnswer:   {rendezvous.ErrTimeout, context.DeadlineExceeded, transport.ErrUnreachable},
		WhyUnverified: {transport.ErrServerKey, transport.ErrAuthentication},
		WhyMailbox:    {relay.ErrQuota, relay.ErrNoInbox},
		WhyFailed:     {errors.New("something")},
	} {
		for _, err := range errs {
			if _, listed := whys[plain(err)]; !listed {
				t.Errorf("%q has no word", plain(err))
			}
			if got := whyOf(plain(err)); got != want {
				t.Errorf("%v: got %q, want %q", err, got, want)
			}
		}
	}
	for w, want := range map[Why]bool{"udp-blocked": true, "random-ports": true, "searching": false, "direct": false, WhyAway: false, "": false} {
		if w.Settled() != want {
			t.Errorf("%q settled: got %v, want %v", w, !want, want)
		}
	}
}
