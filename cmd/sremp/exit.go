package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/store"
)

// Exit statuses, documented in docs/cli.md. They never change their meaning.
const (
	exitOK          = 0
	exitOther       = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell reports SIGINT
)

// errPortTaken is about a server's own port.
var errPortTaken = errors.New("the port is taken by another program; stop that one, or choose another with --listen")

// statuses gives each class of errors its exit status. The first match counts.
var statuses = []struct {
	err    error
	status int
}{
	{client.ErrWrongPassphrase, 3},
	{client.ErrDamaged, 4},
	{client.ErrUnreachable, 5},
	{client.ErrNoServer, 5},
	{client.ErrBadInvite, 6},
	{client.ErrInviteExpired, 7},
	{client.ErrInviteUsed, 8},
	{client.ErrDiskFull, 9},
	{client.ErrReadOnly, 27},
	{errPortTaken, 10},
	{client.ErrNoFile, 24},
	{client.ErrFileChanged, 24},
	{client.ErrFileOver, 24},
	{client.ErrNoDownloads, 24},
	{client.ErrNoPreview, 24},
	{client.ErrNoPicture, 24},
	{client.ErrBadPicture, 24},
	{client.ErrClock, 11},
	{client.ErrProfileInUse, 12},
	{errDirInUse, 12},
	{client.ErrNoProfile, 13},
	{client.ErrUnknownContact, 14},
	{client.ErrUnknownServer, 14},
	{client.ErrAmbiguous, 14},
	{client.ErrTimeout, 15},
	{client.ErrServerIdentity, 16},
	{client.ErrNewerProfile, 17},
	{client.ErrProfileExists, 18},
	{client.ErrOwnInvite, 19},
	{client.ErrNoMessage, 20},
	{client.ErrNotMine, 20},
	{client.ErrRequest, 21},
	{client.ErrNotSame, 22},
	{client.ErrWrongKit, 3},
	{client.ErrKitGone, 23},
	{client.ErrNeedKit, 23},
	{client.ErrBadBackup, 4},
	{client.ErrFileExists, 18},
	{identity.ErrBadKit, exitUsage},
	{client.ErrBadTimer, exitUsage},
	{client.ErrLocked, 26},
	{client.ErrKeyring, 25},
	{client.ErrNoWords, 6},
	{client.ErrNoRelay, 5},
	{client.ErrNoHolder, exitUsage},
	{errNotRunning, exitOther},
	{client.ErrBadName, exitUsage},
	{client.ErrNote, exitUsage},
	{client.ErrTooLong, exitUsage},
	{client.ErrBadText, exitUsage},
	{errNoPassphrase, exitUsage},
	{identity.ErrBadServerAddr, exitUsage},
	// What other layers say in their own words.
	{store.ErrDamaged, 4},
	{errBadServerKey, 4},
	{store.ErrNewerSchema, 17},
	{syscall.ENOSPC, 9},
	{syscall.EDQUOT, 9},
	{syscall.EFBIG, 9},
	{syscall.EADDRINUSE, 10},
	{syscall.EROFS, 27},
	{context.Canceled, exitInterrupted},
}

// exitCode returns the status with which a command ends that failed with err.
func exitCode(err error) int {
	var usage usageError
	var setting *client.SettingError
	if errors.As(err, &usage) || errors.As(err, &setting) {
		return exitUsage
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	if store.IsFull(err) {
		return 9
	}
	return exitOther
}

// sentence is what a person reads of err: without the names of packages before
// a sentence that was written for people, with one for what the system says.
func sentence(err error) string {
	for _, s := range statuses {
		if !errors.Is(err, s.err) {
			continue
		}
		text := err.Error()
		if i := strings.Index(text, s.err.Error()); i > 0 && strings.HasSuffix(text[:i], ": ") && isPackage(text[:i-2]) {
			text = text[i:]
		}
		switch s.err {
		case store.ErrDamaged:
			return client.ErrDamaged.Error() + " (" + text + ")"
		case store.ErrNewerSchema:
			return client.ErrNewerProfile.Error()
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
			return client.ErrDiskFull.Error() + " (" + text + ")"
		case syscall.EROFS:
			return client.ErrReadOnly.Error() + " (" + text + ")"
		case syscall.EADDRINUSE:
			return errPortTaken.Error() + " (" + text + ")"
		}
		return strings.TrimPrefix(text, "identity: ")
	}
	if store.IsFull(err) {
		return client.ErrDiskFull.Error() + " (" + err.Error() + ")"
	}
	if errors.Is(err, os.ErrPermission) {
		return err.Error() + "; check who owns it and its mode"
	}
	return err.Error()
}

// isPackage reports whether s is what packages put before their errors.
func isPackage(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz/") == ""
}
