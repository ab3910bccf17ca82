package rpc

import (
	"context"
	"errors"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
)

// Codes of JSON-RPC 2.0, section 5.1.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
	codeOther          = -32000 // an error without a sentinel
	codeSetting        = -32001 // a setting that cannot be
)

// codes gives each sentinel that the API returns a number for ever: new ones
// are added at the end.
var codes = []error{
	1:  client.ErrWrongPassphrase,
	2:  client.ErrDamaged,
	3:  client.ErrNewerProfile,
	4:  client.ErrProfileInUse,
	5:  client.ErrNoProfile,
	6:  client.ErrProfileExists,
	7:  client.ErrUnknownContact,
	8:  client.ErrAmbiguous,
	9:  client.ErrBadInvite,
	10: client.ErrInviteExpired,
	11: client.ErrInviteUsed,
	12: client.ErrOwnInvite,
	13: client.ErrUnreachable,
	14: client.ErrServerIdentity,
	15: client.ErrDiskFull,
	16: client.ErrClock,
	17: client.ErrBadName,
	18: client.ErrTooLong,
	19: client.ErrTimeout,
	20: client.ErrClosed,
	21: context.Canceled,
	22: context.DeadlineExceeded,
	23: identity.ErrBadServerAddr,
	24: identity.ErrBadID,
	25: client.ErrBadText,
	26: client.ErrTooManyInvites,
	27: client.ErrTooManyServers,
	28: client.ErrNoMessage,
	29: client.ErrNotMine,
	30: client.ErrRequest,
	31: client.ErrNotSame,
	32: client.ErrBadTimer,
	33: client.ErrWrongKit,
	34: client.ErrKitGone,
	35: client.ErrFileExists,
	36: client.ErrBadBackup,
	37: client.ErrNeedKit,
	38: client.ErrLocked,
	39: client.ErrNoRelay,
	40: client.ErrNoWords,
	41: client.ErrKeyring,
	42: client.ErrNoHolder,
	43: identity.ErrBadKit,
	44: client.ErrNoFile,
	45: client.ErrFileChanged,
	46: client.ErrFileOver,
	47: client.ErrNoPreview,
	48: client.ErrNoDownloads,
	49: client.ErrNote,
	50: client.ErrNoServer,
	51: client.ErrNoLAN,
	52: client.ErrUnknownServer,
	53: client.ErrReadOnly,
	54: client.ErrNoPicture,
	55: client.ErrBadPicture,
}

type wireError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// Data of a [*client.SettingError], which is -32001.
	Data *client.SettingError `json:"data,omitempty"`
}

func encodeError(err error) *wireError {
	if s, ok := errors.AsType[*client.SettingError](err); ok {
		return &wireError{Code: codeSetting, Message: err.Error(), Data: s}
	}
	for code, sentinel := range codes {
		if sentinel != nil && errors.Is(err, sentinel) {
			return &wireError{Code: code, Message: err.Error()}
		}
	}
	return &wireError{Code: codeOther, Message: err.Error()}
}

// remoteError has the text of the error at the other end and its sentinel.
type remoteError struct {
	text     string
	sentinel error // nil if it had none
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }

func decodeError(e *wireError) error {
	if e.Code == codeSetting && e.Data != nil {
		return e.Data
	}
	r := &remoteError{text: e.Message}
	if e.Code > 0 && e.Code < len(codes) {
		r.sentinel = codes[e.Code]
	}
	return r
}
