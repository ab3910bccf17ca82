package portmap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An igd is a gateway with UPnP alone, at a loopback address of its own.
type igd struct {
	addr netip.Addr
	web  string // host:port

	mu          sync.Mutex
	version     int
	mapped      map[uint16]string // outside port: inside host:port lease
	taken       uint16            // another's port
	permanent   bool              // it knows only permanent leases
	outside     string
	location    string // in the answer to a search; empty: its own
	control     string // of the services; empty: its own
	base        string // URLBase
	redirect    string // instead of a description
	description string // instead of its own
	calls       int
}

var igdHost atomic.Uint32

func newIGD(t *testing.T) *igd {
	g := &igd{addr: netip.AddrFrom4([4]byte{127, 0, 9, byte(igdHost.Add(1))}), version: 1, mapped: map[uint16]string{}, outside: "11.0.1.2"}
	ssdp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(g.addr, 1900)))
	if err != nil {
		t.Skipf("this system has one loopback address: %v", err)
	}
	web, err := net.Listen("tcp4", netip.AddrPortFrom(g.addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	g.web = web.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := ssdp.ReadFrom(b)
			if err != nil {
				return
			}
			g.mu.Lock()
			location := g.location
			g.mu.Unlock()
			if location == "" {
				location = "http://" + web.Addr().String() + "/root.xml"
			}
			if strings.HasPrefix(string(b[:n]), "M-SEARCH * HTTP/1.1\r\n") {
				ssdp.WriteTo([]byte("HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nUSN: x\r\nLOCATION: "+location+"\r\n\r\n"), from)
			}
		}
	})
	s := &http.Server{Handler: g}
	wg.Go(func() { s.Serve(web) })
	t.Cleanup(func() {
		ssdp.Close()
		s.Close()
		wg.Wait()
	})
	return g
}

func (g *igd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if r.Method == http.MethodGet {
		switch {
		case g.redirect != "":
			http.Redirect(w, r, g.redirect, http.StatusFound)
		case g.description != "":
			io.WriteString(w, g.description)
		default:
			control := g.control
			if control == "" {
				control = "/ctl"
			}
			base := ""
			if g.base != "" {
				base = "<URLBase>" + g.base + "</URLBase>"
			}
			fmt.Fprintf(w, `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>%s
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:%d</deviceType><serviceList></serviceList><deviceList><device><deviceList><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:%[2]d</serviceType><serviceId>x</serviceId><controlURL>%s</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>`, base, g.version, control)
		}
		return
	}
	body, _ := io.ReadAll(r.Body)
	arg := func(name string) string {
		if m := regexp.MustCompile("<" + name + ">([^<]*)<").FindSubmatch(body); m != nil {
			return string(m[1])
		}
		return ""
	}
	action := strings.Trim(r.Header.Get("Soapaction"), `"`)
	action = action[strings.Index(action, "#")+1:]
	fail := func(code int) {
		w.WriteHeader(500)
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
	}
	out := ""
	port, _ := strconv.ParseUint(arg("NewExternalPort"), 10, 16)
	switch action {
	case "GetExternalIPAddress":
		out = "<NewExternalIPAddress>" + g.outside + "</NewExternalIPAddress>"
	case "AddAnyPortMapping", "AddPortMapping":
		any := action == "AddAnyPortMapping"
		switch {
		case any && g.version < 2:
			fail(401)
			return
		case g.permanent && arg("NewLeaseDuration") != "0":
			fail(faultOnlyPermanent)
			return
		case uint16(port) == g.taken && !any:
			fail(faultConflict)
			return
		case uint16(port) == g.taken:
			port++
		}
		g.mapped[uint16(port)] = arg("NewInternalClient") + ":" + arg("NewInternalPort") + " " + arg("NewLeaseDuration") + " " + arg("NewProtocol")
		if any {
			out = fmt.Sprintf("<NewReservedPort>%d</NewReservedPort>", port)
		}
	case "DeletePortMapping":
		delete(g.mapped, uint16(port))
	}
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:%sResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:%d">%s</u:%[1]sResponse></s:Body></s:Envelope>`, action, g.version, out)
}

func (g *igd) start(t *testing.T) *Mapper {
	m := Start(Config{
		Port:          4444,
		Gateway:       func() (Gateway, error) { return Gateway{g.addr, netip.MustParseAddr("127.0.0.1"), "lo"}, nil },
		Announcements: func(string) (net.PacketConn, error) { return nil, nil },
	})
	t.Cleanup(m.Close)
	return m
}

