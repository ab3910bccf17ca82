package present

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sremp/sremp/client"
	"github.com/sremp/sremp/desktop/tr"
)

func (w *Window) keyFields() []Field {
	kit := tr.T("The recovery kit is on paper, and no longer on this computer.")
	kitButtons := []Button{}
	if w.keys.KitHere {
		kit = tr.T("24 words open your messages when the passphrase is forgotten, and bring you back when this computer is lost. Write them down.")
		kitButtons = append(kitButtons, press("kit", tr.T("Show the recovery kit…"), w.OpenKit).suggested())
	}
	opens := tr.T("Your passphrase opens this profile.")
	switch {
	case w.keys.Keyring && w.keys.Passphrase:
		opens = tr.T("Your passphrase and the desktop's keyring open this profile.")
	case w.keys.Keyring:
		opens = tr.T("The desktop's keyring opens this profile.")
	}
	f := []Field{w.lockField(), buttons("locks", press("lock", tr.T("Lock now (Ctrl+L)"), w.Lock))}
	f = append(f, w.copyFields()...)
	f = append(f,
		heading("kithead", tr.T("Recovery kit")), text("kittext", kit),
	)
	if len(kitButtons) > 0 {
		f = append(f, buttons("kitbuttons", kitButtons...))
	}
	return append(f,
		heading("opens", tr.T("Passphrase")), text("openstext", opens),
		w.secret("pass1", tr.T("New passphrase"), nil),
		w.secret("pass2", tr.T("The same again"), w.changePassphrase),
		buttons("passbuttons", press("setpass", tr.T("Change the passphrase"), w.changePassphrase)),
		Field{Key: "keyring", Kind: SwitchField, Label: tr.T("The desktop's keyring opens it"), On: w.keys.Keyring,
			Hint: tr.T("Who can log in here as you needs no passphrase then."), act: w.useKeyring},
		heading("backuphead", tr.T("Backup")),
		text("backuptext", tr.T("A backup holds your identity, contacts and messages, sealed: the passphrase or the recovery kit opens it.")),
		Field{Key: "backup", Kind: PathField, Save: true, Label: tr.T("Backup file"), Text: w.typed("backup"), Sets: w.sets("backup"),
			act: func(v Value) { w.put("backup", v.Text) }},
		buttons("backupbuttons", press("makebackup", tr.T("Make a backup"), w.makeBackup).suggested()),
		text("restoretext", tr.T("To restore one, start SREMP on a computer where it has no profile: its first page asks.")),
	)
}

// copyFields say what was noticed of other copies of the profile.
func (w *Window) copyFields() []Field {
	var f []Field
	if !w.keys.CopySeen.IsZero() {
		f = append(f, heading("copyhead", tr.T("Another copy of this profile is in use")), text("copytext",
			tr.T("Stop one of the two: together they lose messages. If the other is not yours, restore a backup with the recovery kit.")))
	}
	if !w.keys.LeftBehind.IsZero() {
		f = append(f, heading("lefthead", tr.T("Your identity was restored elsewhere")), text("lefttext",
			tr.T("A contact refuses this copy of the profile. If it is the one that you want, or the other is not yours, restore your backup once more with the recovery kit.")))
	}
	return f
}

func (w *Window) changePassphrase() {
	next := w.typed("pass1")
	switch {
	case next != w.typed("pass2"):
		w.dialog.Problem = tr.T("The two are not the same.")
		return
	case next == "" && !w.form.warned:
		w.form.warned = true
		w.dialog.Problem = tr.T("With an empty passphrase anybody can open this profile. Press again to do that.")
		return
	}
	w.form.warned = false
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.ChangePassphrase(ctx, []byte(next)); err != nil {
			return w.unanswered(tr.T("The passphrase could not be changed"), err)
		}
		keys, err := api.Keys(ctx)
		return func() {
			if err == nil {
				w.keys = keys
			}
			w.put("pass1", "")
			w.put("pass2", "")
			w.say(tr.T("The passphrase is changed. Backups made before open with the old one."))
		}
	})
}

func (w *Window) useKeyring(v Value) {
	w.ask(func(ctx context.Context, api client.API) func() {
		err := api.UseKeyring(ctx, v.On)
		keys, keysErr := api.Keys(ctx)
		return func() {
			if keysErr == nil {
				w.keys = keys
			}
			if err != nil {
				w.dialog.Problem = problem(tr.T("The keyring could not be used"), err)
			}
		}
	})
}

// backupPath is where a backup is proposed to be put.
func (w *Window) backupPath() string {
	if w.host == nil {
		return ""
	}
	return filepath.Join(w.host.Documents(), "sremp-"+w.now().Format("2006-01-02")+".backup")
}

func (w *Window) makeBackup() {
	path := strings.TrimSpace(w.typed("backup"))
	if !filepath.IsAbs(path) {
		w.dialog.Problem = tr.T("Choose a file for the backup.")
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.Backup(ctx, path); err != nil {
			return w.unanswered(tr.T("The backup could not be written"), err)
		}
		return func() { w.say(tr.T("The backup is in %s.", Isolate(path))) }
	})
}

// OpenKit shows the words of the recovery kit.
func (w *Window) OpenKit() {
	var words []string
	if !w.showForm(KitDialog, tr.T("Recovery kit"), nil, func(int) []Field { return w.kitFields(words) }) {
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		kit, err := api.RecoveryKit(ctx)
		if err != nil {
			return w.unanswered(tr.T("The kit could not be read"), err)
		}
		return func() { words = kit }
	})
	w.redraw()
}

func (w *Window) kitFields(words []string) []Field {
	f := []Field{text("kitwhat", tr.T("Write these words on paper, in this order, and keep it where nobody else looks. Whoever has them can become you."))}
	if len(words) > 0 {
		var b strings.Builder
		const columns = 3
		rows := (len(words) + columns - 1) / columns
		for r := range rows {
			for c := range columns {
				if i := c*rows + r; i < len(words) {
					cell := strconv.Itoa(i+1) + ". " + words[i]
					b.WriteString(strings.Repeat(" ", max(0, 4-len(strconv.Itoa(i+1))-2)) + cell)
					b.WriteString(strings.Repeat(" ", max(1, 14-len(cell))))
				}
			}
			b.WriteString("\n")
		}
		f = append(f, Field{Key: "kitwords", Kind: TextField, Text: strings.TrimRight(b.String(), "\n"), Mono: true,
			Spoken: tr.T("The words: %s", strings.Join(words, " "))},
			text("kitforget", tr.T("Once they are written down they can be taken off this computer, so that nobody who gets at it can take you over for good.")),
			buttons("kitdone", press("kitkeep", tr.T("Keep them here"), w.CloseDialog),
				press("forget", tr.T("I wrote them down: take them off"), w.forgetKit).destructive()))
	}
	return f
}

func (w *Window) forgetKit() {
	if !w.form.warned {
		w.form.warned = true
		w.dialog.Problem = tr.T("This cannot be undone. Press again if all 24 words are on paper.")
		return
	}
	w.ask(func(ctx context.Context, api client.API) func() {
		if err := api.ForgetKit(ctx); err != nil {
			return w.unanswered(tr.T("The kit could not be taken off"), err)
		}
		return func() {
			w.keys.KitHere = false
			w.dialog = Dialog{}
			w.say(tr.T("The recovery kit is no longer on this computer."))
		}
	})
}
