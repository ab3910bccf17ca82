//go:build gtk

package desktop

import (
	"context"
	"errors"
	"fmt"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
	"github.com/sremp/sremp/desktop/shell"
	"github.com/sremp/sremp/identity"
)

// ErrNoDisplay is returned by [Run] without a screen.
var ErrNoDisplay = errors.New("there is no screen to draw on; start it in a graphical session")

// Options say how to run.
type Options struct {
	Dir         string       // of the profile
	Shell       *shell.Shell // the place on the session bus
	Link        string       // a link of ours to begin with; may be empty
	Background  bool         // begin without showing the window
	RightToLeft bool         // the person's language is written so
}

// Run shows the window of a profile until the program is ended or ctx is done.
// It must be called on the main goroutine.
func Run(ctx context.Context, profile present.Profile, o Options) error {
	glib.SetPrgname(shell.AppID) // by it a desktop finds the icon
	if !gtk.InitCheck() {
		return ErrNoDisplay
	}
	if o.RightToLeft {
		gtk.WidgetSetDefaultDirection(gtk.TextDirRTL)
	}
	// The shell decides whether there is another of this profile: GTK would look
	// for another of any.
	app := gtk.NewApplication(shell.AppID, gio.ApplicationNonUnique)
	var p *present.Window
	var w *window
	app.ConnectActivate(func() {
		w = newWindow(app, o)
		w.scheme = style(gdk.DisplayGetDefault())
		last := w.state.Last
		p = present.NewWindow(ctx, present.Config{
			Profile: profile, Post: post, Draw: w.show, Desk: desk{o.Shell}, Toolkit: toolkit(),
			Reopen: func(id identity.PeerID) bool { return int(present.Hint(id)) == last },
		})
		w.connect(p)
		if o.Link != "" {
			p.OpenLink(o.Link)
		}
		p.Start()
		w.listen(p)
		if !o.Background {
			w.Show()
		}
	})
	stop := context.AfterFunc(ctx, func() { post(app.Quit) })
	defer stop()
	code := app.Run(nil)
	if p != nil {
		w.remember()
		p.Close()
	}
	if code != 0 {
		return errors.New("desktop: GTK could not start the window")
	}
	return nil
}

// toolkit names what draws.
func toolkit() string {
	return fmt.Sprintf("GTK %d.%d.%d", gtk.GetMajorVersion(), gtk.GetMinorVersion(), gtk.GetMicroVersion())
}

// post runs f on the main loop: the border between it and all other goroutines.
func post(f func()) { coreglib.IdleAdd(f) }
