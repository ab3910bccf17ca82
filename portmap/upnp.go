package portmap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"
	"golang.org/x/net/ipv4"

	"github.com/sremp/sremp/nat"
)

// Tuning and limits of UPnP.
const (
	ssdpTries   = 3
	ssdpWait    = 600 * time.Millisecond // for each; MX is a second, gateways answer at once
	upnpTime    = 3 * time.Second        // for one question over HTTP
	maxDocument = 256 << 10
	maxHeader   = 16 << 10
	// portTries is how many ports are tried at a gateway of version 1, which
	// does not choose one itself.
	portTries = 4

	description = "SREMP"
)

// Error codes of WANIPConnection:1 and :2.
const (
	faultConflict      = 718 // the port is another's
	faultOnlyPermanent = 725
	faultConflictOther = 729 // in version 2
)

// ssdpGroup is where gateways listen (UPnP Device Architecture, section 1.3).
var ssdpGroup = netip.MustParseAddrPort("239.255.255.250:1900")

// wan is what the three services have in common.
type wan interface {
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	AddPortMappingCtx(ctx context.Context, remote string, external uint16, proto string, internal uint16, client string, enabled bool, description string, lease uint32) error
	DeletePortMappingCtx(ctx context.Context, remote string, external uint16, proto string) error
}

// wan2 lets the gateway choose the port.
type wan2 interface {
	AddAnyPortMappingCtx(ctx context.Context, remote string, external uint16, proto string, internal uint16, client string, enabled bool, description string, lease uint32) (uint16, error)
}

// upnp keeps a mapping by UPnP-IGD.
type upnp struct {
	wan      wan
	local    netip.Addr
	port     uint16
	external uint16 // asked for last; 0: none
	lease    uint32 // seconds; 0 where the gateway knows only permanent ones
}

func (u *upnp) method() Method        { return UPnP }
func (u *upnp) restarted([]byte) bool { return false } // it says nothing; checkEvery finds out

// askUPnP searches for the gateway's service and maps by it.
func (m *Mapper) askUPnP(ctx context.Context, g Gateway) (protocol, lease, error) {
	at, err := m.search(ctx, g)
	if err != nil {
		return nil, lease{}, err
	}
	services, err := describe(ctx, g, at)
	if err != nil {
		return nil, lease{}, err
	}
	err = errNoService
	for _, w := range services {
		u := &upnp{wan: w, local: g.Local, port: m.c.Port, external: m.c.Port, lease: uint32(wantedLifetime / time.Second)}
		var l lease
		if l, err = u.request(ctx); err == nil {
			return u, l, nil
		}
		if ctx.Err() != nil {
			// It may have been heard.
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
			u.release(release)
			cancel()
			break
		}
	}
	return nil, lease{}, err
}

// search asks by SSDP and returns where the gateway describes itself. Only its
// own answer counts, and only if it is about itself.
func (m *Mapper) search(ctx context.Context, g Gateway) (*url.URL, error) {
	pc, err := m.c.Listen(g.Local)
	if err != nil {
		return nil, fmt.Errorf("portmap: opening a socket: %w", err)
	}
	defer pc.Close()
	if c, ok := pc.(*net.UDPConn); ok {
		if i, err := net.InterfaceByName(g.Interface); err == nil {
			_ = ipv4.NewPacketConn(c).SetMulticastInterface(i) // else the route decides, which is most often the same
		}
	}
	defer context.AfterFunc(ctx, func() { pc.SetReadDeadline(time.Unix(1, 0)) })()
	b := make([]byte, 4096)
	for range ssdpTries {
		for _, to := range []netip.AddrPort{ssdpGroup, netip.AddrPortFrom(g.Addr, ssdpGroup.Port())} {
			for version := range 2 {
				request := fmt.Sprintf("M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"+
					"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:%d\r\n\r\n", to, version+1)
				_, _ = pc.WriteTo([]byte(request), net.UDPAddrFromAddrPort(to)) // one of the two may have no way
			}
		}
		pc.SetReadDeadline(time.Now().Add(ssdpWait))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				break
			}
			if addrPort(from).Addr() != g.Addr {
				continue
			}
			if at, err := parseSSDP(b[:n], g.Addr); err == nil {
				return at, nil
			}
		}
	}
	return nil, errSilent
}

// errElsewhere: a gateway names an address that is not its own.
var errElsewhere = errors.New("portmap: the gateway points elsewhere")

// parseSSDP returns the location in an answer to a search, if it is at the
// gateway itself.
func parseSSDP(b []byte, gateway netip.Addr) (*url.URL, error) {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil, fmt.Errorf("portmap: SSDP: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("portmap: SSDP: status %d", r.StatusCode)
	}
	at, err := url.Parse(r.Header.Get("Location"))
	if err != nil {
		return nil, fmt.Errorf("portmap: SSDP: %w", err)
	}
	if err := isAt(at, gateway); err != nil {
		return nil, err
	}
	return at, nil
}

func isAt(u *url.URL, gateway netip.Addr) error {
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil || a.Unmap() != gateway || u.Scheme != "http" || u.User != nil {
		return errElsewhere
	}
	return nil
}

