package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/client/rpc"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/internal/natlab"
)

// demo is the stage: places, processes, and what was seen so far. It belongs to
// the goroutine that runs the plot.
type demo struct {
	a       *app
	json    bool
	dir     string
	began   time.Time
	network string // one sentence part

	world      *natlab.World  // nil on loopback
	places     []*natlab.Site // of the server, Ann and Bob
	passphrase string
	serverHost string
	server     identity.ServerAddr
	processes  []*process

	events   chan demoEvent
	people   map[identity.PeerID]*person
	names    map[identity.PeerID]map[identity.PeerID]string // contacts' names, by whose they are
	paths    map[identity.PeerID]client.Path                // newest, by whose it is
	states   map[client.MessageID]client.DeliveryState
	received map[client.MessageID]bool
}

type demoEvent struct {
	who   *person
	event client.Event
}

func (a *app) newDemo(o demoOptions) (*demo, error) {
	d := &demo{
		a: a, json: o.json, began: time.Now(), passphrase: rand.Text(),
		events: make(chan demoEvent), people: map[identity.PeerID]*person{},
		names: map[identity.PeerID]map[identity.PeerID]string{}, paths: map[identity.PeerID]client.Path{},
		states: map[client.MessageID]client.DeliveryState{}, received: map[client.MessageID]bool{},
	}
	err := o.noNAT
	if o.network != networkLoopback && err == nil {
		err = d.build()
	}
	switch {
	case d.world != nil:
	case o.network == networkNAT:
		return nil, fmt.Errorf("there are no NAT routers to be had here: %w", err)
	default:
		d.network, d.serverHost = "all on loopback", "127.0.0.1"
		here := natlab.Here()
		d.places = []*natlab.Site{here, here, here}
	}
	if err != nil {
		d.tell("network", "Network: %s, because %v.", d.network, err)
	} else {
		d.tell("network", "Network: %s.", d.network)
	}
	if d.dir, err = os.MkdirTemp("", "sremp-demo-"); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// demoDelay is how long a packet takes between two places, where the network can
// delay any: enough to see a conversation begin through the relay.
const demoDelay = 20 * time.Millisecond

// build makes the internet, with a home router for each client. An error leaves
// nothing behind.
func (d *demo) build() (err error) {
	w, err := natlab.NewWorld(natlab.Conditions{Delay: demoDelay})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	server, err := w.Public(1)
	if err != nil {
		return err
	}
	places := []*natlab.Site{server.Site}
	for range 2 {
		router, err := w.Router(natlab.RouterOptions{Kind: natlab.Port})
		if err != nil {
			return err
		}
		home, err := router.Home()
		if err != nil {
			return err
		}
		places = append(places, home.Site)
	}
	d.world, d.places, d.serverHost = w, places, server.Addr.String()
	d.network = "each client behind a NAT router of its own, the server on the internet between them"
	if w.Net != nil {
		d.network += fmt.Sprintf(", %v of round trip", 2*demoDelay)
	} else {
		d.network += ", without delay because there is no TUN device"
	}
	return nil
}

// close ends all processes and removes all files.
func (d *demo) close() {
	for _, p := range d.processes {
		p.end(syscall.SIGTERM)
	}
	if d.world != nil {
		d.world.Close()
	} else {
		d.places[0].Close()
	}
	if d.dir != "" {
		if err := os.RemoveAll(d.dir); err != nil {
			d.a.say("%v", err)
		}
	}
}

func (d *demo) took() string { return time.Since(d.began).Round(100 * time.Millisecond).String() }

// tell says what happens now.
func (d *demo) tell(step, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.json {
		_ = (&printer{w: d.a.stdout}).object(struct {
			Event string `json:"event"` // "demo"
			Step  string `json:"step"`
			Text  string `json:"text"`
		}{"demo", step, text}) // a broken pipe ends the process by itself
		return
	}
	fmt.Fprintf(d.a.stdout, "• %s\n", text)
}

// until handles events until done holds. Events that came before count: done
// looks at what was seen.
func (d *demo) until(ctx context.Context, what string, done func() bool) error {
	timer := time.NewTimer(demoStep)
	defer timer.Stop()
	for !done() {
		select {
		case e := <-d.events:
			if err := d.see(e); err != nil {
				return err
			}
		case <-timer.C:
			return fmt.Errorf("the demo waited %s in vain until %s", demoStep, what)
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, p := range d.processes {
			if err := p.unexpectedEnd(); err != nil {
				return err
			}
		}
	}
	return nil
}

// see takes note of an event and shows it.
func (d *demo) see(e demoEvent) error {
	show := true
	switch x := e.event.(type) {
	case client.ContactEvent:
		d.names[e.who.id][x.Contact.ID] = x.Contact.Name
		if !d.json { // else the printer does
			e.who.printer.names[x.Contact.ID] = x.Contact.Label()
		}
		show = false
	case client.PathEvent:
		old := d.paths[e.who.id]
		show = old.Kind != x.Path.Kind || old.Remote != x.Path.Remote
		d.paths[e.who.id] = x.Path
	case client.MessageEvent:
		if !x.Message.Mine {
			d.received[x.Message.ID] = true
		}
		show = !x.Message.Mine
	case client.DeliveryEvent:
		d.states[x.ID] = max(d.states[x.ID], x.State)
	default:
		show = false
	}
	if d.json {
		return e.who.printer.event(e.event)
	}
	if !show {
		return nil
	}
	return e.who.show(e.event)
}

// show prints an event of p's for people.
func (p *person) show(e client.Event) error {
	out := p.d.a.stdout
	var err error
	switch e := e.(type) {
	case client.MessageEvent:
		_, err = fmt.Fprintf(out, "    %s reads from %s: %s\n", p.name, p.printer.name(e.Message.Contact), e.Message.Text)
	case client.PathEvent:
		_, err = fmt.Fprintf(out, "    %s's path to %s: %s\n", p.name, p.printer.name(e.Path.Contact), describePath(e.Path))
	case client.DeliveryEvent:
		_, err = fmt.Fprintf(out, "    %s's message is %s\n", p.name, e.State)
	}
	return err
}

func (d *demo) startServer(ctx context.Context) error {
	p, err := d.start(ctx, "server", d.places[0], true, "server", "--dir", filepath.Join(d.dir, "server"),
		"--listen", d.serverHost+":0")
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(line, "address: ")
	if err != nil || !ok {
		return fmt.Errorf("the server did not start: %w", errors.Join(err, p.unexpectedEnd()))
	}
	if d.server, err = identity.ParseServerAddr(strings.TrimSpace(addr)); err != nil {
		return err
	}
	d.tell("server", "A server (process %d): %s", p.cmd.Process.Pid, d.server)
	return nil
}

// A person is one client of the demo.
type person struct {
	d       *demo
	name    string
	place   *natlab.Site
	dir     string
	id      identity.PeerID
	process *process
	api     *rpc.Client
	printer *printer
	ended   chan struct{} // closed when the events of api have ended
}

func (d *demo) person(name string, place *natlab.Site) *person {
	return &person{d: d, name: name, place: place, dir: filepath.Join(d.dir, strings.ToLower(name))}
}

// create makes the profile.
func (p *person) create(ctx context.Context) error {
	init, err := p.d.start(ctx, p.name+"-init", p.place, false, "--profile", p.dir, "init", "--name", p.name,
		"--server", p.d.server.String())
	if err != nil {
		return err
	}
	init.brief = true
	<-init.ended
	if init.err != nil {
		return fmt.Errorf("making %s's profile: %w", p.name, init.err)
	}
	return nil
}

// start runs the client and connects to its socket.
func (p *person) start(ctx context.Context) error {
	var err error
	if p.process, err = p.d.start(ctx, p.name, p.place, false, "--profile", p.dir, "listen", "--json"); err != nil {
		return err
	}
	if p.api, err = p.dial(ctx); err != nil {
		return err
	}
	me, err := p.api.WhoAmI(ctx)
	if err != nil {
		return err
	}
	p.id = me.ID
	if p.d.names[p.id] == nil {
		p.d.names[p.id] = map[identity.PeerID]string{}
	}
	events, err := p.api.Subscribe(context.WithoutCancel(ctx)) // it ends with the connection
	if err != nil {
		return err
	}
	if p.printer, err = newPrinter(ctx, p.api, p.d.a.stdout, p.d.json); err != nil {
		return err
	}
	p.printer.who = p.name
	p.ended = make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		for e := range events {
			select {
			case p.d.events <- demoEvent{p, e}:
			case <-p.process.ended:
				return
			}
		}
	}(p.ended)
	// What happened between the client's start and our subscription.
	if err := p.catchUp(ctx); err != nil {
		return err
	}
	p.d.tell("client", "%s (process %d): %s", p.name, p.process.cmd.Process.Pid, p.id)
	return nil
}

// catchUp takes note of what no event told, because it happened before.
func (p *person) catchUp(ctx context.Context) error {
	contacts, err := p.api.Contacts(ctx)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		messages, err := p.api.History(ctx, c.ID, client.HistoryQuery{})
		if err != nil {
			return err
		}
		for _, m := range messages {
			if !m.Mine && !p.d.received[m.ID] {
				if err := p.d.see(demoEvent{p, client.MessageEvent{Message: m}}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// dial waits for the client's socket: it is there once the profile is open.
func (p *person) dial(ctx context.Context) (*rpc.Client, error) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	give := time.NewTimer(demoStep)
	defer give.Stop()
	for {
		api, err := rpc.Dial(ctx, filepath.Join(p.dir, socketFile))
		if err == nil {
			return api, nil
		}
		select {
		case <-t.C:
		case <-p.process.ended:
			return nil, p.process.unexpectedEnd()
		case <-give.C:
			return nil, fmt.Errorf("%s's client did not start: %w", p.name, err)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// stop ends the client as its user would.
func (p *person) stop() error {
	p.process.end(syscall.SIGTERM)
	p.api.Close()
	<-p.ended
	delete(p.d.paths, p.id)
	return p.process.err
}

// A process is one that the demo started.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdout io.ReadCloser // if it was asked for
	log    string        // file of what it said
	ended  chan struct{}
	err    error // valid once ended is closed
	asked  bool  // to end
	brief  bool  // meant to end by itself
}

// start starts this program in a place.
func (d *demo) start(ctx context.Context, name string, place *natlab.Site, pipe bool, args ...string) (*process, error) {
	cmd, err := d.a.self(context.WithoutCancel(ctx), args...) // they end in close's order
	if err != nil {
		return nil, err
	}
	p := &process{
		name: name, cmd: cmd, ended: make(chan struct{}),
		log: filepath.Join(d.dir, fmt.Sprintf("%d-%s.log", len(d.processes), name)),
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Env = append(os.Environ(), passphraseVariable+"="+d.passphrase)
	cmd.Stderr = log
	var childOut *os.File
	if pipe {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		p.stdout, cmd.Stdout, childOut = r, w, w
	} else {
		cmd.Stdout = log
	}
	err = place.Start(cmd)
	if childOut != nil {
		childOut.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	d.processes = append(d.processes, p)
	return p, nil
}

// end asks p to end, and makes it if it does not.
func (p *process) end(sig syscall.Signal) {
	p.asked = true
	_ = p.cmd.Process.Signal(sig) // it may have ended by itself
	give := time.NewTimer(10 * time.Second)
	defer give.Stop()
	select {
	case <-p.ended:
	case <-give.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// unexpectedEnd is an error if p ended without being asked, or badly.
func (p *process) unexpectedEnd() error {
	select {
	case <-p.ended:
	default:
		return nil
	}
	if p.asked || p.err == nil && p.brief {
		return nil
	}
	return fmt.Errorf("%s ended: %v", p.name, p.err)
}

// tellLogs shows the last lines that the processes wrote, after a failure.
func (d *demo) tellLogs() {
	const show = 2000 // bytes of each
	for _, p := range d.processes {
		b, err := os.ReadFile(p.log)
		if err != nil || len(bytes.TrimSpace(b)) == 0 {
			continue
		}
		b = b[max(0, len(b)-show):]
		fmt.Fprintf(d.a.stderr, "--- %s wrote:\n%s\n", p.name, bytes.TrimSpace(b))
	}
}
