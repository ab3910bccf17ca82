//go:build gtk

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"golang.org/x/sys/unix"
)

// Some things are only seen from the inside of the program: how long a frame
// takes, how long its main loop was busy, and how much memory it has. The test
// binary, run as the program, watches itself when it is told to.

const (
	// watchVariable says what to do while watching: start, scroll, switch, dialogs
	// or search; the last leaves the keyboard to somebody else.
	watchVariable = "SREMP_TEST_WATCH"
	// watchFile is where the results go, a line each: a name and a number.
	watchFile = "SREMP_TEST_WATCH_FILE"
	// startedVariable is when the program was started, in nanoseconds since 1970.
	startedVariable = "SREMP_TEST_STARTED"
)

// A watch looks at the program from its own main loop.
type watch struct {
	window   *gtk.Window
	contacts *gtk.ListView // the list of conversations
	messages *gtk.ScrolledWindow
	search   *gtk.SearchEntry

	lastBeat time.Time
	lastWork time.Duration // busy at lastBeat
	longest  time.Duration // that the main loop did not turn
	hardest  time.Duration // that it worked meanwhile, which other programs do not lengthen
	results  []string
}

// watchMyself begins before the program does.
func watchMyself(what string) {
	w := &watch{}
	began := false
	beat := func() {
		now, work := time.Now(), busy()
		if !w.lastBeat.IsZero() {
			w.longest = max(w.longest, now.Sub(w.lastBeat)-beatEvery)
			w.hardest = max(w.hardest, work-w.lastWork)
		}
		w.lastBeat, w.lastWork = now, work
	}
	coreglib.TimeoutAddPriority(uint(beatEvery.Milliseconds()), coreglib.PriorityHigh, func() bool {
		beat()
		if !began && w.find() {
			began = true
			w.say("usable_ms", w.sinceStart())
			switch what {
			case "start":
				w.sayBlocks()
				w.end()
			case "scroll":
				w.scroll()
			case "switch":
				w.switches()
			case "dialogs":
				w.dialogs()
			case "search":
				w.searches()
			}
		}
		return true
	})
}

// beatEvery is how often the main loop is listened to.
const beatEvery = 2 * time.Millisecond

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (w *watch) say(name string, v float64) {
	w.results = append(w.results, fmt.Sprintf("%s %.2f", name, v))
}

func (w *watch) sayBlocks() {
	w.say("longest_block_ms", ms(w.longest))
	w.say("longest_work_ms", ms(w.hardest))
}

func (w *watch) sinceStart() float64 {
	n, _ := strconv.ParseInt(os.Getenv(startedVariable), 10, 64)
	return ms(time.Since(time.Unix(0, n)))
}

func (w *watch) end() {
	if err := os.WriteFile(os.Getenv(watchFile), []byte(strings.Join(w.results, "\n")), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
}

// find reports whether the window shows conversations, ready to be chosen.
func (w *watch) find() bool {
	tops := gtk.WindowListToplevels()
	if len(tops) == 0 {
		return false
	}
	top := gtk.BaseWidget(tops[0])
	if !top.Mapped() {
		return false
	}
	var visit func(x *gtk.Widget, class string)
	visit = func(x *gtk.Widget, class string) {
		for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
			b := gtk.BaseWidget(c)
			if e, ok := c.(*gtk.SearchEntry); ok && class == "sidebar" {
				w.search = e
			}
			switch {
			case b.HasCSSClass("sidebar"):
				visit(b, "sidebar")
				continue
			case b.HasCSSClass("messages"):
				w.messages, _ = b.Cast().(*gtk.ScrolledWindow)
			case b.CSSName() == "listview" && class == "sidebar" && b.Mapped():
				if l, ok := b.Cast().(*gtk.ListView); ok && l.FirstChild() != nil {
					w.contacts = l
				}
			}
			visit(b, class)
		}
	}
	visit(top, "")
	return w.contacts != nil && w.messages != nil
}

// choose opens the conversation at a place of the list.
func (w *watch) choose(i int) {
	w.contacts.ActivateAction("list.activate-item", glib.NewVariantUint32(uint32(i)))
}

const (
	settleFrames  = 90
	scrollFrames  = 1500
	scrollPixels  = 240.0 // a frame: some 20 000 messages a minute
	switchWarmUp  = 100
	switchCounted = 200
	switchEvery   = 40 // ms
)

// scroll goes up through the first conversation, as fast as a wheel that spins,
// and measures from frame to frame.
func (w *watch) scroll() {
	w.choose(0)
	var frames, work []time.Duration
	var last time.Time
	var worked time.Duration
	n, down := 0, false
	w.messages.AddTickCallback(func(gtk.Widgetter, gdk.FrameClocker) bool {
		now := time.Now()
		n++
		if n == settleFrames {
			w.longest, w.hardest = 0, 0
		}
		if n > settleFrames {
			frames, work = append(frames, now.Sub(last)), append(work, busy()-worked)
		}
		last, worked = now, busy()
		adj := w.messages.VAdjustment()
		switch {
		case down:
			adj.SetValue(adj.Value() + scrollPixels)
		case n > settleFrames:
			adj.SetValue(adj.Value() - scrollPixels)
		}
		down = n > settleFrames+scrollFrames*2/3
		if n < settleFrames+scrollFrames {
			return true
		}
		slices.Sort(frames)
		slices.Sort(work)
		w.say("frame_cpu_p50_ms", ms(work[len(work)/2]))
		w.say("frame_cpu_p99_ms", ms(work[len(work)*99/100]))
		w.say("frame_cpu_max_ms", ms(work[len(work)-1]))
		w.say("frame_p50_ms", ms(frames[len(frames)/2]))
		w.say("frame_p99_ms", ms(frames[len(frames)*99/100]))
		w.say("frame_max_ms", ms(frames[len(frames)-1]))
		w.sayBlocks()
		w.end()
		return false
	})
}