// errNoService: the gateway is one, but maps nothing.
var errNoService = errors.New("portmap: UPnP: the gateway has no service for mappings")

// describe fetches the gateway's description and returns its services.
func describe(ctx context.Context, g Gateway, at *url.URL) ([]wan, error) {
	ctx, cancel := context.WithTimeout(ctx, upnpTime)
	defer cancel()
	c := httpClient(g)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("portmap: UPnP: %w", err)
	}
	r, err := c.Do(request)
	if err != nil {
		return nil, fmt.Errorf("portmap: UPnP: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("portmap: UPnP: status %d", r.StatusCode)
	}
	root, err := parseDescription(r.Body, at, g.Addr)
	if err != nil {
		return nil, err
	}
	var services []wan
	add := func(s *soap.SOAPClient, w wan) {
		if isAt(&s.EndpointURL, g.Addr) == nil {
			s.HTTPClient = *c
			services = append(services, w)
		}
	}
	v2, err := internetgateway2.NewWANIPConnection2ClientsFromRootDevice(root, at)
	for _, x := range v2 {
		add(x.SOAPClient, x)
	}
	v1, err1 := internetgateway2.NewWANIPConnection1ClientsFromRootDevice(root, at)
	for _, x := range v1 {
		add(x.SOAPClient, x)
	}
	ppp, err2 := internetgateway2.NewWANPPPConnection1ClientsFromRootDevice(root, at)
	for _, x := range ppp {
		add(x.SOAPClient, x)
	}
	if len(services) == 0 {
		return nil, errors.Join(errNoService, err, err1, err2)
	}
	return services[:min(len(services), portTries)], nil
}

// parseDescription reads a device description; what it says about addresses
// holds only if they are the gateway's.
func parseDescription(r io.Reader, at *url.URL, gateway netip.Addr) (*goupnp.RootDevice, error) {
	root := new(goupnp.RootDevice)
	d := xml.NewDecoder(io.LimitReader(r, maxDocument))
	d.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := d.Decode(root); err != nil {
		return nil, fmt.Errorf("portmap: UPnP: the description: %w", err)
	}
	base := at
	if root.URLBaseStr != "" {
		var err error
		if base, err = url.Parse(root.URLBaseStr); err != nil {
			return nil, fmt.Errorf("portmap: UPnP: the description: %w", err)
		}
		if err := isAt(base, gateway); err != nil {
			return nil, err
		}
	}
	root.SetURLBase(base)
	return root, nil
}

// httpClient talks to the gateway alone: no other address, no proxy, no
// redirects, no endless answers.
func httpClient(g Gateway) *http.Client {
	return &http.Client{
		Timeout:       upnpTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errElsewhere },
		Transport: limited{&http.Transport{
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				to, err := netip.ParseAddrPort(addr)
				if err != nil || to.Addr().Unmap() != g.Addr {
					return nil, errElsewhere
				}
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: g.Local.AsSlice()}}
				return d.DialContext(ctx, network, addr)
			},
		}},
	}
}

// limited cuts answers off.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	x, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		x.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(x.Body, maxDocument), x.Body}
	}
	return x, err
}

func (u *upnp) request(ctx context.Context) (lease, error) {
	ctx, cancel := context.WithTimeout(ctx, upnpTime)
	defer cancel()
	s, err := u.wan.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return lease{}, fmt.Errorf("portmap: UPnP: asking for the outside address: %w", err)
	}
	address, err := netip.ParseAddr(s)
	if err != nil {
		return lease{}, fmt.Errorf("portmap: UPnP: the outside address: %w", err)
	}
	if err := u.add(ctx); err != nil {
		return lease{}, fmt.Errorf("portmap: UPnP: mapping a port: %w", err)
	}
	external, ok := nat.Usable(netip.AddrPortFrom(address, u.external))
	if !ok {
		u.release(ctx)
		return lease{}, fmt.Errorf("portmap: UPnP: %v is no outside address", address)
	}
	return lease{external, wantedLifetime}, nil
}

// add makes or renews the mapping.
func (u *upnp) add(ctx context.Context) (err error) {
	if w, ok := u.wan.(wan2); ok {
		external, err := w.AddAnyPortMappingCtx(ctx, "", u.external, "UDP", u.port, u.local.String(), true, description, u.lease)
		if err == nil && external != 0 {
			u.external = external
			return nil
		}
	}
	for range portTries {
		err = u.wan.AddPortMappingCtx(ctx, "", u.external, "UDP", u.port, u.local.String(), true, description, u.lease)
		switch fault(err) {
		case faultOnlyPermanent:
			if u.lease == 0 {
				return err
			}
			u.lease = 0 // deleted on Close, or by the router's owner
		case faultConflict, faultConflictOther:
			u.external = 1024 + uint16(rand.N(64512))
		default:
			return err
		}
	}
	return err
}

// fault returns UPnP's code of an error, 0 if it has none.
func fault(err error) int {
	var f *soap.SOAPFaultError
	if errors.As(err, &f) {
		return f.Detail.UPnPError.Errorcode
	}
	return 0
}

func (u *upnp) release(ctx context.Context) {
	_ = u.wan.DeletePortMappingCtx(ctx, "", u.external, "UDP") // it ends by itself, but where only permanent ones exist
}
