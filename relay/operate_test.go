package relay_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/transport"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestMetricsAndHealth(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	c, s := r.dial(t, 1), r.sender(t)
	ok(t, c.CreateInbox(timeout(t), contactInbox(inbox)))
	must[relay.Receipt](t)(s.Store(timeout(t), inbox, token, []byte("x")))
	r.Forward(netip.AddrPort{}, []byte{4})
	code, body := get(t, r.Handler(), "/metrics")
	for _, want := range []string{
		"sremp_relay_stored_total 1\n", "sremp_relay_owner_connections 1\n", "sremp_relay_connections 2\n",
		"sremp_relay_owners 1\n", "sremp_relay_inboxes 1\n", "sremp_relay_mail 1\n", "sremp_relay_mail_bytes 1\n", "sremp_relay_max_owners 100000\n",
		`sremp_relay_dropped_packets_total{reason="malformed"} 1` + "\n", `sremp_relay_store_seconds_bucket{le="+Inf"} 1` + "\n",
	} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("metrics lack %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "127.0.0.1") {
		t.Error("metrics name an address")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, _ := get(t, r.Handler(), path); code != 200 {
			t.Errorf("%s: %d", path, code)
		}
	}
	ok(t, r.Drain(timeout(t)))
	if code, _ := get(t, r.Handler(), "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("draining: readyz %d", code)
	}
	if code, _ := get(t, r.Handler(), "/healthz"); code != 200 {
		t.Errorf("draining: healthz %d", code)
	}
	// Who is here is served; who comes is not.
	must[relay.Receipt](t)(s.Store(timeout(t), inbox, token, []byte("y")))
	if _, err := relay.Dial(timeout(t), endpoint(t, transport.Config{}), r.addr, owner(t, 2), ""); err == nil {
		t.Error("a draining relay took a connection")
	}
}

// Drain waits for requests under way, and no longer than it may.
func TestDrainWaits(t *testing.T) {
	blocking := &blockingStore{entered: make(chan struct{}), block: make(chan struct{})}
	r := newRelay(t, relay.ServerConfig{Store: blocking.open(t)})
	c, s := r.dial(t, 1), r.sender(t)
	ok(t, c.CreateInbox(timeout(t), contactInbox(inbox)))
	done := make(chan error, 1)
	go func() {
		_, err := s.Store(timeout(t), inbox, token, []byte("x"))
		done <- err
	}()
	<-blocking.entered
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := r.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v with a request under way", err)
	}
	close(blocking.block)
	ok(t, r.Drain(timeout(t)))
	if err := <-done; !errors.Is(err, relay.ErrServer) {
		t.Errorf("the request: %v", err)
	}
}

func TestLimitsByName(t *testing.T) {
	l := relay.DefaultLimits()
	for _, name := range relay.LimitNames() {
		bad := l
		for _, value := range []string{"", "x", "0", "-1", "NaN", "1e400"} {
			if bad.Set(name, value) == nil {
				t.Errorf("%s took %q", name, value)
			}
		}
		if bad != l {
			t.Errorf("a bad value changed %s", name)
		}
	}
	ok(t, l.Set("owner_bytes", "1000"))
	ok(t, l.Set("ttl", "48h"))
	ok(t, l.Set("forward_rate", "1e6"))
	ok(t, l.Set("sessions_per_owner", "3"))
	if l.OwnerBytes != 1000 || l.TTL != 48*time.Hour || l.ForwardRate != 1e6 || l.SessionsPerOwner != 3 {
		t.Errorf("limits = %+v", l)
	}
	if err := l.Set("nonsense", "1"); err == nil {
		t.Error("a limit that is none")
	}
}

// New limits hold at once, for those who are connected too.
func TestReload(t *testing.T) {
	r := newRelay(t, relay.ServerConfig{})
	c := r.dial(t, 1)
	ok(t, c.CreateInbox(timeout(t), contactInbox(inbox)))
	r.SetLimits(relay.Limits{Inboxes: 1})
	if err := c.CreateInbox(timeout(t), contactInbox([32]byte{9})); !errors.Is(err, relay.ErrQuota) {
		t.Errorf("over a new limit: %v", err)
	}
	r.SetLimits(relay.Limits{})
	ok(t, c.CreateInbox(timeout(t), contactInbox([32]byte{9})))
}
