package client

import "errors"

// Errors that a face shows to a person, each saying what to do. Their texts are
// whole sentences' beginnings without the package's name, because people read
// them; exit codes for scripts are in docs/cli.md.
var (
	ErrWrongPassphrase = errors.New("wrong passphrase; try again, nothing was changed")
	ErrWrongKit        = errors.New("this is not the recovery kit of this profile; nothing was changed")
	ErrKitGone         = errors.New("the recovery kit is no longer on this computer; use the words that you wrote down")
	ErrDamaged         = errors.New("the profile's database is damaged; restore it from a backup, the damaged file was left as it is")
	ErrNewerProfile    = errors.New("the profile was written by a newer version of sremp; install that version")
	ErrProfileInUse    = errors.New("the profile is in use by another program; stop that one first")
	ErrNoProfile       = errors.New("there is no profile here; make one with: sremp --profile DIR init --name NAME")
	ErrProfileExists   = errors.New("there is a profile here already; choose another directory")
	ErrUnknownContact  = errors.New("no such contact; sremp contacts lists them")
	ErrAmbiguous       = errors.New("more than one contact has that name; use the id or a nick")
	ErrBadInvite       = errors.New("this is not a whole invite; ask for it again and copy all of it")
	ErrInviteExpired   = errors.New("the invite has expired; ask for a new one")
	ErrInviteUsed      = errors.New("the invite was used by somebody else; ask for a new one")
	ErrOwnInvite       = errors.New("this is your own invite; send it to the other person")
	ErrUnreachable     = errors.New("the server cannot be reached; check the address and the network")
	ErrServerIdentity  = errors.New("the server proved another key than its address says; do not use it before you asked its operator")
	ErrDiskFull        = errors.New("the disk is full; free some space and try again, nothing was lost")
	ErrClock           = errors.New("this computer's clock is wrong by hours; set it right")
	ErrBadName         = errors.New("a name has 1 to 40 characters, without control characters")
	ErrTooLong         = errors.New("the text is too long; at most 64 KiB")
	ErrBadText         = errors.New("a message needs a text, in valid UTF-8")
	ErrTooManyInvites  = errors.New("too many invites are open; wait until some have expired")
	ErrTooManyServers  = errors.New("a profile uses at most 8 servers")
	ErrTimeout         = errors.New("the time is over; the message stays in the outbox and will be sent")
	ErrNoMessage       = errors.New("there is no such message in this conversation")
	ErrNotMine         = errors.New("only your own messages can be changed for both sides")
	ErrRequest         = errors.New("this is a request; accept it first with: sremp trust CONTACT")
	ErrNotSame         = errors.New("these are not the words or the code that belong to this contact; do not trust it before you compared again")
	ErrBadTimer        = errors.New("messages can disappear after 1 second to 366 days, or never")
	ErrFileExists      = errors.New("there is a file of that name already; choose another name, it was left as it is")
	ErrBadBackup       = errors.New("this is not a whole backup file; use another copy of it")
	ErrNeedKit         = errors.New("restoring this backup needs the recovery kit, so that the lost computer is shut out")
	ErrClosed          = errors.New("the client is closed")
)
