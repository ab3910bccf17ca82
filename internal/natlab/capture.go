//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Frame is one IP packet as a host saw it.
type Frame struct {
	At     time.Time
	Out    bool // it left the host
	Packet []byte
}

// A Capture is every packet that a host gets or sends on any interface but its
// loopback.
type Capture struct {
	fd   int
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	frames []Frame
}

// captureBuffer is what the kernel may hold of packets not read yet.
const captureBuffer = 32 << 20

// Capture begins to capture in the site.
func (s *Site) Capture() (*Capture, error) {
	c := &Capture{stop: make(chan struct{})}
	err := s.Do(func() (err error) {
		const all = uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8) // in network order
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		wake := unix.NsecToTimeval(int64(50 * time.Millisecond))
		err = firstOf(unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wake),
			unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer))
		if err != nil {
			unix.Close(c.fd)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capturing: %w", err)
	}
	c.wg.Go(c.run)
	return c, nil
}

func (c *Capture) run() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(c.fd, b, 0)
		now := time.Now()
		select {
		case <-c.stop:
			if err != nil {
				return // all that was there has been read
			}
		default:
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return
		case !ok || ll.Hatype == unix.ARPHRD_LOOPBACK:
			continue
		}
		f := Frame{At: now, Out: ll.Pkttype == unix.PACKET_OUTGOING, Packet: append([]byte(nil), b[:n]...)}
		c.mu.Lock()
		c.frames = append(c.frames, f)
		c.mu.Unlock()
	}
}

// Frames returns what was captured so far.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Frame(nil), c.frames...)
}

// Close ends the capture and returns all of it, or an error if the kernel had to
// drop a packet: then nothing is proven.
func (c *Capture) Close() ([]Frame, error) {
	close(c.stop)
	c.wg.Wait()
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	unix.Close(c.fd)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the capture's losses: %w", err)
	case stats.Drops > 0:
		return nil, fmt.Errorf("the capture lost %d packets", stats.Drops)
	}
	return c.Frames(), nil
}
