package lan

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Names and limits of the messages (spec §5.25.1).
const (
	serviceName = "_sremp._udp.local."
	domain      = ".local."

	// MaxBody keeps an announcement within one unfragmented packet.
	MaxBody     = 1000
	maxMessage  = 1472
	maxAddrs    = 8
	maxRecords  = 128 // of one message
	maxKnown    = 24  // names in a query that need not be told again
	instanceLen = 16  // hexadecimal digits
	chunkLen    = 250 // of a body, in one string of TXT

	// entryTTL is longer than an announcement lives before its name is replaced.
	entryTTL = 20 * time.Minute

	cacheFlush = 1 << 15 // in the class of records (RFC 6762, section 10.2)
)

// ErrMessage is returned for messages that are none of ours.
var ErrMessage = errors.New("lan: not a message of this service")

// A Kind says what the body of an announcement is.
type Kind byte

// The kinds of bodies.
const (
	Sealed Kind = 's' // [Seal]
	Open   Kind = 'i' // an invite's URI
)

// An Announcement is what one name says.
type Announcement struct {
	Kind Kind
	Body []byte // 1 to MaxBody bytes
}

// An entry is an announcement with its name and addresses.
type entry struct {
	Announcement
	instance string
	addrs    []netip.AddrPort // all of one port, ascending
	gone     bool             // the name is taken back
}

// A message is what a packet says to this service.
type message struct {
	query   bool     // who is there?
	known   []string // instances that the asker knows
	entries []entry
}

func mustName(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }

// appendQuery appends a query that names what is known already.
func appendQuery(b []byte, known []string) ([]byte, error) {
	d := dnsmessage.NewBuilder(b, dnsmessage.Header{})
	d.EnableCompression()
	err := d.StartQuestions()
	if err == nil {
		err = d.Question(dnsmessage.Question{Name: mustName(serviceName), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET})
	}
	if err == nil {
		err = d.StartAnswers()
	}
	for _, k := range known[:min(len(known), maxKnown)] {
		if err == nil {
			err = d.PTRResource(header(serviceName, false, entryTTL), dnsmessage.PTRResource{PTR: mustName(k + "." + serviceName)})
		}
	}
	if err != nil {
		return nil, err
	}
	return d.Finish()
}

func header(name string, flush bool, ttl time.Duration) dnsmessage.ResourceHeader {
	class := dnsmessage.ClassINET
	if flush {
		class |= cacheFlush
	}
	return dnsmessage.ResourceHeader{Name: mustName(name), Class: class, TTL: uint32(ttl / time.Second)}
}

