package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sremp/sremp/client"
)

// watchEvery is between two looks at the round trip of a path that is watched.
const watchEvery = time.Second

// watchPath prints the path to a contact, and again whenever it or its reason,
// its round trip (by a quarter and 5 ms) or its loss (by a hundredth) has changed,
// until ctx ends. Looking has the client measure.
func (a *app) watchPath(ctx context.Context, s *session, c client.Contact, p *printer) error {
	events, err := s.Subscribe(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last client.Path
	show := func(path client.Path) error {
		if samePath(last, path) {
			return nil
		}
		last = path
		if !p.json {
			if _, err := fmt.Fprintf(a.stdout, "%s  ", time.Now().Format("15:04:05.000")); err != nil {
				return err
			}
		}
		return p.path(path)
	}
	for {
		path, err := s.Path(ctx, c.ID)
		if err == nil {
			err = show(path)
		}
		if err != nil {
			return endOfWatch(ctx, err)
		}
		select {
		case <-tick.C:
		case e, ok := <-events:
			if !ok {
				return endOfWatch(ctx, errLostClient)
			}
			if x, ok := e.(client.PathEvent); ok && x.Path.Contact == c.ID {
				if err := show(x.Path); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func endOfWatch(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil // this is how it is meant to end
	}
	return err
}

func samePath(a, b client.Path) bool {
	d := (a.RTT - b.RTT).Abs()
	if math.Abs(lossPercent(a)-lossPercent(b)) >= 1 {
		return false
	}
	return a.Kind == b.Kind && a.Remote == b.Remote && a.Reason == b.Reason && (d < 5*time.Millisecond || d < a.RTT/4)
}
