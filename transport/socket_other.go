//go:build !linux

package transport

import (
	"errors"
	"net"
	"syscall"
)

func newBatchSocket(net.PacketConn, *counters) socket { return nil }

func segmentSize([]byte) int { return 0 }

func translateOOB(dst, _ []byte, _ bool, _ int) []byte { return dst }

func appendSegmentSize(dst []byte, _ int) []byte { return dst }

func appendTTL(dst []byte, _ bool, _ int) []byte { return dst }

func writeOnly(pc net.PacketConn, _ *counters) socket { return &plainSocket{pc: pc} }

func inheritOptions(net.PacketConn) {}

func syscallConn(net.PacketConn) (syscall.RawConn, error) { return nil, errors.ErrUnsupported }
