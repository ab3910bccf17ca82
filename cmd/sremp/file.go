package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sremp/sremp/client"
)

// fileStall is how long a command that sends a file itself stays although
// nothing moves; the file goes on when the profile is open again.
const fileStall = 10 * time.Second

func (a *app) filesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "files [CONTACT]",
		Short: "List the files sent and received, and how far they are",
		Args:  takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.with(ctx, func(s *session) error {
				var with client.Contact
				if len(args) == 1 {
					var err error
					if with, err = s.find(ctx, args[0]); err != nil {
						return err
					}
				}
				p, err := newPrinter(ctx, s, a.stdout, asJSON)
				if err != nil {
					return err
				}
				files, err := s.Files(ctx, with.ID)
				if err != nil {
					return err
				}
				for _, f := range files {
					if err := p.listFile(f); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) fileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "file",
		Short: "Accept a file, or have its transfer wait, go on or end",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, x := range []struct {
		use, short string
		action     client.FileAction
	}{
		{"accept", "Take a file that is offered", client.FileAccept},
		{"decline", "Refuse a file, or give it up", client.FileCancel},
		{"pause", "Have a transfer wait", client.FilePause},
		{"resume", "Have a transfer go on, or try again", client.FileResume},
		{"cancel", "Take back a file of yours, or give up another's", client.FileCancel},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:   x.use + " CONTACT FILE",
			Short: x.short,
			Long:  x.short + ". FILE is its name, its id or the beginning of that; the newest one counts.",
			Args:  takes(2, 2),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.controlFile(cmd.Context(), args[0], args[1], x.action)
			},
		})
	}
	return cmd
}

func (a *app) controlFile(ctx context.Context, contact, name string, action client.FileAction) error {
	return a.withContact(ctx, contact, func(s *session, c client.Contact) error {
		f, err := findFile(ctx, s, c, name)
		if err != nil {
			return err
		}
		p, err := newPrinter(ctx, s, a.stdout, false)
		if err != nil {
			return err
		}
		if s.own == nil || action != client.FileAccept && action != client.FileResume {
			if f, err = s.ControlFile(ctx, c.ID, f.ID, action); err != nil {
				return err
			}
			if err := p.listFile(f); err != nil {
				return err
			}
			return s.settleOutbox(ctx)
		}
		return s.follow(ctx, p, fileStall, func(f client.File) bool { return f.State > client.FilePaused }, func() (client.File, error) {
			return s.ControlFile(ctx, c.ID, f.ID, action)
		})
	})
}

// findFile returns the newest file of that name or id in a conversation.
func findFile(ctx context.Context, s client.API, c client.Contact, name string) (found client.File, err error) {
	files, err := s.Files(ctx, c.ID)
	if err != nil {
		return found, err
	}
	err = client.ErrNoFile
	for _, f := range files {
		if f.Name == name || len(name) >= 4 && strings.HasPrefix(f.ID.String(), strings.ToLower(name)) {
			found, err = f, nil
		}
	}
	return found, err
}

// sendFileFlags is sendFile of a command line.
func (a *app) sendFileFlags(ctx context.Context, to string, o sendOptions) error {
	if o.wait != "" && o.wait != "delivered" {
		return usageError{errors.New("with --file, --wait takes delivered")}
	}
	text, err := o.draft("")
	if err != nil {
		return err
	}
	d := o.file
	d.ReplyTo, d.Timer = text.ReplyTo, text.Timer
	if d.Duration > 0 {
		d.Kind = client.FileVoice
	}
	return a.sendFile(ctx, to, d, o)
}

// sendFile offers a file and stays with it, if this process is the client.
func (a *app) sendFile(ctx context.Context, to string, d client.FileDraft, o sendOptions) error {
	path, err := filepath.Abs(d.Path)
	if err != nil {
		return err
	}
	d.Path = path
	return a.withContact(ctx, to, func(s *session, c client.Contact) error {
		p, err := newPrinter(ctx, s, a.stdout, o.json)
		if err != nil {
			return err
		}
		if s.own == nil && o.wait == "" {
			m, err := s.SendFile(ctx, c.ID, d)
			if err != nil {
				return err
			}
			return p.sent(m.ID, c, m.State)
		}
		stall := fileStall
		if o.wait != "" {
			stall = o.timeout
		}
		end := func(f client.File) bool { return f.State > client.FilePaused }
		err = s.follow(ctx, p, stall, end, func() (client.File, error) {
			m, err := s.SendFile(ctx, c.ID, d)
			if err == nil && !o.json {
				err = p.sent(m.ID, c, m.State)
			}
			if err != nil || m.File == nil {
				return client.File{}, err
			}
			return *m.File, nil
		})
		if errors.Is(err, client.ErrTimeout) && o.wait == "" {
			a.say("%s is offered; it goes on when the client runs", printable(filepath.Base(d.Path)))
			return nil
		}
		return err
	})
}

