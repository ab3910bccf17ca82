package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/sremp/sremp/identity"
)

// maxBootstrap bounds what one domain may name.
const maxBootstrap = 16

// A Resolver asks the DNS; *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// BuiltIn returns the servers that come with the program: none. Whoever hands
// out a build for a community puts its servers here.
func BuiltIn() []identity.ServerAddr { return nil }

// Bootstrap returns the servers that a domain names (spec §7.14): whole addresses
// in TXT records, and SRV records whose targets have their key in a TXT record.
// The DNS is not authenticated: the caller shows what was found, and never lets
// it replace the key of a server that it knows. An error means that the DNS did
// not answer; a domain that names nothing gives nothing.
func Bootstrap(ctx context.Context, r Resolver, domain string) (out []identity.ServerAddr, err error) {
	domain = strings.TrimSuffix(domain, ".")
	if identity.CheckHost(domain) != nil {
		return nil, fmt.Errorf("rendezvous: %q is no domain", domain)
	}
	add := func(a identity.ServerAddr) {
		if len(out) < maxBootstrap && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	texts, err := r.LookupTXT(ctx, "_sremp."+domain)
	if err = dnsFailure(err); err != nil {
		return nil, err
	}
	for _, t := range texts {
		if s, ok := strings.CutPrefix(t, "sremp="); ok {
			if a, err := identity.ParseServerAddr(s); err == nil {
				add(a)
			}
		}
	}
	_, srvs, err := r.LookupSRV(ctx, "sremp", "udp", domain)
	if err = dnsFailure(err); err != nil {
		return out, err
	}
	for _, srv := range srvs[:min(len(srvs), maxBootstrap)] {
		host := strings.TrimSuffix(srv.Target, ".")
		if identity.CheckHost(host) != nil || srv.Port == 0 {
			continue
		}
		keys, err := r.LookupTXT(ctx, "_sremp."+host)
		if err = dnsFailure(err); err != nil {
			return out, err
		}
		for _, t := range keys {
			if s, ok := strings.CutPrefix(t, "sremp-key="); ok {
				if id, err := identity.ParseServerID(s); err == nil {
					add(identity.ServerAddr{ID: id, Host: host, Port: srv.Port})
				}
			}
		}
	}
	return out, nil
}

// dnsFailure drops the answer that there is no such name.
func dnsFailure(err error) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rendezvous: asking the DNS: %w", err)
	}
	return nil
}
