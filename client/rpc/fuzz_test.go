package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/sremp/sremp/client"
)

// An otherEnd has said everything that it will, and listens.
type otherEnd struct {
	io.Reader
	out bytes.Buffer
}

func (o *otherEnd) Write(b []byte) (int, error) { return o.out.Write(b) }
func (*otherEnd) Close() error                  { return nil }

// A refuser is a client that stays locked.
type refuser struct{ *client.Lockable }

func (refuser) Unlock(context.Context, client.Unlock) error { return client.ErrWrongPassphrase }

// Whatever comes over the local socket: every line of the answer is JSON-RPC, and
// a call that the server does not know is answered, not made.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"whoami"}`,
		`{"jsonrpc":"2.0","id":"x","method":"send","params":{"to":"` + bob.String() + `","text":"hi"}}`,
		`{"jsonrpc":"2.0","id":2,"method":"subscribe","params":{"subscription":1}}` + "\n" + `{"jsonrpc":"2.0","method":"cancel","params":{"id":2}}`,
		`{"jsonrpc":"2.0","id":3,"method":"nonsense"}`, `{"jsonrpc":"1.0"}`, `[]`, strings.Repeat(`{"a":`, 100), `{"jsonrpc":"2.0","id":{}}`,
	} {
		f.Add([]byte(s + "\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := &otherEnd{Reader: bytes.NewReader(b)}
		ServeConn(t.Context(), conn, refuser{&client.Lockable{}})
		r := bufio.NewReader(&conn.out)
		for {
			if _, err := readMessage(r, maxAnswer); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("an answer is no JSON-RPC: %v", err)
			}
		}
	})
}

// Whatever the other end calls an event is one of ours, or an error.
func FuzzEvent(f *testing.F) {
	for _, e := range []client.Event{client.MessageEvent{Message: text1}, client.ContactEvent{Contact: contact}, client.LockEvent{}, client.PathEvent{}} {
		name, data, err := encodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, []byte(data))
	}
	f.Add("settings", []byte(`{"files":{"accept":"-1 GB"}}`))
	f.Add("unknown", []byte(`{}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		e, err := decodeEvent(name, json.RawMessage(data))
		if err != nil || e == nil {
			return
		}
		if again, _, err := encodeEvent(e); err != nil || again != name {
			t.Fatalf("%T of %q becomes %q, %v", e, name, again, err)
		}
	})
}