// follow prints what happens to a file until end says so. It returns
// [client.ErrTimeout] once nothing has happened for stall.
func (s *session) follow(ctx context.Context, p *printer, stall time.Duration, end func(client.File) bool,
	begin func() (client.File, error),
) error {
	listening, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.Subscribe(listening)
	if err != nil {
		return err
	}
	f, err := begin()
	if err != nil {
		return err
	}
	timer := time.NewTimer(stall)
	defer timer.Stop()
	for !end(f) {
		select {
		case e, open := <-events:
			if !open {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return errLostClient
			}
			switch e := e.(type) {
			case client.FileEvent:
				if e.File.ID != f.ID {
					continue
				}
				f = e.File
				if err := p.file(f); err != nil {
					return err
				}
			case client.DeliveryEvent:
				if e.ID != f.ID {
					continue
				}
			default:
				continue
			}
			timer.Reset(stall)
		case <-timer.C:
			return client.ErrTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.State == client.FileFailed {
		return fmt.Errorf("%w (%s)", client.ErrFileChanged, f.Problem)
	}
	return s.settleOutbox(ctx) // the other side is to learn of the end
}

// A fileJSON is a file as --json shows it.
type fileJSON struct {
	Event       string           `json:"event"` // "file"
	ID          client.MessageID `json:"id"`
	Contact     string           `json:"contact"`
	ContactName string           `json:"contact_name"`
	Mine        bool             `json:"mine"`
	Kind        string           `json:"kind"`
	Name        string           `json:"name"`
	Size        int64            `json:"size"`
	Done        int64            `json:"done"`
	State       string           `json:"state"`
	Duration    float64          `json:"duration_s,omitempty"`
	Path        string           `json:"path,omitempty"`
	Problem     string           `json:"problem,omitempty"`
}

func (p *printer) fileObject(f client.File) fileJSON {
	return fileJSON{
		"file", f.ID, f.Contact.String(), p.name(f.Contact), f.Mine, f.Kind.String(), f.Name, f.Size, f.Done,
		f.State.String(), f.Duration.Seconds(), f.Path, f.Problem,
	}
}

// progressLines is how often a file's progress is a line for people.
const progressLines = 2 * time.Second

// file prints an event: for people only what is new, and progress now and then.
func (p *printer) file(f client.File) error {
	if p.json {
		return p.object(p.fileObject(f))
	}
	now := time.Now()
	last, known := p.files[f.ID]
	if known && last.state == f.State && now.Sub(last.at) < progressLines {
		return nil
	}
	if f.State > client.FilePaused {
		delete(p.files, f.ID)
	} else {
		p.files[f.ID] = printedFile{f.State, now}
	}
	return p.listFile(f)
}

// A printedFile is what was last printed of a file.
type printedFile struct {
	state client.FileState
	at    time.Time
}

func (p *printer) listFile(f client.File) error {
	if p.json {
		return p.object(p.fileObject(f))
	}
	who := "from " + p.name(f.Contact)
	if f.Mine {
		who = "to " + p.name(f.Contact)
	}
	return p.line("%s  %s  %s", f.ID.String()[:8], printable(who), describeFile(f))
}

// describeFile says in one line what a file is and how it stands.
func describeFile(f client.File) string {
	line := "file " + printable(f.Name) + ", " + humanSize(f.Size)
	if f.Kind == client.FileVoice {
		line = fmt.Sprintf("voice note, %s", f.Duration.Round(time.Second))
	}
	switch {
	case f.State == client.FileDone && !f.Mine:
		line += ", received: " + printable(f.Path)
	case f.State == client.FileDone:
		line += ", sent"
	case f.State == client.FileOffered && !f.Mine:
		line += ", offered: accept or decline it"
	default:
		line += ", " + f.State.String()
	}
	if f.Done > 0 && f.State < client.FileDone && f.Size > 0 {
		line += fmt.Sprintf(", %d %%", 100*f.Done/f.Size)
	}
	if f.Problem != "" {
		line += " (" + printable(f.Problem) + ")"
	}
	return line
}

// humanSize is a size in the unit that suits it.
func humanSize(n int64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range units {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}
