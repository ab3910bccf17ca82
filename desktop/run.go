//go:build gtk

package desktop

import (
	"context"
	"errors"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/sremp/sremp/desktop/present"
)

// AppID names the program on the session bus and to the window manager.
const AppID = "io.github.sremp.Desktop"

// ErrNoDisplay is returned by [Run] without a screen.
var ErrNoDisplay = errors.New("there is no screen to draw on; start it in a graphical session")

// Run shows the window of a profile until it is closed or ctx is done. It must
// be called on the main goroutine.
func Run(ctx context.Context, profile present.Profile) error {
	if !gtk.InitCheck() {
		return ErrNoDisplay
	}
	// Each profile is a program of its own: the lock of the profile decides, not
	// the name on the bus.
	app := gtk.NewApplication(AppID, gio.ApplicationNonUnique)
	var p *present.Window
	app.ConnectActivate(func() {
		style(gdk.DisplayGetDefault())
		w := newWindow(app)
		p = present.NewWindow(ctx, present.Config{Profile: profile, Post: post, Draw: w.draw})
		w.connect(p)
		p.Start()
		w.Show()
	})
	stop := context.AfterFunc(ctx, func() { post(app.Quit) })
	defer stop()
	code := app.Run(nil)
	if p != nil {
		p.Close()
	}
	if code != 0 {
		return errors.New("desktop: GTK could not start the window")
	}
	return nil
}

// post runs f on the main loop: the border between it and all other goroutines.
func post(f func()) { coreglib.IdleAdd(f) }
