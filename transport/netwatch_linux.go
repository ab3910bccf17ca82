package transport

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watchNetwork calls changed after addresses, links or routes of this machine
// have changed, until ctx ends. It returns once it listens; what it runs ends
// through run.
func watchNetwork(ctx context.Context, run func(func()) bool, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("listening to netlink: %w", err)
	}
	f := os.NewFile(uintptr(fd), "netlink")
	events := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { f.Close() })
	if !run(func() {
		defer close(events)
		b := make([]byte, 64<<10)
		for {
			n, err := f.Read(b)
			switch {
			case err != nil && ctx.Err() != nil:
				return
			case err != nil: // the kernel had to drop some: something changed
				time.Sleep(readErrorPause)
			case !matters(b[:n]):
				continue
			}
			notify(events)
		}
	}) {
		stop()
		f.Close()
		return nil
	}
	run(func() {
		for range events {
			// Changes come in groups.
			select {
			case <-time.After(settleNetwork):
			case <-ctx.Done():
				return
			}
			select {
			case <-events:
			default:
			}
			if ctx.Err() == nil {
				changed()
			}
		}
	})
	return nil
}

// settleNetwork is how long a group of changes is waited for.
const settleNetwork = 50 * time.Millisecond

// matters reports whether one of the netlink messages in b tells of more than
// statistics of a link.
func matters(b []byte) bool {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(binary.NativeEndian.Uint32(b))
		typ := binary.NativeEndian.Uint16(b[4:])
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return false
		}
		switch typ {
		case unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_DELLINK, unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			return true
		case unix.RTM_NEWLINK:
			const changeAt = unix.SizeofNlMsghdr + 12 // struct ifinfomsg, ifi_change
			if n >= changeAt+4 && binary.NativeEndian.Uint32(b[changeAt:]) != 0 {
				return true
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return false
}
