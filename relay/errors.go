package relay

import (
	"errors"
	"fmt"

	"github.com/sremp/sremp/wire"
)

// Errors that a relay answers with (spec §6.9). They are matched with
// errors.Is; any other error of a call means that the connection failed.
var (
	ErrBadRequest = errors.New("relay: the relay could not read the request")
	ErrNotOwner   = errors.New("relay: this connection has not proved to be the owner's")
	ErrAdmission  = errors.New("relay: the relay admits nobody without its token; ask the operator for one")
	ErrNoInbox    = errors.New("relay: no such inbox, or it does not accept this token")
	ErrQuota      = errors.New("relay: the inbox or its owner's quota is full; try again later")
	ErrTooLarge   = errors.New("relay: larger than the relay accepts")
	ErrBusy       = errors.New("relay: too many requests; try again later")
	ErrServer     = errors.New("relay: the relay failed; try again later")
	ErrTicket     = errors.New("relay: the forwarding ticket is unknown, used or expired")
	ErrExists     = errors.New("relay: that inbox belongs to somebody else")
	ErrNoPrekeys  = errors.New("relay: the inbox has no prekeys")
	ErrFull       = errors.New("relay: the relay's disk is full; tell the operator")
)

// Errors of this side.
var (
	// ErrReceipt: the receipt is not the relay's word for this blob. It counts
	// as not stored.
	ErrReceipt = errors.New("relay: the relay's receipt is not valid")
	// ErrProtocol: the relay answered what no relay answers.
	ErrProtocol = errors.New("relay: unexpected answer of the relay")
)

// Refusal reports whether err is a [Store]'s answer and no failure of its.
func Refusal(err error) bool {
	switch err {
	case ErrNoInbox, ErrQuota, ErrTooLarge, ErrExists, ErrNoPrekeys, ErrFull, ErrAdmission:
		return true
	}
	return false
}

// codes are the error codes of spec §6.9: index i is code i.
var codes = [...]error{
	1: ErrBadRequest, 2: ErrNotOwner, 3: ErrAdmission, 4: ErrNoInbox, 5: ErrQuota, 6: ErrTooLarge,
	7: ErrBusy, 8: ErrServer, 9: ErrTicket, 10: ErrExists, 11: ErrNoPrekeys, 12: ErrFull,
}

// codeOf returns the code that stands for err: ErrServer's for those that are
// no answer, so that nothing of the server's insides leaves it.
func codeOf(err error) uint16 {
	for code, e := range codes {
		if e != nil && errors.Is(err, e) {
			return uint16(code)
		}
	}
	return codeOf(ErrServer)
}

// remoteError turns an error frame into one of the errors above.
func remoteError(payload []byte) error {
	e, err := wire.ParseRelayError(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if int(e.Code) < len(codes) && codes[e.Code] != nil {
		return codes[e.Code]
	}
	return fmt.Errorf("%w: error code %d", ErrProtocol, e.Code)
}
