package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/internal/natlab"
)

// speakEvery is between two messages of each side, in a scene.
const speakEvery = 100 * time.Millisecond

// A fallback is what became of two clients, one of which lost UDP and got it back,
// while both wrote to each other.
type fallback struct {
	// RTT from the first packet of the client without UDP until a server has proven
	// its key and the client may send, and until one serves it.
	usable  float64
	serves  float64
	back    time.Duration
	again   time.Duration
	why     client.Why
	sent    int
	missing int
	doubled int
}

// playFallback begins behind a router without UDP, lets UDP through, and takes it
// away again, while both sides write.
func (s *stage) playFallback(ctx context.Context) (f fallback, err error) {
	dir, ids, err := s.copy(ctx, false)
	defer os.RemoveAll(dir)
	if err != nil {
		return f, err
	}
	var router *natlab.Router
	p, err := s.open(ctx, dir, func(w *natlab.World) (a, b *natlab.Place, err error) {
		if router, err = w.Router(natlab.RouterOptions{Kind: natlab.Blocked}); err != nil {
			return nil, nil, err
		}
		other, err := w.Router(natlab.RouterOptions{Kind: natlab.Port})
		if err != nil {
			return nil, nil, err
		}
		if a, err = other.Home(); err == nil {
			b, err = router.Home()
		}
		return a, b, err
	}, natlab.Conditions{Delay: natlab.PairRTT / 2}, false)
	if err != nil {
		return f, err
	}
	defer p.close()
	if err := p.people[0].start(ctx, p); err != nil {
		return f, err
	}
	capture, err := p.people[1].place.Capture()
	if err != nil {
		return f, err
	}
	defer capture.Close()
	if err := p.people[1].start(ctx, p); err != nil {
		return f, err
	}
	var served, at time.Time
	_, err = p.until(ctx, stepTime, func(e seen) bool {
		if x, ok := e.event.(client.ServerEvent); ok && e.who == 1 && x.Server.Connected && served.IsZero() {
			served = e.at
		}
		return !served.IsZero() && connected(p.paths[0].Kind) && connected(p.paths[1].Kind)
	})
	if err != nil {
		return f, fmt.Errorf("without UDP: %w (%v, %v)", err, p.paths[0].Reason, p.paths[1].Reason)
	}
	frames := capture.Frames()
	if len(frames) == 0 {
		return f, fmt.Errorf("nothing was captured")
	}
	i := slices.IndexFunc(frames, func(x natlab.Frame) bool { _, _, _, udp := natlab.UDP(x.Packet); return x.Out && udp })
	first := frames[max(i, 0)].At
	f.serves = float64(served.Sub(first)) / float64(natlab.PairRTT)
	if at, err = loggedAt(filepath.Join(dir, names[1]+".log"), first, `msg="server connected"`, "tunnel=true"); err != nil {
		return f, err
	}
	f.usable = float64(at.Sub(first)) / float64(natlab.PairRTT)

	got := [2][]string{}
	stop := make(chan struct{})
	spoken := make(chan [2]int)
	go func() {
		var n [2]int
		defer func() { spoken <- n }()
		tick := time.NewTicker(speakEvery)
		defer tick.Stop()
		for {
			for who := range n {
				if _, err := p.people[who].api.Send(ctx, ids[1-who], fmt.Sprint(n[who])); err == nil {
					n[who]++
				}
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	var n [2]int
	note := func(done func() bool) func(seen) bool {
		return func(e seen) bool {
			if m, ok := e.event.(client.MessageEvent); ok && !m.Message.Mine {
				got[e.who] = append(got[e.who], m.Message.Text)
			}
			return done()
		}
	}
	whole := func() bool { return len(got[0]) >= n[1] && len(got[1]) >= n[0] }
	both := func(k client.PathKind) func() bool {
		return func() bool { return p.paths[0].Kind == k && p.paths[1].Kind == k }
	}
	steps := func() error {
		if _, err := p.until(ctx, 2*time.Second, note(func() bool { return false })); err != errPatience {
			return err
		}
		start := time.Now()
		if err := router.Become(natlab.Port); err != nil {
			return err
		}
		at, err = p.until(ctx, stepTime, note(both(client.PathDirect)))
		if err != nil {
			return fmt.Errorf("UDP works again: %w", err)
		}
		f.back = at.Sub(start)
		if _, err := p.until(ctx, 2*time.Second, note(func() bool { return false })); err != errPatience {
			return err
		}
		start = time.Now()
		if err := router.Become(natlab.Blocked); err != nil {
			return err
		}
		before := [2]int{len(got[0]), len(got[1])}
		if at, err = p.until(ctx, stepTime, note(func() bool {
			return both(client.PathRelay)() && p.paths[1].Why == "udp-blocked" && len(got[0]) > before[0] && len(got[1]) > before[1]
		})); err != nil {
			return fmt.Errorf("UDP fails again: %w (%v, %v)", err, p.paths[0], p.paths[1])
		}
		f.again, f.why = at.Sub(start), p.paths[1].Why
		_, err = p.until(ctx, time.Second, note(func() bool { return false }))
		if err == errPatience {
			err = nil
		}
		return err
	}
	err = steps()
	close(stop)
	n = <-spoken
	if err != nil {
		return f, err
	}
	if !whole() {
		if _, err = p.until(ctx, stepTime, note(whole)); err != nil && err != errPatience {
			return f, err
		}
	}
	for who, texts := range got {
		f.sent += n[1-who]
		for i := range n[1-who] {
			switch c := count(texts, fmt.Sprint(i)); {
			case c == 0:
				f.missing++
			case c > 1:
				f.doubled++
			}
		}
	}
	return f, nil
}

// loggedAt returns when a client first logged a line with all of the words, after
// a moment.
func loggedAt(file string, after time.Time, words ...string) (at time.Time, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return at, err
	}
	for line := range strings.Lines(string(b)) {
		stamp, ok := strings.CutPrefix(line, "time=")
		if !ok || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			continue
		}
		stamp, _, _ = strings.Cut(stamp, " ")
		if at, err = time.Parse(time.RFC3339, stamp); err == nil && at.After(after) {
			return at, nil
		}
	}
	return at, fmt.Errorf("%s has no line with %q", file, words)
}

func count(texts []string, text string) (n int) {
	for _, t := range texts {
		if t == text {
			n++
		}
	}
	return n
}

// write prints the figures.
func (f fallback) write(w io.Writer) {
	fmt.Fprintf(w, "figure: paths.2.udp_blocked_usable %.1f RTT from a client's first packet until a server has proven its key over WebSocket and the client may send, 10 at most; RTT %v\n", f.usable, natlab.PairRTT)
	fmt.Fprintf(w, "figure: paths.2.udp_blocked_registered %.1f RTT until the client is registered there\n", f.serves)
	fmt.Fprintf(w, "figure: paths.udp_returns.direct %d ms until both are direct\n", f.back.Milliseconds())
	fmt.Fprintf(w, "figure: paths.udp_fails.relayed %d ms until messages pass through the relay over WebSocket, 3000 at most\n", f.again.Milliseconds())
	fmt.Fprintf(w, "figure: paths.udp_changes.lost %d messages of_%d, doubled: %d\n", f.missing, f.sent, f.doubled)
}

// asPromised reports whether the figures are.
func (f fallback) asPromised() bool {
	return f.usable > 0 && f.usable <= 10 && f.again <= 3*time.Second && f.missing == 0 && f.doubled == 0 && f.sent > 0
}
