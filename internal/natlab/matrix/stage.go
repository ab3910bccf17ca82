package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/natlab"
	"github.com/sremp/sremp/nat"
)

// Patience of one pair.
const (
	stepTime   = 30 * time.Second
	directTime = 12 * time.Second // for a direct path that theory promises
	relayStays = 4 * time.Second  // how long one that it denies is waited for
	whySettles = 8 * time.Second  // and then for the reason
)

// serverPort is where the server listens, on the first public address.
const serverPort = 4433

// A stage has the profiles of a server and two clients who are contacts. Every
// pair begins with a copy of them.
type stage struct {
	sremp      string
	dir        string
	passphrase string

	mu  sync.Mutex // of the making of templates
	ids map[string][2]identity.PeerID
}

var names = [2]string{"ann", "bob"}

func newStage(sremp string) (*stage, error) {
	sremp, err := filepath.Abs(sremp)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sremp-natlab-")
	if err != nil {
		return nil, err
	}
	return &stage{sremp: sremp, dir: dir, passphrase: rand.Text(), ids: map[string][2]identity.PeerID{}}, nil
}

func (s *stage) close() { os.RemoveAll(s.dir) }

// template returns where the profiles are that know the server by an address of
// one family, and who they are. They are made when they are needed first.
func (s *stage) template(ctx context.Context, ipv6 bool) (dir string, ids [2]identity.PeerID, err error) {
	if dir = filepath.Join(s.dir, "template"); ipv6 {
		dir += "6"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, ok := s.ids[dir]
	if !ok {
		if ids, err = s.befriend(ctx, dir, ipv6); err != nil {
			return "", ids, fmt.Errorf("making the profiles: %w", err)
		}
		s.ids[dir] = ids
	}
	return dir, ids, nil
}

// befriend makes profiles, on public addresses.
func (s *stage) befriend(ctx context.Context, dir string, ipv6 bool) (ids [2]identity.PeerID, err error) {
	p, err := s.open(ctx, dir, natlab.Pair{A: "none", B: "none"}.Places, natlab.Conditions{}, ipv6)
	if err != nil {
		return ids, err
	}
	defer p.close()
	for i := range p.people {
		cmd := p.command(p.people[i].name+"-init", "--profile", p.people[i].dir, "init", "--name", names[i], "--server", p.address)
		if err := p.people[i].place.Start(cmd); err != nil {
			return ids, err
		}
		if err := cmd.Wait(); err != nil {
			return ids, fmt.Errorf("%s init: %w", names[i], err)
		}
		if err := p.people[i].start(ctx, p); err != nil {
			return ids, err
		}
		ids[i] = p.people[i].id
		second, err := identity.ParseServerAddr(p.second)
		if err != nil {
			return ids, err
		}
		if err := p.people[i].api.AddServer(ctx, second); err != nil {
			return ids, err
		}
	}
	inv, err := p.people[0].api.Invite(ctx, client.InviteOptions{})
	if err != nil {
		return ids, err
	}
	if _, err := p.people[1].api.Add(ctx, inv.URI, ""); err != nil {
		return ids, err
	}
	_, err = p.until(ctx, stepTime, func(seen) bool {
		return p.paths[0].Kind == client.PathDirect && p.paths[1].Kind == client.PathDirect && p.names[0] != "" && p.names[1] != ""
	})
	if err != nil {
		return ids, err
	}
	for i, x := range p.people {
		if _, err := x.api.Send(ctx, ids[1-i], "hello"); err != nil {
			return ids, err
		}
		if _, err = p.until(ctx, stepTime, func(e seen) bool {
			d, ok := e.event.(client.DeliveryEvent)
			return ok && e.who == i && d.State == client.Delivered
		}); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// A play is one pair in its world.
type play struct {
	s       *stage
	world   *natlab.World
	dir     string
	address string // of the server
	second  string // of another rendezvous
	people  [2]*person
	running []*exec.Cmd
	events  chan seen
	stop    chan struct{}

	paths  [2]client.Path
	names  [2]string // of the other, as each knows it
	probes atomic.Int64
}

type person struct {
	name, dir string
	place     *natlab.Place
	api       *rpc.Client
	up        time.Time // when its profile was open, and it began
	id        identity.PeerID
}

type seen struct {
	who   int
	event client.Event
	at    time.Time
}

// places makes the two clients' hosts.
type places func(*natlab.World) (a, b *natlab.Place, err error)

// open makes the world and starts the server, with the files in dir.
func (s *stage) open(ctx context.Context, dir string, places places, c natlab.Conditions, ipv6 bool) (_ *play, err error) {
	p := &play{s: s, dir: dir, events: make(chan seen, 256), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if p.world, err = natlab.NewWorld(c); err != nil {
		return nil, err
	}
	if p.world.Net != nil {
		p.world.Net.Filter(func(_, _ byte, packet []byte) bool {
			if _, _, payload, ok := natlab.UDP(packet); ok && nat.IsProbe(payload) {
				p.probes.Add(1)
			}
			return true
		})
	}
	server, err := p.world.Public(2)
	if err != nil {
		return nil, err
	}
	a, b, err := places(p.world)
	if err != nil {
		return nil, err
	}
	for i, place := range []*natlab.Place{a, b} {
		p.people[i] = &person{name: names[i], dir: filepath.Join(dir, names[i]), place: place}
	}
	// Two servers: only together do they see whether a NAT's mapping depends on
	// the address alone.
	first := server.Addr
	if ipv6 {
		first = server.Addr6
	}
	if p.address, err = p.serve(server, "server", first); err != nil {
		return nil, err
	}
	if p.second, err = p.serve(server, "rendezvous", first.Next()); err != nil {
		return nil, err
	}
	return p, nil
}

// serve starts a server and returns its address.
func (p *play) serve(place *natlab.Place, kind string, at netip.Addr) (string, error) {
	cmd := p.command(kind, kind, "--dir", filepath.Join(p.dir, kind), "--listen", netip.AddrPortFrom(at, serverPort).String(),
		"--websocket", netip.AddrPortFrom(at, 443).String())
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout = w
	err = place.Start(cmd)
	w.Close()
	if err != nil {
		return "", err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	addr, ok := strings.CutPrefix(line, "address: ")
	if err != nil || !ok {
		return "", fmt.Errorf("the %s did not start: %w", kind, err)
	}
	return strings.TrimSpace(addr), nil
}

// command prepares sremp, which logs to a file.
func (p *play) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(p.s.sremp, args...)
	cmd.Env = append(os.Environ(), "SREMP_PASSPHRASE="+p.s.passphrase)
	if log, err := os.OpenFile(filepath.Join(p.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	p.running = append(p.running, cmd)
	return cmd
}

func (p *play) close() {
	close(p.stop)
	for _, x := range p.people {
		if x != nil && x.api != nil {
			x.api.Close()
		}
	}
	for _, cmd := range p.running {
		if cmd.Process != nil && cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		}
	}
	for _, cmd := range p.running {
		if cmd.Process != nil && cmd.ProcessState == nil {
			_ = cmd.Wait() // how it ended is of no interest
		}
	}
	if p.world != nil {
		p.world.Close()
	}
}

// start runs the client and follows its events. It returns when the client is
// connected to its server, or after stepTime.
func (x *person) start(ctx context.Context, p *play) error {
	cmd := p.command(x.name, "--profile", x.dir, "--verbose", "listen", "--json")
	if err := x.place.Start(cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for x.api == nil {
		api, err := rpc.Dial(ctx, filepath.Join(x.dir, "socket"))
		if err == nil {
			x.api, x.up = api, time.Now()
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s did not start: %w", x.name, err)
		}
	}
	me, err := x.api.WhoAmI(ctx)
	if err != nil {
		return err
	}
	x.id = me.ID
	events, err := x.api.Subscribe(context.WithoutCancel(ctx)) // until the connection ends
	if err != nil {
		return err
	}
	who := 0
	if x == p.people[1] {
		who = 1
	}
	go func() {
		for e := range events {
			select {
			case p.events <- seen{who, e, time.Now()}:
			case <-p.stop:
				return
			}
		}
	}()
	for {
		servers, err := x.api.Servers(ctx)
		if err != nil {
			return err
		}
		if len(servers) > 0 && !slices.ContainsFunc(servers, func(s client.Server) bool { return !s.Connected }) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s did not reach its server", x.name)
		}
	}
}

var errPatience = errors.New("waited in vain")

// until takes note of events until done holds for one. It returns when.
func (p *play) until(ctx context.Context, patience time.Duration, done func(seen) bool) (time.Time, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e := <-p.events:
			switch x := e.event.(type) {
			case client.PathEvent:
				p.paths[e.who] = x.Path
			case client.ContactEvent:
				p.names[e.who] = x.Contact.Name
			}
			if done(e) {
				return e.at, nil
			}
		case <-timer.C:
			return time.Time{}, errPatience
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

func connected(k client.PathKind) bool { return k == client.PathDirect || k == client.PathRelay }

// settle waits until both sides know why they stay on the relay, if they do.
func (p *play) settle(ctx context.Context) error {
	known := func(x client.Path) bool { return x.Kind != client.PathRelay || x.Why.Settled() }
	both := func(seen) bool { return known(p.paths[0]) && known(p.paths[1]) }
	if both(seen{}) {
		return nil
	}
	if _, err := p.until(ctx, whySettles, both); err != nil && !errors.Is(err, errPatience) {
		return err
	}
	return nil
}

// play runs one pair.
func (s *stage) play(ctx context.Context, pair natlab.Pair) row {
	r := newRow(pair)
	if err := s.perform(ctx, pair, &r); err != nil {
		r.Problem = err.Error()
	}
	return r
}

// copy returns a copy of the template, for the caller to remove, also after an
// error.
func (s *stage) copy(ctx context.Context, ipv6 bool) (dir string, ids [2]identity.PeerID, err error) {
	if dir, err = os.MkdirTemp(s.dir, "pair-"); err != nil {
		return dir, ids, err
	}
	template, ids, err := s.template(ctx, ipv6)
	if err != nil {
		return dir, ids, err
	}
	if err = os.CopyFS(dir, os.DirFS(template)); err != nil {
		return dir, ids, err
	}
	for _, name := range names { // what the copy made readable to others
		if err = os.Chmod(filepath.Join(dir, name), 0o700); err != nil {
			return dir, ids, err
		}
	}
	return dir, ids, nil
}

func (s *stage) perform(ctx context.Context, pair natlab.Pair, r *row) error {
	ipv6 := pair.A == "ipv6" || pair.B == "ipv6"
	dir, ids, err := s.copy(ctx, ipv6)
	defer os.RemoveAll(dir)
	if err != nil {
		return err
	}
	c := pair.Conditions
	if c == (natlab.Conditions{}) {
		c = natlab.Conditions{Delay: natlab.PairRTT / 2}
	}
	p, err := s.open(ctx, dir, pair.Places, c, ipv6)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.people[0].start(ctx, p); err != nil {
		return err
	}
	if err := p.people[1].start(ctx, p); err != nil {
		return err
	}
	began := p.people[1].up
	since := func(t time.Time) float64 { return float64(t.Sub(began).Microseconds()) / 1000 }
	text := "pair " + r.Pair
	sent := false
	enough := func(e seen) bool {
		if x, ok := e.event.(client.PathEvent); ok && x.Path.Kind == client.PathRelay && r.RelayMS == 0 {
			r.RelayMS = since(e.at)
		}
		if !sent && connected(p.paths[0].Kind) {
			sent = true
			_, err = p.people[0].api.Send(ctx, ids[1], text)
		}
		if m, ok := e.event.(client.MessageEvent); ok && e.who == 1 && !m.Message.Mine && m.Message.Text == text {
			r.Connected, r.MessageMS = true, since(e.at)
		}
		if p.paths[0].Kind == client.PathDirect && p.paths[1].Kind == client.PathDirect && r.DirectMS == 0 {
			r.DirectMS = since(e.at)
		}
		return r.Connected && r.DirectMS > 0
	}
	patience := directTime
	if !pair.Direct {
		patience = relayStays
	}
	_, waitErr := p.until(ctx, patience, enough)
	if err != nil {
		return err
	}
	if waitErr != nil && !errors.Is(waitErr, errPatience) {
		return waitErr
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	r.Path, r.Reason, r.Why = p.paths[0].Kind.String(), p.paths[0].Reason, p.paths[0].Why
	r.ReasonB, r.WhyB = p.paths[1].Reason, p.paths[1].Why
	if p.paths[1].Kind != p.paths[0].Kind {
		r.Path = "different"
		r.Problem = fmt.Sprintf("%s and %s", p.paths[0].Kind, p.paths[1].Kind)
	}
	r.Packets = int(p.probes.Load())
	return nil
}
