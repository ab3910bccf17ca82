package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"sync"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// A Client is the far end of a running client's socket.
type Client struct {
	conn io.ReadWriteCloser
	w    *writer
	done chan struct{} // closed when the connection has ended

	mu            sync.Mutex
	ended         bool
	last          uint64                     // newest request id
	lastSub       uint64                     // newest subscription's number
	waiting       map[requestID]chan message // capacity 1
	subscriptions map[uint64]*queue
}

var (
	_ client.API     = (*Client)(nil)
	_ client.Locking = (*Client)(nil)
)

// NewClient uses conn until Close.
func NewClient(conn io.ReadWriteCloser) *Client {
	c := &Client{
		conn: conn, w: &writer{w: conn}, done: make(chan struct{}),
		waiting: map[requestID]chan message{}, subscriptions: map[uint64]*queue{},
	}
	go c.read() // ends with the connection, see Close
	return c
}

// Close ends the connection, open calls with [client.ErrClosed], and
// subscriptions.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	c.mu.Lock()
	for _, q := range c.subscriptions {
		q.end()
	}
	c.mu.Unlock()
	return err
}

// Done is closed when the connection has ended, by either side.
func (c *Client) Done() <-chan struct{} { return c.done }

func (c *Client) read() {
	defer close(c.done)
	defer c.conn.Close()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		for _, answer := range c.waiting {
			close(answer)
		}
		clear(c.waiting)
		for _, q := range c.subscriptions {
			q.end()
		}
	}()
	r := bufio.NewReader(c.conn)
	for {
		m, err := readMessage(r, maxAnswer)
		if err != nil {
			return
		}
		switch {
		case m.Method == "event":
			var p eventParams
			if json.Unmarshal(m.Params, &p) == nil {
				c.event(p)
			}
		case m.ID != nil:
			c.mu.Lock()
			answer := c.waiting[*m.ID]
			delete(c.waiting, *m.ID)
			c.mu.Unlock()
			if answer != nil {
				answer <- m
			}
		}
	}
}

func (c *Client) event(p eventParams) {
	c.mu.Lock()
	q := c.subscriptions[p.Subscription]
	c.mu.Unlock()
	if q == nil {
		return // just unsubscribed
	}
	if p.End {
		q.end()
		return
	}
	if e, err := decodeEvent(p.Kind, p.Data); err == nil && e != nil {
		q.put(e)
	}
}

// call makes one request. result may be nil.
func (c *Client) call(ctx context.Context, method string, params, result any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := message{Method: method}
	if params != nil {
		b, err := json.Marshal(params)
		if err != nil {
			return err
		}
		m.Params = b
	}
	answer := make(chan message, 1)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return client.ErrClosed
	}
	c.last++
	m.ID = idOf(c.last)
	id := *m.ID
	c.waiting[id] = answer
	c.mu.Unlock()
	if err := c.w.write(m); err != nil {
		c.forget(id)
		return client.ErrClosed
	}
	select {
	case got, ok := <-answer:
		switch {
		case !ok:
			return client.ErrClosed
		case got.Error != nil:
			return decodeError(got.Error)
		case result == nil:
			return nil
		}
		return json.Unmarshal(got.Result, result)
	case <-ctx.Done():
		c.forget(id)
		if b, err := json.Marshal(cancelParams{ID: id}); err == nil {
			_ = c.w.write(message{Method: "cancel", Params: b}) // best effort; the other end notices our end too
		}
		return ctx.Err()
	}
}

func (c *Client) forget(id requestID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// WhoAmI implements [client.API].
func (c *Client) WhoAmI(ctx context.Context) (me client.Me, err error) {
	err = c.call(ctx, "who_am_i", nil, &me)
	return me, err
}

// Invite implements [client.API].
func (c *Client) Invite(ctx context.Context, o client.InviteOptions) (inv client.Invite, err error) {
	err = c.call(ctx, "invite", inviteParams{TTLMillis: o.TTL.Milliseconds(), Ask: o.Ask, Words: o.Words}, &inv)
	return inv, err
}

// Add implements [client.API].
func (c *Client) Add(ctx context.Context, uri, nick string) (ct client.Contact, err error) {
	err = c.call(ctx, "add", addParams{URI: uri, Nick: nick}, &ct)
	return ct, err
}

// Contacts implements [client.API].
func (c *Client) Contacts(ctx context.Context) (list []client.Contact, err error) {
	err = c.call(ctx, "contacts", nil, &list)
	return list, err
}

// Send implements [client.API].
func (c *Client) Send(ctx context.Context, to identity.PeerID, text string) (m client.Message, err error) {
	err = c.call(ctx, "send", sendParams{To: to, Text: text}, &m)
	return m, err
}

// History implements [client.API].
func (c *Client) History(ctx context.Context, with identity.PeerID, q client.HistoryQuery) (list []client.Message, err error) {
	err = c.call(ctx, "history", historyParams{
		With: with, Before: q.Before, Limit: q.Limit, Forward: q.Forward, After: q.After,
	}, &list)
	return list, err
}

// Path implements [client.API].
func (c *Client) Path(ctx context.Context, to identity.PeerID) (p client.Path, err error) {
	err = c.call(ctx, "path", toParams{To: to}, &p)
	return p, err
}

// AddServer implements [client.API].
func (c *Client) AddServer(ctx context.Context, addr identity.ServerAddr) error {
	return c.call(ctx, "add_server", addServerParams{Address: addr}, nil)
}

// RemoveServer implements [client.API].
func (c *Client) RemoveServer(ctx context.Context, addr identity.ServerAddr) error {
	return c.call(ctx, "remove_server", addServerParams{Address: addr}, nil)
}

// Servers implements [client.API].
func (c *Client) Servers(ctx context.Context) (list []client.Server, err error) {
	err = c.call(ctx, "servers", nil, &list)
	return list, err
}

// Subscribe implements [client.API].
func (c *Client) Subscribe(ctx context.Context) (<-chan client.Event, error) {
	q := newQueue()
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, client.ErrClosed
	}
	c.lastSub++
	number := c.lastSub
	c.subscriptions[number] = q
	c.mu.Unlock()
	drop := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subscriptions, number)
	}
	if err := c.call(ctx, "subscribe", subscribeParams{Subscription: number}, nil); err != nil {
		drop()
		if ctx.Err() != nil {
			c.unsubscribe(number)
		}
		return nil, err
	}
	go func() { // ends with ctx or the connection
		q.pump(ctx)
		drop()
		c.unsubscribe(number)
	}()
	return q.out, nil
}

// unsubscribe does not wait for an answer.
func (c *Client) unsubscribe(number uint64) {
	b, err := json.Marshal(subscribeParams{Subscription: number})
	if err != nil {
		return
	}
	c.mu.Lock()
	c.last++
	id := idOf(c.last)
	ended := c.ended
	c.mu.Unlock()
	if !ended {
		_ = c.w.write(message{ID: id, Method: "unsubscribe", Params: b}) // a broken connection has no subscriptions
	}
}
