// The pion command is a peer made of pion/ice, or the signalling between two of
// them; coturn is the STUN and TURN server. Package peers says what it prints.
//
//	pion signal HOST:PORT
//	pion [-tuned] peer NAME SIGNAL TURN
//
// TURN is HOST:PORT of the server. ICE proves that the other side knows what the
// signalling told it; it encrypts nothing, and no identity is proven.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

// Of the TURN server.
const user, password = "lab", "lab"

const dialTime = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pion:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tuned := flag.Bool("tuned", false, "check every 20 ms and take a path at once, not after ICE's usual waits")
	flag.Parse()
	switch args := flag.Args(); {
	case len(args) == 2 && args[0] == "signal":
		return runSignal(ctx, args[1])
	case len(args) == 4 && args[0] == "peer":
		return runPeer(ctx, args[1], args[2], args[3], *tuned)
	}
	return errors.New("usage: pion signal HOST:PORT | pion [-tuned] peer NAME SIGNAL TURN")
}

// A letter passes through the signalling, a line of JSON.
type letter struct {
	To, From        string
	Ufrag, Password string
	Candidates      []string
}

// runSignal passes each letter to whom it names.
func runSignal(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	fmt.Println("address", l.Addr())
	var mu sync.Mutex
	boxes := map[string]*json.Encoder{}
	for {
		c, err := l.Accept()
		if err != nil {
			return nil // closed
		}
		go func() {
			defer c.Close()
			in := json.NewDecoder(c)
			for {
				var x letter
				if in.Decode(&x) != nil {
					return
				}
				mu.Lock()
				boxes[x.From] = json.NewEncoder(c)
				if box := boxes[x.To]; box != nil {
					_ = box.Encode(x) // who is gone gets nothing
				} else if x.To == x.From {
					_ = boxes[x.From].Encode(x)
				}
				mu.Unlock()
			}
		}()
	}
}

type agent struct {
	*ice.Agent
	mine letter
	say  func(string)
}

func newAgent(ctx context.Context, turn string, tuned bool, say func(string)) (*agent, error) {
	host, port, err := net.SplitHostPort(turn)
	if err != nil {
		return nil, err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	var urls []*stun.URI
	for _, s := range []string{"stun:%s:%s", "turn:%s:%s?transport=udp", "turn:%s:%s?transport=tcp"} {
		u, err := stun.ParseURI(fmt.Sprintf(s, host, port))
		if err != nil {
			return nil, err
		}
		u.Username, u.Password = user, password
		urls = append(urls, u)
	}
	options := []ice.AgentOption{
		ice.WithUrls(urls), ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithSTUNGatherTimeout(time.Second),
	}
	if tuned {
		options = append(options, ice.WithCheckInterval(20*time.Millisecond), ice.WithSrflxAcceptanceMinWait(0),
			ice.WithPrflxAcceptanceMinWait(0), ice.WithMaxBindingRequests(100))
	}
	inner, err := ice.NewAgentWithOptions(options...)
	if err != nil {
		return nil, err
	}
	a := &agent{Agent: inner, say: say}
	if a.mine.Ufrag, a.mine.Password, err = inner.GetLocalUserCredentials(); err != nil {
		return nil, err
	}
	gathered := make(chan struct{})
	if err := inner.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(gathered)
			return
		}
		a.mine.Candidates = append(a.mine.Candidates, c.Marshal())
	}); err != nil {
		return nil, err
	}
	if err := inner.OnSelectedCandidatePairChange(func(local, remote ice.Candidate) {
		if local.Type() == ice.CandidateTypeRelay || remote.Type() == ice.CandidateTypeRelay {
			say("relay")
		} else {
			say("direct")
		}
	}); err != nil {
		return nil, err
	}
	if err := inner.GatherCandidates(); err != nil {
		return nil, err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
	}
	return a, ctx.Err()
}

func runPeer(ctx context.Context, name, signalling, turn string, tuned bool) error {
	c, err := net.Dial("tcp", signalling)
	if err != nil {
		return err
	}
	defer c.Close()
	context.AfterFunc(ctx, func() { c.Close() })
	a, err := newAgent(ctx, turn, tuned, events())
	if err != nil {
		return err
	}
	defer a.Close()
	out, in := json.NewEncoder(c), json.NewDecoder(c)
	if err := out.Encode(letter{To: name, From: name}); err != nil {
		return err
	}
	var x letter
	if err := in.Decode(&x); err != nil { // our own: the signalling knows us
		return err
	}
	fmt.Println("ready", name)
	dialling := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if to, ok := strings.CutPrefix(lines.Text(), "dial "); ok {
				close(dialling)
				a.say("begun")
				offer := a.mine
				offer.To, offer.From = to, name
				_ = out.Encode(offer) // reading fails then too
			}
		}
	}()
	if err := in.Decode(&x); err != nil {
		return err
	}
	controlling := false
	select {
	case <-dialling:
		controlling = true
	default:
		answer := a.mine
		answer.To, answer.From = x.From, name
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return a.connect(ctx, x, controlling)
}

// connect connects to who sent a letter, and exchanges a message.
func (a *agent) connect(ctx context.Context, x letter, controlling bool) error {
	for _, s := range x.Candidates {
		c, err := ice.UnmarshalCandidate(s)
		if err != nil {
			return err
		}
		if err := a.AddRemoteCandidate(c); err != nil {
			return err
		}
	}
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	way := a.Accept
	if controlling {
		way = a.Dial
	}
	conn, err := way(dial, x.Ufrag, x.Password)
	if err != nil {
		return err
	}
	go func() {
		// Nothing here sends a lost packet again.
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			_, _ = conn.Write([]byte("hello"))
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	b := make([]byte, 1500)
	if n, err := conn.Read(b); err == nil && string(b[:n]) == "hello" {
		a.say("message")
	}
	<-ctx.Done()
	return nil
}

// events prints each event once.
func events() func(string) {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(name string) {
		now := time.Now().UnixNano()
		mu.Lock()
		defer mu.Unlock()
		if !seen[name] {
			seen[name] = true
			fmt.Println(name, now)
		}
	}
}