// switches opens one conversation after another, each when the one before is
// shown, and says how much memory there is in use after a while, halfway and at
// the end.
func (w *watch) switches() {
	n, worked := 0, time.Duration(0)
	coreglib.TimeoutAdd(switchEvery, func() bool {
		if !gtk.BaseWidget(w.messages.Child()).Visible() {
			return true // on its way
		}
		n++
		w.choose(n % 2)
		adj := w.messages.VAdjustment()
		adj.SetValue(adj.Value() / 2)
		name := ""
		switch n {
		case switchWarmUp:
			name, worked = "before", busy()
		case switchWarmUp + switchCounted/2:
			name = "halfway"
		case switchWarmUp + switchCounted:
			name = "after"
			w.say("switch_cpu_ms", ms(busy()-worked)/switchCounted)
		default:
			return true
		}
		// What is garbage is not held against it: the binding frees widgets when
		// their finalizers ran.
		for range 4 {
			runtime.GC()
		}
		debug.FreeOSMemory()
		w.say(name+"_mb", resident())
		w.say(name+"_widgets", float64(widgets(&w.window.Widget)))
		w.say(name+"_goroutines", float64(runtime.NumGoroutine()))
		open, _ := os.ReadDir("/proc/self/fd")
		w.say(name+"_descriptors", float64(len(open)))
		if name != "after" {
			return true
		}
		w.end()
		return false
	})
	w.window = &gtk.WindowListToplevels()[0].(*gtk.ApplicationWindow).Window
}

// searches notes how long after the first letter of a search a hit is shown, and
// writes it down at once: whoever types ends the program.
func (w *watch) searches() {
	var began time.Time
	coreglib.TimeoutAddPriority(uint(beatEvery.Milliseconds()), coreglib.PriorityHigh, func() bool {
		switch {
		case w.search.Text() == "":
			began = time.Time{}
		case began.IsZero():
			began = time.Now()
		case !gtk.BaseWidget(w.contacts).Mapped() && w.hits():
			w.say("first_hit_ms", ms(time.Since(began)))
			if err := os.WriteFile(os.Getenv(watchFile), []byte(strings.Join(w.results, "\n")), 0o600); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			return false
		}
		return true
	})
}

// hits reports whether a list with a row is shown in the place of the contacts.
func (w *watch) hits() bool {
	shown := false
	var visit func(x *gtk.Widget)
	visit = func(x *gtk.Widget) {
		for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
			b := gtk.BaseWidget(c)
			if b.CSSName() == "listview" && b.Mapped() && b.FirstChild() != nil {
				shown = true
			}
			visit(b)
		}
	}
	visit(gtk.BaseWidget(gtk.BaseWidget(w.search.Parent()).Parent()))
	return shown
}

const (
	dialogWarmUp  = 10
	dialogCounted = 50
	dialogEvery   = 30 // ms
)

// dialogs opens and closes one dialog after the other, again and again, and says
// how much memory there is in use after a while and at the end.
func (w *watch) dialogs() {
	w.choose(0)
	main := &gtk.WindowListToplevels()[0].(*gtk.ApplicationWindow).Window
	action := func(name string) func() bool {
		return func() bool { return main.ActivateAction("win."+name, nil) }
	}
	pressed := func(is func(b *gtk.Button) bool) func() bool {
		return func() bool { return press(&main.Widget, is) }
	}
	labelled := func(text string) func() bool {
		return pressed(func(b *gtk.Button) bool { return b.Label() == text })
	}
	open := []func() bool{
		action("invite"), action("add"), action("servers"), action("settings"), action("shortcuts"),
		labelled("Compare words…"), labelled("Rename…"), pressed(func(b *gtk.Button) bool { return b.HasCSSClass("badge") }),
	}
	closed := pressed(func(b *gtk.Button) bool { return b.TooltipText() == "Close (Esc)" })
	n, opened, failed := 0, false, 0
	coreglib.TimeoutAdd(dialogEvery, func() bool {
		if opened = !opened; opened {
			if !open[n%len(open)]() {
				failed++
			}
			return true
		}
		closed()
		for _, t := range gtk.WindowListToplevels() {
			if s, ok := t.(*gtk.ShortcutsWindow); ok {
				s.Close()
			}
		}
		n++
		name := ""
		switch n {
		case dialogWarmUp * len(open):
			name = "before"
		case (dialogWarmUp + dialogCounted) * len(open):
			name = "after"
		default:
			return true
		}
		for range 4 {
			runtime.GC()
		}
		debug.FreeOSMemory()
		all := 0
		for _, t := range gtk.WindowListToplevels() {
			all += widgets(gtk.BaseWidget(t))
		}
		w.say(name+"_mb", resident())
		w.say(name+"_widgets", float64(all))
		if name == "before" {
			return true
		}
		w.say("failed", float64(failed))
		w.end()
		return false
	})
}

// press clicks a button of a window, and reports whether there is such a one.
func press(x *gtk.Widget, is func(b *gtk.Button) bool) bool {
	for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		if b, ok := c.(*gtk.Button); ok && is(b) {
			b.Emit("clicked")
			return true
		}
		if press(gtk.BaseWidget(c), is) {
			return true
		}
	}
	return false
}

// busy is how long this thread, the main loop's, has worked: other programs do
// not count.
func busy() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// widgets counts those of a window.
func widgets(x *gtk.Widget) int {
	n := 1
	for c := x.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		n += widgets(gtk.BaseWidget(c))
	}
	return n
}

// resident is how much memory this process has, in MB.
func resident() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	return pages * float64(os.Getpagesize()) / 1e6
}
