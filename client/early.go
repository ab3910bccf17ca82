package client

import (
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
	"github.com/sremp/sremp/transport"
	"github.com/sremp/sremp/wire"
)

const (
	// earlyTime is what the core gets to look for messages. Nobody waits in vain: our
	// side of the handshake has left, and the core that is busy could do nothing with
	// a connection.
	earlyTime = 500 * time.Millisecond
	// earlyBytes bounds them; a bigger one goes when the peer has proven itself.
	earlyBytes = transport.MaxEarly
)

// An early is what a connection carries before its peer has proven itself (spec
// §8.5): waiting messages, as the ratchet has sealed them long ago, and nothing
// else.
type early struct {
	next uint64 // the counter after the last of them, 0 if there is none
}

// frames returns the messages for a peer. It is an Attempt's Early.
func (e *early) frames(n *network, peer identity.PeerID) []byte {
	type found struct {
		frames []byte
		next   uint64
	}
	answer := make(chan found, 1)
	if !n.c.post(func(k *core) {
		frames, next := k.earlyFrames(k.contacts[peer])
		answer <- found{frames, next}
	}) {
		return nil
	}
	select {
	case f := <-answer:
		e.next = f.next
		return f.frames
	case <-time.After(earlyTime):
	case <-n.ctx.Done():
	}
	e.next = 0
	return nil
}

// earlyFrames returns the oldest unacknowledged messages to a contact as frames,
// and the counter after the last. What is not stored yet is not among them, nor
// is first contact: that names us.
func (k *core) earlyFrames(c *contact) (frames []byte, next uint64) {
	if c == nil || c.info.Trust != Trusted {
		return nil, 0
	}
	for _, r := range k.outbox(c, c.flow.Acked.Next, c.flow.NextOut, outboxRead) {
		if r.state == outPlain || ratchet.IsInitial(r.content) || len(frames)+wire.FrameHeaderLen+len(r.content) > earlyBytes {
			break
		}
		frames = wire.AppendFrame(frames, wire.FrameMessage, r.content)
		next = r.counter + 1
	}
	return frames, next
}
