package present

import (
	"errors"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

// ErrLocked is returned by [Profile.Attach] when the passphrase is missing.
var ErrLocked = errors.New("present: the profile asks for its passphrase")

// own are the sentences of errors whose own text speaks of the command line.
var own = []struct {
	err  error
	text string
}{
	{client.ErrNoProfile, tr.Mark("There is no profile here any more.")},
	{client.ErrUnknownContact, tr.Mark("This contact does not exist any more.")},
	{client.ErrTimeout, tr.Mark("It took too long. Try again.")},
	{client.ErrClosed, tr.Mark("The messenger is shutting down.")},
}

// sayWhatToDo are errors that are whole sentences for a person.
var sayWhatToDo = []error{
	client.ErrWrongPassphrase, client.ErrDamaged, client.ErrNewerProfile, client.ErrReadOnly, client.ErrProfileInUse,
	client.ErrProfileExists, client.ErrBadInvite, client.ErrInviteExpired, client.ErrInviteUsed,
	client.ErrOwnInvite, client.ErrUnreachable, client.ErrServerIdentity, client.ErrDiskFull,
	client.ErrClock, client.ErrBadName, client.ErrTooLong, client.ErrBadText, client.ErrTooManyInvites,
	client.ErrTooManyServers, client.ErrNotSame, client.ErrNoMessage, client.ErrNotMine, client.ErrBadTimer,
	client.ErrBadPicture, client.ErrNoFile,
}

// problem words an error for a person: what was being done and why it failed.
// known errors say themselves what to do, so doing is left out for them.
func problem(doing string, err error) string {
	for _, o := range own {
		if errors.Is(err, o.err) {
			return tr.Text(o.text)
		}
	}
	for _, known := range sayWhatToDo {
		if errors.Is(err, known) {
			return sentence(tr.Text(known.Error()))
		}
	}
	return sentence(doing + ": " + err.Error())
}
