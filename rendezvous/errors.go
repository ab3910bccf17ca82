package rendezvous

import (
	"errors"

	"github.com/sremp/sremp/wire"
)

// Errors of a [Client].
var (
	ErrNotFound = errors.New("rendezvous: no such record; the person is not registered there, or hidden from us")
	ErrOffline  = errors.New("rendezvous: the peer is not connected to this server")
	ErrTimeout  = errors.New("rendezvous: the peer did not answer")
	ErrBusy     = errors.New("rendezvous: too many requests; try again later")
	ErrRefused  = errors.New("rendezvous: the server refused the request")
	ErrClock    = errors.New("rendezvous: the server's day is another one; check the clock of this computer")
	ErrServer   = errors.New("rendezvous: the server failed")
	ErrProtocol = errors.New("rendezvous: the other side broke the protocol")
	ErrClosed   = errors.New("rendezvous: connection closed")
	ErrTooLarge = errors.New("rendezvous: larger than its limit")
)

// errBadRecord is the one opaque error of records that do not open or verify.
var errBadRecord = errors.New("rendezvous: not an authentic record")

var statusErrors = map[wire.RendezvousStatus]error{
	wire.RendezvousNotFound: ErrNotFound,
	wire.RendezvousBusy:     ErrBusy,
	wire.RendezvousRefused:  ErrRefused,
	wire.RendezvousPeriod:   ErrClock,
	wire.RendezvousOffline:  ErrOffline,
	wire.RendezvousTimeout:  ErrTimeout,
	wire.RendezvousFailure:  ErrServer,
}

func statusError(s wire.RendezvousStatus) error { return statusErrors[s] } // nil for OK
