package client

import (
	"context"
	"time"
)

// flushPoll is how often Flush looks.
const flushPoll = 50 * time.Millisecond

// Flush waits until everything in the outbox has arrived at its contact or is
// held by a relay: what a program that is about to end waits for. It returns
// [ErrTimeout] if ctx is over before.
func (c *Client) Flush(ctx context.Context) error {
	t := time.NewTicker(flushPoll)
	defer t.Stop()
	for {
		flushed := false
		err := c.do(ctx, func(k *core) error {
			flushed = k.flushed()
			return nil
		})
		switch {
		case ctx.Err() != nil:
			return ErrTimeout
		case err != nil || flushed:
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
}

func (k *core) flushed() bool {
	for _, c := range k.contacts {
		if c.info.Trust != Trusted {
			continue
		}
		if !k.eachOutbox(c, c.flow.Acked.Next, c.flow.NextOut, func(r outRow) bool { return r.state == outHeld }) {
			return false
		}
	}
	return true
}