// appendEntry appends an announcement, or the end of one.
func appendEntry(b []byte, e entry) ([]byte, error) {
	ttl := entryTTL
	if e.gone {
		ttl = 0
	}
	instance, host := e.instance+"."+serviceName, e.instance+domain
	d := dnsmessage.NewBuilder(b, dnsmessage.Header{Response: true, Authoritative: true})
	d.EnableCompression()
	err := d.StartAnswers()
	if err == nil {
		err = d.PTRResource(header(serviceName, false, ttl), dnsmessage.PTRResource{PTR: mustName(instance)})
	}
	if err == nil && !e.gone {
		err = d.SRVResource(header(instance, true, ttl), dnsmessage.SRVResource{Port: e.addrs[0].Port(), Target: mustName(host)})
		if err == nil {
			err = d.TXTResource(header(instance, true, ttl), dnsmessage.TXTResource{TXT: e.txt()})
		}
		for _, a := range e.addrs {
			switch {
			case err != nil:
			case a.Addr().Is4():
				err = d.AResource(header(host, true, ttl), dnsmessage.AResource{A: a.Addr().As4()})
			default:
				err = d.AAAAResource(header(host, true, ttl), dnsmessage.AAAAResource{AAAA: a.Addr().As16()})
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return d.Finish()
}

// txt returns the strings of an announcement: its version, then numbered pieces
// of the body (RFC 6763, section 6).
func (a Announcement) txt() []string {
	out := []string{"v=1"}
	i := byte('0')
	for c := range slices.Chunk(a.Body, chunkLen) {
		out = append(out, string([]byte{byte(a.Kind), i, '='})+string(c))
		i++
	}
	return out
}

// parseTXT is the inverse of txt.
func parseTXT(txt []string) (a Announcement, ok bool) {
	if len(txt) < 2 || len(txt) > 2+MaxBody/chunkLen || txt[0] != "v=1" {
		return a, false
	}
	for i, s := range txt[1:] {
		if len(s) < 4 || s[1] != byte('0'+i) || s[2] != '=' || i > 0 && s[0] != byte(a.Kind) ||
			i < len(txt)-2 && len(s) != 3+chunkLen {
			return a, false
		}
		a.Kind = Kind(s[0])
		a.Body = append(a.Body, s[3:]...)
	}
	return a, (a.Kind == Sealed || a.Kind == Open) && len(a.Body) <= MaxBody
}

// parseMessage parses a packet. What belongs to other services is skipped; an
// announcement counts only if all of it is in the packet.
func parseMessage(b []byte) (m message, err error) {
	if len(b) > maxMessage {
		return m, ErrMessage
	}
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || h.OpCode != 0 || h.RCode != 0 {
		return m, ErrMessage
	}
	for n := 0; ; n++ {
		q, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil || n >= maxRecords {
			return message{}, ErrMessage
		}
		if !h.Response && isService(q.Name) && (q.Type == dnsmessage.TypePTR || q.Type == dnsmessage.TypeALL) {
			m.query = true
		}
	}
	r := records{hosts: map[string][]netip.Addr{}, services: map[string]dnsmessage.SRVResource{}, texts: map[string][]string{}}
	if err := r.read(&p); err != nil {
		return message{}, err
	}
	switch {
	case !h.Response && m.query:
		m.known = r.live
	case h.Response && (len(r.live) > 0 || len(r.gone) > 0):
		m.entries = r.entries()
	default:
		return message{}, ErrMessage
	}
	return m, nil
}

func isService(n dnsmessage.Name) bool { return strings.EqualFold(n.String(), serviceName) }

// instanceOf returns the first label of a name of ours.
func instanceOf(n dnsmessage.Name) (string, bool) {
	s, ok := strings.CutSuffix(strings.ToLower(n.String()), "."+serviceName)
	if _, err := hex.DecodeString(s); err != nil || len(s) != instanceLen {
		return "", false
	}
	return s, ok
}

// records are those of a message that may be of use.
type records struct {
	live, gone []string // instances
	services   map[string]dnsmessage.SRVResource
	texts      map[string][]string
	hosts      map[string][]netip.Addr
}

// read reads all answers and additional records.
func (r *records) read(p *dnsmessage.Parser) error {
	total := 0
	for section, step := range []struct {
		header func() (dnsmessage.ResourceHeader, error)
		skip   func() error
	}{
		{p.AnswerHeader, p.SkipAnswer}, {p.AuthorityHeader, p.SkipAuthority}, {p.AdditionalHeader, p.SkipAdditional},
	} {
		for {
			h, err := step.header()
			if errors.Is(err, dnsmessage.ErrSectionDone) {
				break
			}
			if total++; err != nil || total > maxRecords {
				return ErrMessage
			}
			if section == 1 || h.Class&^cacheFlush != dnsmessage.ClassINET {
				if step.skip() != nil {
					return ErrMessage
				}
				continue
			}
			if err := r.take(p, h, step.skip); err != nil {
				return ErrMessage
			}
		}
	}
	return nil
}

func (r *records) take(p *dnsmessage.Parser, h dnsmessage.ResourceHeader, skip func() error) error {
	name := strings.ToLower(h.Name.String())
	switch h.Type {
	case dnsmessage.TypePTR:
		x, err := p.PTRResource()
		if err != nil {
			return err
		}
		if i, ok := instanceOf(x.PTR); ok && isService(h.Name) {
			if h.TTL == 0 {
				r.gone = append(r.gone, i)
			} else {
				r.live = append(r.live, i)
			}
		}
	case dnsmessage.TypeSRV:
		x, err := p.SRVResource()
		if err != nil {
			return err
		}
		r.services[name] = x
	case dnsmessage.TypeTXT:
		x, err := p.TXTResource()
		if err != nil {
			return err
		}
		r.texts[name] = x.TXT
	case dnsmessage.TypeA:
		x, err := p.AResource()
		if err != nil {
			return err
		}
		r.hosts[name] = append(r.hosts[name], netip.AddrFrom4(x.A))
	case dnsmessage.TypeAAAA:
		x, err := p.AAAAResource()
		if err != nil {
			return err
		}
		r.hosts[name] = append(r.hosts[name], netip.AddrFrom16(x.AAAA))
	default:
		return skip()
	}
	return nil
}

// entries joins the records.
func (r *records) entries() (out []entry) {
	for _, i := range r.gone {
		out = append(out, entry{instance: i, gone: true})
	}
	for _, i := range r.live {
		name := i + "." + serviceName
		srv, ok := r.services[name]
		a, whole := parseTXT(r.texts[name])
		addrs := r.hosts[strings.ToLower(srv.Target.String())]
		if !ok || !whole || srv.Port == 0 || len(addrs) == 0 || len(addrs) > maxAddrs {
			continue
		}
		e := entry{Announcement: a, instance: i}
		for _, x := range addrs {
			e.addrs = append(e.addrs, netip.AddrPortFrom(x, srv.Port))
		}
		e.addrs = sorted(e.addrs)
		out = append(out, e)
	}
	return out
}

// sorted returns addresses in ascending order, each once.
func sorted(a []netip.AddrPort) []netip.AddrPort {
	a = slices.Clone(a)
	slices.SortFunc(a, netip.AddrPort.Compare)
	return slices.Compact(a)
}
