package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// decoderName is how functions that read bytes from outside are called.
var decoderName = regexp.MustCompile(`^(?i:parse|decode|unmarshal|open|read|take|handle|receive|clean)`)

// bytesParam are the types of what such a function reads.
var bytesParam = []string{"[]byte", "io.Reader", "*bufio.Reader", "json.RawMessage", "[]string"}

// textDecoder are those that read a text, when the name says so clearly.
var textDecoder = regexp.MustCompile(`^(Parse|Decode|Unmarshal|Clean)`)

// notDecoders names functions of the form whose bytes are our own or a person's
// who sits here, each with the reason.
var notDecoders = map[string]string{
	"client.openHolders":            "takes a passphrase: the parsing is parseHolders, the sealed secret identity.OpenSecret",
	"lan.Read":                      "a packet's bytes for the core, which FuzzCore is for",
	"desktop/shell.Open":            "links for the window, which shows them as text; what they hold is FuzzText's of identity",
	"identity.readSecretKey":        "takes what ParseLocal has read",
	"transport.Read":                "a stream's bytes for the caller",
	"transport.ReadFrom":            "a datagram's bytes for quic-go; the mux that sorts them is FuzzDatagram's",
	"transport.ReadMsgUDP":          "as ReadFrom",
	"transport.receivedSegmentSize": "the kernel's own words",
	"relay/websocket.ReadFrom":      "a message's bytes for the relay, which are a datagram's",
}

// through names decoders that a target does not call by itself, with the target
// whose input goes through the package's code into them.
var through = map[string]string{
	"nat.HandlePacketOn":          "FuzzHandlePacket",
	"nat.open":                    "FuzzHandlePacket",
	"nat.decodeSTUN":              "FuzzSTUN",
	"lan.parseTXT":                "FuzzMessage",
	"lan.handle":                  "FuzzCore",
	"ratchet.openBody":            "FuzzDecrypt",
	"ratchet.openWith":            "FuzzDecrypt",
	"ratchet.parseOneTime":        "FuzzParseBundle",
	"handshake.open":              "FuzzReadMessage",
	"handshake.openIK":            "FuzzReadMessage",
	"transport.handle":            "FuzzDatagram",
	"transport.handleCheckLocked": "FuzzDatagram",
	"transport.handleHello":       "FuzzDatagram",
	"transport.handleProbe":       "FuzzDatagram",
	"transport.handleSTUN":        "FuzzDatagram",
	"transport.openHello":         "FuzzDatagram",
	"transport.readExactly":       "FuzzStream",
	"relay.parsed":                "FuzzClient",
	"rendezvous.handle":           "FuzzServer",
	"rendezvous.openListing":      "FuzzSigned",
	"rendezvous.openPadded":       "FuzzOpenRecord",
	"client.openBackup":           "FuzzBackup",
	"client.openBox":              "FuzzIncoming",
	"client.openPicture":          "FuzzPayload",
	"client.takeCard":             "FuzzPayload",
	"client.takeChunk":            "FuzzPayload",
	"client.takeFileState":        "FuzzPayload",
	"client.takeRecord":           "FuzzPayload",
	"client.takeSuccessor":        "FuzzPayload",
	"client.takeTyping":           "FuzzPayload",
	"client/rpc.UnmarshalJSON":    "FuzzServer",
}

// fuzzPackage is what the law reads of one package.
type fuzzPackage struct {
	name     string
	decoders []string
	targets  int
	reached  map[string]bool // names that the fuzz targets lead to, within the package
}

// fuzzLaw returns the decoders that no fuzz target leads to.
func (p fuzzPackage) fuzzLaw() (missing []string) {
	for _, d := range p.decoders {
		full := p.name + "." + d
		if _, ok := notDecoders[full]; !ok && !p.reached[d] && !p.reached[through[full]] {
			missing = append(missing, full)
		}
	}
	return missing
}

