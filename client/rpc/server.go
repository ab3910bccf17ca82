package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/sremp/sremp/client"
)

// Limits of one connection.
const (
	maxRequests      = 64 // under way at once; further ones wait unread
	maxSubscriptions = 16
)

// Serve answers on l's connections until ctx is done or l fails. It closes l and
// returns after the last request has ended.
func Serve(ctx context.Context, l net.Listener, api client.API) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			l.Close()
			return fmt.Errorf("rpc: %w", err)
		}
		conns.Go(func() { ServeConn(ctx, conn, api) })
	}
}

// ServeConn answers on one connection until it ends or ctx is done, and closes
// it.
func ServeConn(ctx context.Context, conn io.ReadWriteCloser, api client.API) {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{
		ctx: ctx, api: api, w: &writer{w: conn}, slots: make(chan struct{}, maxRequests),
		requests: map[requestID]context.CancelFunc{}, subscriptions: map[uint64]context.CancelFunc{},
	}
	defer s.work.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // unblocks the read below
	defer stop()
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		m, err := readMessage(r, maxRequest)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				_ = s.w.write(message{Error: &wireError{Code: codeParse, Message: err.Error()}}) // we hang up anyway
			}
			return
		}
		s.handle(m)
	}
}

// session is the server's side of one connection.
type session struct {
	ctx   context.Context // the connection's
	api   client.API
	w     *writer
	slots chan struct{}  // one for each request under way
	work  sync.WaitGroup // requests and subscriptions

	mu            sync.Mutex
	requests      map[requestID]context.CancelFunc // by request id
	subscriptions map[uint64]context.CancelFunc    // by the caller's number
}

func (s *session) handle(m message) {
	if m.Method == "cancel" {
		var p cancelParams
		if json.Unmarshal(m.Params, &p) == nil {
			s.mu.Lock()
			if cancel := s.requests[p.ID]; cancel != nil {
				cancel()
			}
			s.mu.Unlock()
		}
		return
	}
	if m.ID == nil {
		return // an unknown notification
	}
	id := *m.ID
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	_, taken := s.requests[id]
	if !taken {
		s.requests[id] = cancel
	}
	s.mu.Unlock()
	if taken {
		cancel()
		s.respond(id, nil, &wireError{Code: codeInvalidRequest, Message: "rpc: a request with this id is under way"})
		return
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		cancel()
		return
	}
	s.work.Go(func() {
		result, err := s.call(ctx, m)
		s.mu.Lock()
		delete(s.requests, id)
		s.mu.Unlock()
		cancel()
		s.respond(id, result, err)
		<-s.slots
	})
}

// respond ignores write errors: the reader sees the connection end as well.
func (s *session) respond(id requestID, result any, werr *wireError) {
	m := message{ID: &id, Error: werr}
	if werr == nil {
		b, err := json.Marshal(result)
		if err != nil {
			m.Error = &wireError{Code: codeOther, Message: err.Error()}
		}
		m.Result = b
	}
	_ = s.w.write(m)
}

// call runs one request.
func (s *session) call(ctx context.Context, m message) (result any, werr *wireError) {
	var err error
	switch m.Method {
	case "subscribe":
		var p subscribeParams
		if werr = params(m, &p); werr == nil {
			werr, err = s.subscribe(p.Subscription)
		}
	case "unsubscribe":
		var p subscribeParams
		if werr = params(m, &p); werr == nil {
			s.unsubscribe(p.Subscription)
		}
	default:
		f, ok := methods[m.Method]
		if !ok {
			return nil, &wireError{Code: codeNoMethod, Message: fmt.Sprintf("rpc: there is no method %q", m.Method)}
		}
		result, werr, err = f.run(ctx, s.api, m.Params)
	}
	if errors.Is(err, errNoLocking) {
		return nil, &wireError{Code: codeNoMethod, Message: err.Error()}
	}
	if err != nil {
		werr = encodeError(err)
	}
	return result, werr
}

var errNoLocking = errors.New("rpc: this client cannot be locked")

// params decodes parameters; none are an empty object.
func params(m message, p any) *wireError {
	raw := m.Params
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if err := json.Unmarshal(raw, p); err != nil {
		return &wireError{Code: codeInvalidParams, Message: "rpc: " + err.Error()}
	}
	return nil
}
