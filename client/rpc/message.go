package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// Limits of one line. A request holds one text of at most 64 KiB, which JSON may
// blow up sixfold; an answer holds a part of a history.
const (
	maxRequest = 1 << 20
	maxAnswer  = 256 << 20
	maxID      = 128 // bytes
)

// A requestID is a number or a string, as it was written.
type requestID string

// MarshalJSON implements [json.Marshaler].
func (id requestID) MarshalJSON() ([]byte, error) { return []byte(id), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (id *requestID) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || len(b) > maxID || b[0] != '"' && b[0] != '-' && (b[0] < '0' || b[0] > '9') {
		return errors.New("rpc: an id is a number or a string")
	}
	*id = requestID(b)
	return nil
}

// idOf is the id of a client's nth request.
func idOf(n uint64) *requestID {
	id := requestID(strconv.FormatUint(n, 10))
	return &id
}

// message is a request, a notification or a response.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      *requestID      `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *wireError      `json:"error,omitempty"`
}

// Parameters of what is no method of the API.
type (
	subscribeParams struct {
		Subscription uint64 `json:"subscription"`
	}
	cancelParams struct {
		ID requestID `json:"id"`
	}
	eventParams struct {
		Subscription uint64          `json:"subscription"`
		Kind         string          `json:"kind,omitempty"`
		Data         json.RawMessage `json:"data,omitempty"`
		End          bool            `json:"end,omitempty"`
	}
)

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
