package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// Limits of one line. A request holds one text of at most 64 KiB, which JSON may
// blow up sixfold; an answer holds a part of a history.
const (
	maxRequest = 1 << 20
	maxAnswer  = 256 << 20
)

// message is a request, a notification or a response.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      *uint64         `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *wireError      `json:"error,omitempty"`
}

// Parameters of the methods that have any.
type (
	inviteParams struct {
		TTLMillis int64 `json:"ttl_ms,omitempty"`
		Ask       bool  `json:"ask,omitempty"`
	}
	addParams struct {
		URI  string `json:"uri"`
		Nick string `json:"nick,omitempty"`
	}
	sendParams struct {
		To   identity.PeerID `json:"to"`
		Text string          `json:"text"`
	}
	historyParams struct {
		With   identity.PeerID `json:"with"`
		Before int64           `json:"before,omitempty"`
		Limit  int             `json:"limit,omitempty"`

		Forward bool  `json:"forward,omitempty"`
		After   int64 `json:"after,omitempty"`
	}
	pathParams struct {
		To identity.PeerID `json:"to"`
	}
	addServerParams struct {
		Address identity.ServerAddr `json:"address"`
	}
	subscribeParams struct {
		Subscription uint64 `json:"subscription"`
	}
	cancelParams struct {
		ID uint64 `json:"id"`
	}
	eventParams struct {
		Subscription uint64          `json:"subscription"`
		Kind         string          `json:"kind,omitempty"`
		Data         json.RawMessage `json:"data,omitempty"`
		End          bool            `json:"end,omitempty"`
	}
)

// encodeEvent returns the kind and the data of e.
func encodeEvent(e client.Event) (kind string, data json.RawMessage, err error) {
	var v any
	switch e := e.(type) {
	case client.MessageEvent:
		kind, v = "message", e.Message
	case client.ChangeEvent:
		kind, v = "change", e.Message
	case client.RemovalEvent:
		kind, v = "removal", e
	case client.TypingEvent:
		kind, v = "typing", e
	case client.DeliveryEvent:
		kind, v = "delivery", e
	case client.PathEvent:
		kind, v = "path", e.Path
	case client.ContactEvent:
		kind, v = "contact", e.Contact
	case client.ServerEvent:
		kind, v = "server", e.Server
	default:
		return "", nil, fmt.Errorf("rpc: event of unknown type %T", e)
	}
	data, err = json.Marshal(v)
	return kind, data, err
}

// decodeEvent is the inverse of encodeEvent. Kinds of a newer version give nil.
func decodeEvent(kind string, data json.RawMessage) (client.Event, error) {
	switch kind {
	case "message":
		var e client.MessageEvent
		err := json.Unmarshal(data, &e.Message)
		return e, err
	case "change":
		var e client.ChangeEvent
		err := json.Unmarshal(data, &e.Message)
		return e, err
	case "removal":
		var e client.RemovalEvent
		err := json.Unmarshal(data, &e)
		return e, err
	case "typing":
		var e client.TypingEvent
		err := json.Unmarshal(data, &e)
		return e, err
	case "delivery":
		var e client.DeliveryEvent
		err := json.Unmarshal(data, &e)
		return e, err
	case "path":
		var e client.PathEvent
		err := json.Unmarshal(data, &e.Path)
		return e, err
	case "contact":
		var e client.ContactEvent
		err := json.Unmarshal(data, &e.Contact)
		return e, err
	case "server":
		var e client.ServerEvent
		err := json.Unmarshal(data, &e.Server)
		return e, err
	}
	return nil, nil
}

var errLineTooLong = errors.New("rpc: line too long")

// readMessage reads one line of at most limit bytes.
func readMessage(r *bufio.Reader, limit int) (m message, err error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return m, errLineTooLong
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return m, err
		}
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("rpc: %w", err)
	}
	if m.Version != "2.0" {
		return m, errors.New("rpc: not JSON-RPC 2.0")
	}
	return m, nil
}

// A writer writes whole messages; it is safe for concurrent use.
type writer struct {
	mu sync.Mutex
	w  io.Writer
}

func (w *writer) write(m message) error {
	m.Version = "2.0"
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.w.Write(append(b, '\n'))
	return err
}
