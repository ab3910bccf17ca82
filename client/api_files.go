package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/wire"
)

// Filing is the part of [API] about files (spec §8.14).
type Filing interface {
	// SendFile offers a file to a contact. It reads the file once, which takes
	// as long as the disk does, and returns when the offer is in the outbox. The
	// path is of the client's computer: make it absolute.
	SendFile(ctx context.Context, to identity.PeerID, d FileDraft) (Message, error)
	// Files lists the files of the conversation with a contact, or of all for
	// the zero id, oldest first.
	Files(ctx context.Context, with identity.PeerID) ([]File, error)
	// ControlFile has a file go on, wait or end.
	ControlFile(ctx context.Context, with identity.PeerID, id MessageID, a FileAction) (File, error)
	// FilePreview returns a small JPEG of an image, of our own making whoever
	// sent it. [ErrNoPreview].
	FilePreview(ctx context.Context, with identity.PeerID, id MessageID) ([]byte, error)
}

// A FileKind says how to show a file.
type FileKind uint8

// The kinds of files.
const (
	FilePlain FileKind = wire.FilePlain
	FileImage FileKind = wire.FileImage // it may have a preview
	FileVoice FileKind = wire.FileVoice // a voice note: it has a duration
)

var fileKinds = []string{"file", "image", "voice"}

// String returns file, image or voice.
func (k FileKind) String() string { return fileKinds[k] }

// MarshalText implements [encoding.TextMarshaler].
func (k FileKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *FileKind) UnmarshalText(b []byte) error {
	i := slices.Index(fileKinds, string(b))
	if i < 0 {
		return fmt.Errorf("client: unknown kind of file %q", b)
	}
	*k = FileKind(i)
	return nil
}

// A FileState is how the transfer of a file stands.
type FileState uint8

// The states of files.
const (
	FileOffered   FileState = iota // it waits for the receiver's consent
	FileWaiting                    // agreed; there is no way to the other side now
	FileMoving                     // bytes move
	FilePaused                     // by one of the sides
	FileDone                       // all of it is at the receiver
	FileDeclined                   // by the receiver, or given up by it
	FileWithdrawn                  // by the sender
	FileFailed                     // see Problem; ControlFile with FileResume tries again
)

var fileStates = []string{"offered", "waiting", "moving", "paused", "done", "declined", "withdrawn", "failed"}

// String returns the state's name.
func (s FileState) String() string { return fileStates[s] }

// MarshalText implements [encoding.TextMarshaler].
func (s FileState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *FileState) UnmarshalText(b []byte) error {
	i := slices.Index(fileStates, string(b))
	if i < 0 {
		return fmt.Errorf("client: unknown state of a file %q", b)
	}
	*s = FileState(i)
	return nil
}

// A FileAction is what [Filing.ControlFile] does.
type FileAction string

// The actions.
const (
	FileAccept FileAction = "accept" // take an offered file
	FilePause  FileAction = "pause"
	FileResume FileAction = "resume" // after a pause, and after it failed
	FileCancel FileAction = "cancel" // decline or give up another's, withdraw one's own
)

// A FileDraft is a file to send.
type FileDraft struct {
	Path     string        `json:"path"`           // absolute
	Name     string        `json:"name,omitempty"` // empty: the path's last element
	Kind     FileKind      `json:"kind"`           // FilePlain: an image is recognised
	Duration time.Duration `json:"duration,omitempty"`
	ReplyTo  MessageID     `json:"reply_to,omitzero"`
	Timer    time.Duration `json:"timer,omitempty"` // as a [Draft]'s
}

// A File is one that was offered, and how far its transfer is.
type File struct {
	ID       MessageID       `json:"id"` // of its message
	Contact  identity.PeerID `json:"contact"`
	Mine     bool            `json:"mine"`
	Kind     FileKind        `json:"kind"`
	Name     string          `json:"name"` // cleaned: it shows as what it is
	Size     int64           `json:"size"`
	Done     int64           `json:"done"`           // bytes at the receiver, as far as is known here
	Held     int64           `json:"held,omitempty"` // of one's own: bytes that a relay keeps until the contact is back
	State    FileState       `json:"state"`
	Duration time.Duration   `json:"duration,omitempty"` // of a voice note
	Preview  bool            `json:"preview,omitempty"`
	Path     string          `json:"path,omitempty"` // where it is on this computer: whole, or one's own
	Problem  string          `json:"problem,omitempty"`
}

// A FileEvent reports a file's state or progress, the latter a few times a second.
type FileEvent struct{ File File }

func (FileEvent) event() {}
