package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sremp/sremp/relay"
)

// useRelay is one session as an owner of inboxes.
func (n *network) useRelay(ctx context.Context, s *server) error {
	dial, cancel := context.WithTimeout(ctx, dialTime)
	cl, err := relay.Dial(dial, n.ep, s.addr, s.owner, "")
	cancel()
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := n.furnish(ctx, s, cl); err != nil {
		return err
	}
	n.mu.Lock()
	s.relay = cl
	s.setTriedLocked()
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		s.relay = nil
		n.mu.Unlock()
	}()
	// What was made between the two steps above.
	if err := n.furnish(ctx, s, cl); err != nil {
		return err
	}
	n.c.post(func(k *core) { k.serverUp(s.addr.ID, roleRelay, "") })

	acks := newQueue[uint64]()      // numbers of mail that is stored here: as many as the relay's quota has at most
	again := newQueue[relay.Mail]() // what could not be stored: as much as the core takes at a time
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n.run(func() { n.leaveNote(ctx, s.addr) })
	n.run(func() { n.ackMail(ctx, cl, acks) })
	n.run(func() { n.relayWork(ctx, s, cl) })
	take := func(m relay.Mail) {
		n.c.post(func(k *core) {
			keep, note := k.takeNote(s.addr.ID, m)
			if !note {
				k.mailArrived(s.addr.ID, m)
			}
			k.settle(func(err error) {
				switch {
				case err != nil:
					again.add(m)
				case !keep:
					acks.add(m.Seq)
				}
			})
		})
	}
	var pause <-chan time.Time // while mail waits to be stored, no more is read
	wait, failed := serverRetryMin, time.Time{}
	for {
		mail := cl.Mail()
		if pause != nil {
			mail = nil
		}
		select {
		case m, ok := <-mail:
			if !ok {
				<-cl.Done()
				return cl.Err()
			}
			take(m)
		case <-again.wake:
			if pause != nil {
				continue
			}
			if time.Since(failed) > 2*serverRetryMax {
				wait = serverRetryMin
			}
			pause, failed = time.After(wait), time.Now()
			wait = min(2*wait, serverRetryMax)
		case <-pause:
			pause = nil
			for _, m := range again.take() {
				take(m)
			}
		case <-cl.Done():
			return cl.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A queue is filled by the core, which must not wait, and emptied by a session.
type queue[T any] struct {
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	items []T
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

func (q *queue[T]) add(x T) {
	q.mu.Lock()
	q.items = append(q.items, x)
	q.mu.Unlock()
	notify(q.wake)
}

func (q *queue[T]) take() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}

// notify wakes who waits on a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ackMail deletes at the relay what is stored here. A relay that cannot do so is asked
// again on the same connection: on another one all of the mail would come again.
func (n *network) ackMail(ctx context.Context, cl *relay.Client, acks *queue[uint64]) {
	wait := serverRetryMin
	var seqs []uint64
	for {
		select {
		case <-acks.wake:
		case <-ctx.Done():
			return
		}
		seqs = append(seqs, acks.take()...)
		call, cancel := context.WithTimeout(ctx, dialTime)
		err := cl.Ack(call, seqs)
		cancel()
		switch {
		case err == nil:
			wait, seqs = serverRetryMin, nil
		case errors.Is(err, relay.ErrServer) || errors.Is(err, relay.ErrFull) || errors.Is(err, relay.ErrBusy):
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			wait = min(2*wait, serverRetryMax)
			notify(acks.wake)
		default:
			cl.Close()
			return
		}
	}
}

// relayWork does what comes up while the relay stands.
func (n *network) relayWork(ctx context.Context, s *server, cl *relay.Client) {
	timer := time.NewTicker(maintainEvery)
	defer timer.Stop()
	for {
		select {
		case f := <-s.work:
			f(ctx, cl)
		case <-timer.C:
			if err := n.furnish(ctx, s, cl); err != nil {
				n.c.log.Info("relay not furnished", "server", s.addr.HostPort(), "err", err)
			}
		case <-ctx.Done():
			return
		case <-cl.Done():
			return
		}
	}
}
