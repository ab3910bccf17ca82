package client

import (
	"context"
	"sync"
)

// maxQueuedEvents is how far behind a subscriber may be (see [API.Subscribe]).
const maxQueuedEvents = 4096

// A hub hands events to subscribers.
type hub struct {
	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	first  *subscriber // has kept events for the first subscribe; nil if there is none
	closed bool
	pumps  sync.WaitGroup
}

type subscriber struct {
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	queue []Event
	ended bool
}

// keep queues events for the first subscribe.
func (h *hub) keep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.first = h.newSubscriberLocked()
}

func (h *hub) newSubscriberLocked() *subscriber {
	s := &subscriber{wake: make(chan struct{}, 1)}
	if h.subs == nil {
		h.subs = map[*subscriber]struct{}{}
	}
	h.subs[s] = struct{}{}
	return s
}

func (h *hub) subscribe(ctx context.Context) (<-chan Event, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	s := h.first
	if h.first = nil; s == nil {
		s = h.newSubscriberLocked()
	}
	out := make(chan Event)
	h.pumps.Go(func() {
		defer close(out)
		s.pump(ctx, out)
		h.mu.Lock()
		delete(h.subs, s)
		h.mu.Unlock()
	})
	return out, nil
}

// pump delivers until ctx is done or, once the subscriber ended, its queue is empty.
func (s *subscriber) pump(ctx context.Context, out chan<- Event) {
	for {
		s.mu.Lock()
		batch, ended := s.queue, s.ended
		s.queue = nil
		s.mu.Unlock()
		for _, e := range batch {
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		if ended {
			return
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (s *subscriber) add(e Event) {
	s.mu.Lock()
	if !s.ended {
		s.queue = append(s.queue, e)
		s.ended = len(s.queue) >= maxQueuedEvents
	}
	s.mu.Unlock()
	s.signal()
}

func (s *subscriber) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
}

func (s *subscriber) signal() { notify(s.wake) }

// emit queues e for every subscriber; it never blocks.
func (h *hub) emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		s.add(e)
	}
}

// close ends all subscriptions after what is queued. A subscriber that neither
// reads nor cancels is not waited for.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		s.end()
	}
}
