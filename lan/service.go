package lan

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

const mdnsPort = 5353

// Groups of multicast DNS.
var (
	group4 = netip.MustParseAddr("224.0.0.251")
	group6 = netip.MustParseAddr("ff02::fb")
)

// A Conn sends to one of the groups and receives what comes to it. Reads end
// when it is closed.
type Conn interface {
	// Join makes it receive on a link; once for each.
	Join(link Link) error
	// Leave undoes Join. The link may be gone.
	Leave(link Link)
	// Read returns a packet and the index of the link that it came on.
	Read(b []byte) (n, link int, from netip.AddrPort, err error)
	// Write sends a packet to the group on a link.
	Write(b []byte, link int) error
	Close() error
}

// A Config describes a [Service].
type Config struct {
	Port uint16 // of the UDP socket at which we are found
	// Local is the address that the socket is bound to; the zero value and the
	// unspecified address are all.
	Local netip.Addr
	// Announce returns what to say on a link where we have these addresses. It is
	// called on the Service's goroutine, at least every 15 minutes.
	Announce func(addrs []netip.AddrPort) []Announcement
	// Found is told what others say, on the Service's goroutine.
	Found func(Found)
	// Links returns this machine's networks. nil: the system's.
	Links func() []Link
	// Listen opens the sockets. nil: one for each family.
	Listen func() ([]Conn, error)
	Logger *slog.Logger
}

// A Service announces and finds. Its methods are safe for concurrent use.
type Service struct {
	c      Config
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
	jobs   chan func(*core)
	in     chan received
}

type received struct {
	b    []byte
	link int
	from netip.AddrPort
}

// ErrNoMulticast: this machine has no socket for multicast DNS.
var ErrNoMulticast = errors.New("lan: no socket for multicast DNS")

// inQueue bounds packets that wait; more are dropped.
const inQueue = 64

// Start begins.
func Start(c Config) (*Service, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Links == nil {
		c.Links = systemLinks
	}
	if c.Listen == nil {
		c.Listen = listenSystem
	}
	conns, err := c.Listen()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{c: c, log: c.Logger, cancel: cancel, done: make(chan struct{}), jobs: make(chan func(*core)), in: make(chan received, inQueue)}
	go s.run(ctx, conns) // Close waits for it
	return s, nil
}

// Refresh looks at the links again: the network has changed.
func (s *Service) Refresh() { s.do(nil) }

// Update announces anew, and tells Found again which sealed bodies were heard, in a moment:
// what Announce returns has changed, or what Found looks for. Several updates
// soon after one another are one.
func (s *Service) Update() { s.do(func(c *core) { c.change(time.Now()) }) }

// Query asks everybody now. Who was found before and is not there any more is
// told to Found as gone, after wait.
func (s *Service) Query(wait time.Duration) { s.do(func(c *core) { c.query(time.Now(), wait) }) }

func (s *Service) do(f func(*core)) {
	select {
	case s.jobs <- f:
	case <-s.done:
	}
}

// Close takes the announcements back and ends.
func (s *Service) Close() {
	s.cancel()
	<-s.done
}

func (s *Service) run(ctx context.Context, conns []Conn) {
	defer close(s.done)
	k := newCore(s.c.Port, s.c.Announce, s.c.Found)
	ended := make(chan struct{}, len(conns))
	for _, c := range conns {
		go func() { // ends when c is closed
			s.read(c)
			ended <- struct{}{}
		}()
	}
	var joined []Link
	relink := func() {
		links := s.links()
		for _, l := range joined {
			if !slices.ContainsFunc(links, l.equal) {
				for _, c := range conns {
					c.Leave(l)
				}
			}
		}
		for _, l := range links {
			if slices.ContainsFunc(joined, l.equal) {
				continue
			}
			for _, c := range conns {
				if err := c.Join(l); err != nil {
					s.log.Debug("no multicast", slog.String("interface", l.Name), slog.Any("err", err))
				}
			}
		}
		joined = links
		k.setLinks(time.Now(), links)
	}
	send := func() {
		for p, ok := k.poll(); ok; p, ok = k.poll() {
			for _, c := range conns {
				if err := c.Write(p.b, p.link); err != nil {
					s.log.Debug("not announced", slog.Int("link", p.link), slog.Any("err", err))
				}
			}
		}
	}
	relink()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		send()
		timer.Stop()
		if next := k.next(); !next.IsZero() {
			timer.Reset(max(time.Until(next), 0))
		}
		select {
		case <-ctx.Done():
		case f := <-s.jobs:
			if f == nil {
				relink()
			} else {
				f(k)
			}
		case r := <-s.in:
			k.handle(time.Now(), r.link, r.from, r.b)
		case <-timer.C:
			k.timeout(time.Now())
		}
	}
	k.close()
	send()
	for _, c := range conns {
		c.Close()
	}
	for range conns {
		<-ended
	}
}

// links returns those by which the socket is reached.
func (s *Service) links() (out []Link) {
	for _, l := range s.c.Links() {
		if a := s.c.Local.Unmap(); a.IsValid() && !a.IsUnspecified() {
			l.Prefixes = slices.DeleteFunc(slices.Clone(l.Prefixes), func(p netip.Prefix) bool { return p.Addr() != a })
		}
		if len(l.Prefixes) > 0 {
			out = append(out, l)
		}
	}
	return out
}

func (s *Service) read(c Conn) {
	b := make([]byte, 9000)
	for {
		n, link, from, err := c.Read(b)
		if err != nil {
			return
		}
		select {
		case s.in <- received{slices.Clone(b[:n]), link, from}:
		default: // a flood
		}
	}
}
