package rendezvous

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/sremp/sremp/identity"
)

type dns struct {
	txt map[string][]string
	srv map[string][]*net.SRV
	err error
}

func (d dns) LookupTXT(_ context.Context, name string) ([]string, error) {
	if d.err != nil {
		return nil, d.err
	}
	if v, ok := d.txt[name]; ok {
		return v, nil
	}
	return nil, &net.DNSError{IsNotFound: true}
}

func (d dns) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if v, ok := d.srv["_"+service+"._"+proto+"."+name]; ok {
		return "", v, nil
	}
	return "", nil, &net.DNSError{IsNotFound: true}
}

// spec §7.14.
func TestBootstrap(t *testing.T) {
	a, b := addrOf(serverKey(t, 1), "a.example"), addrOf(serverKey(t, 2), "b.example")
	d := dns{
		txt: map[string][]string{
			"_sremp.example.org": {"v=spf1 -all", "sremp=" + a.String(), "sremp=" + a.String(), "sremp=nonsense", "sremp="},
			"_sremp.b.example":   {"sremp-key=" + b.ID.String(), "sremp-key=nonsense"},
		},
		srv: map[string][]*net.SRV{"_sremp._udp.example.org": {
			{Target: "b.example.", Port: b.Port}, {Target: "bad host\x1b.", Port: 1}, {Target: "b.example.", Port: 0}, {Target: "keyless.example.", Port: 443},
		}},
	}
	got, err := Bootstrap(t.Context(), d, "example.org.")
	if want := []identity.ServerAddr{a, b}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := Bootstrap(t.Context(), d, "nothing.example"); err != nil || got != nil {
		t.Errorf("a domain that names nothing: %v, %v", got, err)
	}
	if _, err := Bootstrap(t.Context(), d, "no domain"); err == nil {
		t.Error("no domain: no error")
	}
	d.err = errors.New("timeout")
	if _, err := Bootstrap(t.Context(), d, "example.org"); !errors.Is(err, d.err) {
		t.Errorf("got %v, want that the DNS does not answer", err)
	}
	for i := range byte(40) {
		d.txt["_sremp.many.example"] = append(d.txt["_sremp.many.example"], "sremp="+addrOf(serverKey(t, i), "x.example").String())
	}
	d.err = nil
	if got, err := Bootstrap(t.Context(), d, "many.example"); err != nil || len(got) != maxBootstrap {
		t.Errorf("got %d, %v, want %d", len(got), err, maxBootstrap)
	}
	if len(BuiltIn()) != 0 {
		t.Error("the built-in list is not empty")
	}
}
