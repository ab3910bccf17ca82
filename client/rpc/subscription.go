package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/sremp/sremp/client"
)

// subscribe starts to forward events under the caller's number. The answer to
// the request may be written after the first events.
func (s *session) subscribe(number uint64) (*wireError, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.subscriptions[number]; taken || len(s.subscriptions) >= maxSubscriptions {
		cancel()
		return &wireError{
			Code:    codeInvalidRequest,
			Message: fmt.Sprintf("rpc: subscription %d is taken, or there are %d already", number, maxSubscriptions),
		}, nil
	}
	events, err := s.api.Subscribe(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	s.subscriptions[number] = cancel
	s.work.Go(func() {
		defer s.unsubscribe(number)
		for e := range events {
			kind, data, err := encodeEvent(e)
			if err != nil {
				continue // nothing that this version could tell
			}
			if s.notify(eventParams{Subscription: number, Kind: kind, Data: data}) != nil {
				return
			}
		}
		_ = s.notify(eventParams{Subscription: number, End: true}) // the reader sees a broken connection too
	})
	return nil, nil
}

func (s *session) unsubscribe(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.subscriptions[number]; cancel != nil {
		cancel()
		delete(s.subscriptions, number)
	}
}

func (s *session) notify(p eventParams) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.w.write(message{Method: "event", Params: b})
}

// maxQueue is how far a subscriber may lag, as in [client.API].
const maxQueue = 4096

// A queue hands events to a subscriber without ever blocking the one who puts.
type queue struct {
	out chan client.Event // closed at the end, by pump

	mu     sync.Mutex
	items  []client.Event
	ended  bool
	signal chan struct{} // capacity 1: something changed
}

func newQueue() *queue {
	return &queue{out: make(chan client.Event), signal: make(chan struct{}, 1)}
}

// put adds e. A queue that is too long ends, after what it holds.
func (q *queue) put(e client.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
		return
	case len(q.items) >= maxQueue:
		q.ended = true
	default:
		q.items = append(q.items, e)
	}
	q.wake()
}

// end lets the subscriber have what is queued and then closes its channel.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// pump moves events to out until the queue ended or ctx is done.
func (q *queue) pump(ctx context.Context) {
	defer close(q.out)
	for {
		q.mu.Lock()
		items, ended := q.items, q.ended
		q.items = nil
		q.mu.Unlock()
		for _, e := range items {
			select {
			case q.out <- e:
			case <-ctx.Done():
				return
			}
		}
		if ended {
			return
		}
		select {
		case <-q.signal:
		case <-ctx.Done():
			return
		}
	}
}