// readFuzzPackage parses a package with its tests. Names are followed, not types,
// from the targets through the tests' own helpers: enough to notice a decoder that
// nobody fuzzes.
func readFuzzPackage(name string, sources map[string]string) (fuzzPackage, error) {
	p := fuzzPackage{name: name, reached: map[string]bool{}}
	uses := map[string][]string{} // by a declared name, the names in its declaration
	fset := token.NewFileSet()
	var next []string
	for file, src := range sources {
		f, err := parser.ParseFile(fset, file, src, 0)
		if err != nil {
			return p, err
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if test {
					uses[d.Name.Name] = append(uses[d.Name.Name], names(d.Body)...)
				}
				if test && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Fuzz") {
					p.targets++
					next = append(next, d.Name.Name)
				}
				if !test && isDecoder(d) && !slices.Contains(p.decoders, d.Name.Name) {
					p.decoders = append(p.decoders, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok {
						for _, n := range v.Names {
							uses[n.Name] = append(uses[n.Name], names(v)...)
						}
					}
				}
			}
		}
	}
	for len(next) > 0 {
		n := next[0]
		next = next[1:]
		if !p.reached[n] {
			p.reached[n] = true
			next = append(next, uses[n]...)
		}
	}
	slices.Sort(p.decoders)
	return p, nil
}

func isDecoder(d *ast.FuncDecl) bool {
	if !decoderName.MatchString(d.Name.Name) {
		return false
	}
	for i, f := range d.Type.Params.List {
		t := typeText(f.Type)
		if i == 0 && t == "context.Context" {
			return false // a call of ours, not a decoder
		}
		if slices.Contains(bytesParam, t) || t == "string" && textDecoder.MatchString(d.Name.Name) {
			return true
		}
	}
	return false
}

// typeText is the type as written, for the few forms that matter here.
func typeText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return typeText(e.X) + "." + e.Sel.Name
	case *ast.StarExpr:
		return "*" + typeText(e.X)
	case *ast.ArrayType:
		if e.Len == nil {
			return "[]" + typeText(e.Elt)
		}
	}
	return ""
}

func names(n ast.Node) (all []string) {
	if n == nil {
		return nil
	}
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			all = append(all, id.Name)
		}
		return true
	})
	return all
}

// Whatever reads bytes from outside is in reach of a fuzz target, whose seeds run
// with every test. The programs and the desktop are not asked: what they parse is
// what a person typed.
func TestEveryDecoderIsFuzzed(t *testing.T) {
	own, _ := list(t)
	decoders, targets, known := 0, 0, map[string]bool{}
	for _, p := range own {
		name := rel(p.ImportPath)
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "bench") || name == "desktop" {
			continue
		}
		sources := map[string]string{}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources[filepath.Base(f)] = string(b)
		}
		fp, err := readFuzzPackage(name, sources)
		if err != nil {
			t.Fatal(err)
		}
		decoders, targets = decoders+len(fp.decoders), targets+fp.targets
		for _, d := range fp.decoders {
			known[name+"."+d] = true
		}
		for _, m := range fp.fuzzLaw() {
			t.Errorf("%s reads bytes from outside, and no fuzz target leads to it", m)
		}
	}
	for _, table := range []map[string]string{through, notDecoders} {
		for d := range table {
			if !known[d] {
				t.Errorf("%s is listed here, and does not exist", d)
			}
		}
	}
	if decoders < 100 || targets < 40 {
		t.Errorf("found %d decoders and %d fuzz targets; the rule above would hold for nothing", decoders, targets)
	}
}

func TestFuzzLawBites(t *testing.T) {
	for name, tt := range map[string]struct {
		sources map[string]string
		want    []string
	}{
		"no target": {map[string]string{"a.go": "package a\nfunc ParseX(b []byte) error { return nil }"}, []string{"a.ParseX"}},
		"a target elsewhere": {map[string]string{
			"a.go":      "package a\nfunc ParseX(b []byte) error { return nil }\nfunc openY(b []byte) bool { return true }",
			"a_test.go": "package a\nfunc FuzzX(f *testing.F) { helper() }\nfunc helper() { ParseX(nil) }",
		}, []string{"a.openY"}},
		"a table": {map[string]string{
			"a.go":      "package a\nfunc ParseX(s string) error { return nil }\nfunc Open(ctx context.Context, b []byte) {}\nfunc parse(a, b int) {}",
			"a_test.go": "package a\nfunc FuzzX(f *testing.F) { for range all {} }\nvar all = []any{ParseX}",
		}, nil},
	} {
		p, err := readFuzzPackage("a", tt.sources)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.fuzzLaw(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