func (g *igd) only() (port uint16, s string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for port, s = range g.mapped {
	}
	if len(g.mapped) != 1 {
		s = fmt.Sprintf("%d mappings", len(g.mapped))
	}
	return port, s
}

func TestUPnP(t *testing.T) {
	for _, tt := range []struct {
		name string
		igd  func(*igd)
		want string
	}{
		{"version 1", func(*igd) {}, "127.0.0.1:4444 7200 UDP"},
		{"version 2", func(g *igd) { g.version = 2 }, "127.0.0.1:4444 7200 UDP"},
		{"permanent leases only", func(g *igd) { g.permanent = true }, "127.0.0.1:4444 0 UDP"},
		{"the port is another's", func(g *igd) { g.taken = 4444 }, "127.0.0.1:4444 7200 UDP"},
		{"the port is another's, version 2", func(g *igd) { g.taken, g.version = 4444, 2 }, "127.0.0.1:4444 7200 UDP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newIGD(t)
			g.mu.Lock()
			tt.igd(g)
			g.mu.Unlock()
			m := g.start(t)
			got, err := m.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			port, s := g.only()
			if s != tt.want || got.Method != UPnP || got.External != netip.AddrPortFrom(outsideAddr, port) {
				t.Errorf("got %+v and at the gateway %d: %s, want %s", got, port, s, tt.want)
			}
			m.Close()
			if _, s := g.only(); s != "0 mappings" {
				t.Errorf("after Close there are %s", s)
			}
		})
	}
}

// Nothing but the gateway is asked, whatever the gateway or somebody else says.
func TestUPnPElsewhere(t *testing.T) {
	t.Parallel()
	victim := newIGD(t)
	elsewhere := "http://" + victim.web + "/x"
	for _, tt := range []struct {
		name string
		igd  func(*igd)
	}{
		{"location", func(g *igd) { g.location = elsewhere }},
		{"location by name", func(g *igd) { g.location = "http://localhost/x" }},
		{"location with another scheme", func(g *igd) { g.location = "file:///etc/passwd" }},
		{"redirect", func(g *igd) { g.redirect = elsewhere }},
		{"control URL", func(g *igd) { g.control = elsewhere }},
		{"base URL", func(g *igd) { g.base = elsewhere }},
		{"outside at 0.0.0.0", func(g *igd) { g.outside = "0.0.0.0" }},
		{"outside is no address", func(g *igd) { g.outside = "my.router" }},
		{"endless description", func(g *igd) { g.description = "<root>" + strings.Repeat("<a>", 200_000) }},
		{"no description", func(g *igd) { g.description = "\x00\xff" }},
		{"no service", func(g *igd) { g.version = 7 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newIGD(t)
			g.mu.Lock()
			tt.igd(g)
			g.mu.Unlock()
			if got, err := g.start(t).Wait(t.Context()); !errors.Is(err, ErrNoMapping) {
				t.Errorf("got %+v, %v, want %v", got, err, ErrNoMapping)
			}
			victim.mu.Lock()
			defer victim.mu.Unlock()
			if victim.calls != 0 {
				t.Error("another machine was asked")
			}
			if _, s := g.only(); s != "0 mappings" {
				t.Errorf("it leaves %s", s)
			}
		})
	}
}

func TestUPnPCancelled(t *testing.T) {
	g := newIGD(t)
	m := g.start(t)
	start := time.Now()
	m.Close()
	if _, err := m.Wait(context.Background()); !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNoMapping) {
		t.Errorf("got %v", err)
	}
	if _, s := g.only(); s != "0 mappings" {
		t.Errorf("closed after %v, there are %s", time.Since(start), s)
	}
}

func FuzzSSDP(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://192.168.1.1:5000/root.xml\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nLocation: http://192.168.1.1@elsewhere/\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, err := parseSSDP(b, gatewayAddr); err == nil && u.Hostname() != gatewayAddr.String() {
			t.Errorf("it leads to %s", u)
		}
	})
}

func FuzzDescription(f *testing.F) {
	at := &url.URL{Scheme: "http", Host: "192.168.1.1:5000", Path: "/root.xml"}
	f.Add(`<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://192.168.1.1:5000/</URLBase><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/c</controlURL></service></serviceList></device></root>`)
	f.Add(`<root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://elsewhere/</URLBase></root>`)
	f.Fuzz(func(t *testing.T, s string) {
		root, err := parseDescription(strings.NewReader(s), at, gatewayAddr)
		if err == nil && root.URLBase.Hostname() != gatewayAddr.String() {
			t.Errorf("it leads to %s", root.URLBaseStr)
		}
	})
}
