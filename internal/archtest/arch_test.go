package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/sremp/sremp"

// core is what every package above identity may use.
var core = []string{"identity", "wire"}

// allowed lists, for each package, the packages of this module that its
// non-test code may import: the arrows of docs/architecture.md, which only point
// down. A package that is not listed fails the test.
//
// The sqlite packages are in nobody's list but cmd's: only a main joins the SQL
// to what it stores.
var allowed = map[string][]string{
	"wire":       {},
	"identity":   {"wire"},
	"handshake":  core,
	"nat":        core,
	"ratchet":    core,
	"transport":  with(core, "handshake", "nat"),
	"store":      {},
	"transfer":   {"wire"},
	"relay":      with(core, "transport", "nat"),
	"rendezvous": with(core, "transport", "nat"),
	"client":     with(core, "relay", "relay/websocket", "rendezvous", "ratchet", "transfer", "transport", "nat", "portmap", "lan"),
	"portmap":    with(core, "nat"),
	"lan":        with(core, "nat"),

	"relay/sqlite":        with(core, "relay", "store"),
	"relay/postgres":      with(core, "relay"),
	"relay/websocket":     core,
	"rendezvous/sqlite":   with(core, "rendezvous", "store"),
	"rendezvous/postgres": with(core, "rendezvous"),
	"client/sqlite":       with(core, "client", "store"),
	"client/rpc":          with(core, "client"),
	"client/config":       with(core, "client"),
	"client/keyring":      with(core, "client"),

	// Suites that every engine passes; imported by tests alone.
	"relay/storetest":      with(core, "relay"),
	"rendezvous/storetest": with(core, "rendezvous"),

	"desktop/tr":      {},
	"desktop/present": with(core, "client", "desktop/tr"),
	"desktop/shell":   {},
	"desktop":         with(core, "client", "desktop/present", "desktop/shell", "desktop/tr"),

	"cmd/sremp": with(core, "client", "client/config", "client/keyring", "client/rpc", "client/sqlite", "relay", "relay/sqlite", "relay/postgres", "relay/websocket", "rendezvous",
		"rendezvous/postgres", "rendezvous/sqlite", "transport", "nat", "portmap", "store", "internal/natlab", "internal/quiet"),
	"cmd/sremp-desktop": with(core, "client", "client/config", "client/keyring", "client/rpc", "client/sqlite", "desktop", "desktop/present", "desktop/shell", "desktop/tr",
		"transport", "store"),

	"bench/rendezvous":       {},
	"bench":                  {},
	"internal/archtest":      {},
	"internal/domains":       {},
	"internal/faults":        {}, // disks that fail; imported by tests alone
	"internal/leak":          {},
	"internal/natlab":        {},
	"internal/natlab/peers":  {},
	"internal/natlab/rivals": {"internal/natlab"},
	"internal/natlab/matrix": with(core, "client", "client/rpc", "internal/natlab", "nat"),
	"internal/interop":       {},
	"internal/measure":       {},
	"internal/sim":           {},
	"internal/sim/history":   {}, // judges without knowing the code
	"internal/pgtest":        {},
	"internal/quiet":         {},
	"packaging":              {},
	"internal/capacity":      {},
	"internal/fleet":         {},
}

// only lists the packages that may import a module, directly.
var only = map[string][]string{
	"github.com/quic-go/quic-go":         {"transport"},
	"github.com/flynn/noise":             {"handshake"},
	"github.com/mattn/go-sqlite3":        {"store"},
	"github.com/psanford/sqlite3vfs":     {"internal/faults"},
	"github.com/diamondburned/gotk4/pkg": {"desktop", "cmd/sremp-desktop"},
	"github.com/pion/stun/v2":            {"nat"},
	"github.com/huin/goupnp":             {"portmap"},
	"github.com/jackc/pgx/v5":            {"relay/postgres", "rendezvous/postgres"},
	"github.com/godbus/dbus/v5":          {"client/keyring", "desktop/shell"},
	"github.com/BurntSushi/toml":         {"client/config"},
	"github.com/coder/websocket":         {"relay/websocket"},
	"golang.org/x/image":                 {"transfer"},
	"github.com/leonelquinteros/gotext":  {"desktop/tr"},
}

// cgo lists the packages whose build may need a C compiler.
var cgo = []string{
	"store", "internal/faults", "client/sqlite", "relay/sqlite", "rendezvous/sqlite",
	"desktop", "cmd/sremp", "cmd/sremp-desktop",
}

func with(base []string, more ...string) []string { return slices.Concat(base, more) }

// pkg is what these tests use of go list's output.
type pkg struct {
	ImportPath, Dir         string
	Standard                bool
	Imports, Deps, CgoFiles []string
	GoFiles                 []string
}

