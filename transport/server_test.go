package transport

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

func withTimeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestDialServer(t *testing.T) {
	key := serverKey(t, 1)
	_, addr := echoServer(t, key, nil)
	client := endpoint(t, Config{})
	c, err := client.DialServer(withTimeout(t), addr, testALPN)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.ServerID(), key.ID(); got != want {
		t.Errorf("server id: got %v, want %v", got, want)
	}
	s, err := c.OpenStream(withTimeout(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFrame(s, 0x0301, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	typ, payload, err := ReadFrame(s, 100)
	if err != nil || typ != 0x0301 || string(payload) != "hello" {
		t.Errorf("got frame %#x %q, %v, want 0x301 %q", typ, payload, err, "hello")
	}
	if _, _, err := ReadFrame(s, 100); err != io.EOF {
		t.Errorf("got %v after the last frame, want EOF", err)
	}
	c.Close(0x100, "bye")
	<-c.Done()
	if err := c.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v after Close, want ErrClosed", err)
	}
}

func TestDialServerWrongKey(t *testing.T) {
	_, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	addr.ID = serverKey(t, 2).ID()
	if _, err := client.DialServer(withTimeout(t), addr, testALPN); !errors.Is(err, ErrServerKey) {
		t.Errorf("got %v, want ErrServerKey", err)
	}
}

func TestDialServerWrongProtocol(t *testing.T) {
	_, addr := echoServer(t, serverKey(t, 1), nil)
	client := endpoint(t, Config{})
	if _, err := client.DialServer(withTimeout(t), addr, "sremp-other/1"); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}
