package client

import (
	"context"
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

	acks := &ackQueue{wake: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n.run(func() { n.leaveNote(ctx, s.addr) })
	n.run(func() { n.ackMail(ctx, cl, acks) })
	n.run(func() { n.relayWork(ctx, s, cl) })
	for {
		select {
		case m, ok := <-cl.Mail():
			if !ok {
				<-cl.Done()
				return cl.Err()
			}
			n.c.post(func(k *core) {
				keep, note := k.takeNote(s.addr.ID, m)
				if !note {
					k.mailArrived(s.addr.ID, m)
				}
				k.settle(func(err error) {
					switch {
					case err != nil:
						cl.Close() // it comes again with the next connection
						return
					case keep:
						return
					}
					acks.add(m.Seq)
				})
			})
		case <-cl.Done():
			return cl.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// An ackQueue holds the numbers of mail that is stored here. It is as long as
// the relay's quota at most.
type ackQueue struct {
	wake chan struct{} // capacity 1

	mu   sync.Mutex
	seqs []uint64
}

func (q *ackQueue) add(seq uint64) {
	q.mu.Lock()
	q.seqs = append(q.seqs, seq)
	q.mu.Unlock()
	notify(q.wake)
}

func (q *ackQueue) take() []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	seqs := q.seqs
	q.seqs = nil
	return seqs
}

// notify wakes who waits on a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ackMail deletes at the relay what is stored here.
func (n *network) ackMail(ctx context.Context, cl *relay.Client, acks *ackQueue) {
	for {
		select {
		case <-acks.wake:
		case <-ctx.Done():
			return
		}
		call, cancel := context.WithTimeout(ctx, dialTime)
		err := cl.Ack(call, acks.take())
		cancel()
		if err != nil {
			cl.Close() // with the next connection it all comes again
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
