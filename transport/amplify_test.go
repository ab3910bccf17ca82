package transport

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sremp/sremp/identity"
)

// A victim whose address somebody forges gets no more bytes than were sent in
// its name (negative tests 14 and 15). The forger is a dialler behind a proxy that
// lets nothing return.
func TestNoAmplification(t *testing.T) {
	for _, validate := range []bool{true, false} {
		key, err := identity.NewServerKey(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		listen := func() *net.UDPConn {
			pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			return pc
		}
		open := func(c Config) *Endpoint {
			c.PacketConn = listen()
			e, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			return e
		}
		server := open(Config{ServerKey: key, ValidateAddresses: validate, Services: map[string]func(context.Context, *Conn){"service/1": func(context.Context, *Conn) {}}})
		front, victim := listen(), listen()
		var sent, got, worst atomic.Int64
		to := net.UDPAddrFromAddrPort(server.LocalAddr())
		go func() {
			buf := make([]byte, maxDatagram)
			for {
				n, err := front.Read(buf)
				if err != nil {
					return
				}
				sent.Add(int64(n))
				if _, err := victim.WriteTo(buf[:n], to); err != nil {
					return
				}
			}
		}()
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			buf := make([]byte, maxDatagram)
			for {
				n, err := victim.Read(buf)
				if err != nil {
					return
				}
				// Sent is counted before it is passed on, so this never flatters us.
				worst.Store(max(worst.Load(), got.Add(int64(n))-sent.Load()))
			}
		}()
		a := front.LocalAddr().(*net.UDPAddr)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err = open(Config{}).DialServer(ctx, identity.ServerAddr{ID: key.ID(), Host: "127.0.0.1", Port: uint16(a.Port)}, "service/1")
		cancel()
		if err == nil {
			t.Error("connected without an answer")
		}
		front.Close()
		victim.Close()
		<-heard
		if got.Load() == 0 {
			t.Error("the server did not answer at all: nothing was tested")
		}
		if amplified := worst.Load() > 0; amplified == validate {
			t.Errorf("validating %v: %d bytes sent, %d answered, at worst %d more", validate, sent.Load(), got.Load(), worst.Load())
		}
	}
}
