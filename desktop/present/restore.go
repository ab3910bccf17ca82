package present

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
	"github.com/sremp/sremp/identity"
)

// OpenRestore asks, in the place of a first start, for a backup.
func (w *Window) OpenRestore() {
	if w.stage != Welcome || w.busy || w.host == nil {
		return
	}
	w.asked++
	w.dialog = Dialog{Kind: RestoreDialog, Title: tr.T("Restore from a backup")}
	w.form = form{texts: map[string]string{}, sets: map[string]int{}, base: w.form.base + 1000, lines: func(int) []Field { return w.restoreFields() }}
	w.redraw()
}

func (w *Window) restoreFields() []Field {
	button := press("restore", tr.T("Restore"), w.restore).suggested()
	button.Off = w.busy
	words := w.entry("kit", tr.T("The 24 words of the recovery kit"), tr.T("If you have them"), nil)
	return []Field{
		text("what", tr.T("The computer that the backup is of is shut out: your contacts take this one for you. What it did after the backup is not here.")),
		{Key: "file", Kind: PathField, Label: tr.T("Backup file"), Text: w.typed("file"), Sets: w.sets("file"),
			act: func(v Value) { w.form.texts["file"] = v.Text }},
		words,
		w.secret("phrase", tr.T("Passphrase"), w.restore),
		text("phrasetext", tr.T("With the words, the passphrase is a new one. Without them it is that of the backup.")),
		buttons("restorebuttons", button),
	}
}

func (w *Window) restore() {
	file, kit, phrase := strings.TrimSpace(w.typed("file")), strings.TrimSpace(w.typed("kit")), w.typed("phrase")
	if w.busy {
		return
	}
	if !filepath.IsAbs(file) {
		w.dialog.Problem = tr.T("Choose the backup file.")
		return
	}
	if _, err := identity.ParseKit(kit); kit != "" && err != nil {
		w.dialog.Problem = tr.T("These are not the 24 words of a recovery kit. Check each of them.")
		return
	}
	if kit != "" && phrase == "" && !w.form.warned && !w.config.Profile.HasPassphrase() {
		w.form.warned = true
		w.dialog.Problem = tr.T("With an empty passphrase anybody can open this profile. Press again to do that.")
		return
	}
	host := w.host
	w.busy, w.dialog.Busy, w.dialog.Problem = true, true, ""
	w.do(func(ctx context.Context) func() {
		api, out, err := host.Restore(ctx, file, kit, phrase)
		return func() {
			w.busy, w.dialog.Busy = false, false
			switch {
			case errors.Is(err, client.ErrWrongPassphrase):
				w.dialog.Problem = tr.T("This is not the passphrase, or not the kit, of the backup.")
			case err != nil:
				w.dialog.Problem = problem(tr.T("The backup could not be restored"), err)
			default:
				w.dialog = Dialog{}
				w.connect(api)
				at := tr.Date(out.Made.In(w.config.Zone), tr.Mark("2 January 2006, 15:04"))
				if out.Damaged {
					w.say(tr.T("The end of the backup is damaged. Everything is as it was on %s.", at))
				} else {
					w.say(tr.T("Everything is as it was on %s. What was written later is not in the backup.", at))
				}
			}
		}
	})
}