// goList asks once for all tests.
var goList = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.Command("go", "list", "-e", "-tags", "gtk", "-deps",
		"-json=ImportPath,Dir,Standard,Imports,Deps,CgoFiles,GoFiles", module+"/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	return cmd.Output()
})

// list returns this module's packages, those with the gtk tag included, and all
// packages that they depend on. It needs no GTK installed: go list reads the
// sources, it does not compile them.
func list(t *testing.T) (own []pkg, all map[string]pkg) {
	t.Helper()
	out, err := goList()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all = map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
		if strings.HasPrefix(p.ImportPath, module+"/") {
			own = append(own, p)
		}
	}
	if len(own) < 5 {
		t.Fatalf("go list found %d packages of this module; the laws below would hold for nothing", len(own))
	}
	return own, all
}

func rel(path string) string { return strings.TrimPrefix(path, module+"/") }

func TestLaws(t *testing.T) {
	own, all := list(t)
	for _, p := range own {
		for _, broken := range slices.Concat(importLaw(p), cgoLaw(p, all)) {
			t.Error(broken)
		}
		if !slices.Contains(pure, rel(p.ImportPath)) {
			continue
		}
		for _, file := range slices.Concat(p.GoFiles, p.CgoFiles) {
			src, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, broken := range purityLaw(rel(p.ImportPath), file, src) {
				t.Error(broken)
			}
		}
	}
}

// importLaw checks the arrows and the heavy dependencies' only importers.
func importLaw(p pkg) (broken []string) {
	name := rel(p.ImportPath)
	ok, listed := allowed[name]
	if !listed {
		broken = append(broken, name+" is not in the allowed map: decide its layer")
	}
	for _, imp := range p.Imports {
		if strings.HasPrefix(imp, module+"/") && !slices.Contains(ok, rel(imp)) {
			broken = append(broken, fmt.Sprintf("%s must not import %s", name, rel(imp)))
		}
		for mod, by := range only {
			if (imp == mod || strings.HasPrefix(imp, mod+"/")) && !slices.Contains(by, name) {
				broken = append(broken, fmt.Sprintf("%s must not import %s; only %v may", name, imp, by))
			}
		}
	}
	return broken
}

// cgoLaw checks that C stays where it is listed. Building with CGO_ENABLED=0
// would not show it: go-sqlite3 builds without cgo and fails at run time.
func cgoLaw(p pkg, all map[string]pkg) (broken []string) {
	name := rel(p.ImportPath)
	if slices.Contains(cgo, name) {
		return nil
	}
	if len(p.CgoFiles) > 0 {
		broken = append(broken, name+" uses cgo itself")
	}
	for _, dep := range p.Deps {
		if d := all[dep]; !d.Standard && len(d.CgoFiles) > 0 {
			broken = append(broken, fmt.Sprintf("%s depends on cgo through %s", name, dep))
		}
	}
	return broken
}

func TestImportLawBites(t *testing.T) {
	for _, p := range []pkg{
		{ImportPath: module + "/wire", Imports: []string{module + "/identity"}},
		{ImportPath: module + "/relay", Imports: []string{module + "/client"}},
		{ImportPath: module + "/client", Imports: []string{module + "/client/sqlite"}},
		{ImportPath: module + "/client", Imports: []string{"github.com/quic-go/quic-go"}},
		{ImportPath: module + "/client", Imports: []string{"github.com/diamondburned/gotk4/pkg/gtk/v4"}},
		{ImportPath: module + "/newcomer"},
	} {
		if got := importLaw(p); len(got) != 1 {
			t.Errorf("%s importing %v: got %q, want one broken law", rel(p.ImportPath), p.Imports, got)
		}
	}
	good := pkg{ImportPath: module + "/transport", Imports: []string{module + "/nat", "github.com/quic-go/quic-go/qlog", "net"}}
	if got := importLaw(good); got != nil {
		t.Errorf("got %q, want no broken law", got)
	}
}

func TestCgoLawBites(t *testing.T) {
	const sqlite = "github.com/mattn/go-sqlite3"
	all := map[string]pkg{
		sqlite:        {ImportPath: sqlite, CgoFiles: []string{"sqlite3.go"}},
		"runtime/cgo": {ImportPath: "runtime/cgo", Standard: true, CgoFiles: []string{"cgo.go"}},
	}
	for _, tt := range []struct {
		p    pkg
		want int
	}{
		{pkg{ImportPath: module + "/client", Deps: []string{sqlite}}, 1},
		{pkg{ImportPath: module + "/wire", CgoFiles: []string{"fast.go"}}, 1},
		{pkg{ImportPath: module + "/store", Deps: []string{sqlite}}, 0},
		{pkg{ImportPath: module + "/transport", Deps: []string{"runtime/cgo"}}, 0},
	} {
		if got := cgoLaw(tt.p, all); len(got) != tt.want {
			t.Errorf("%s: got %q, want %d", rel(tt.p.ImportPath), got, tt.want)
		}
	}
}
