package packaging

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ours is a metric of a server's, in an expression.
var ours = regexp.MustCompile(`\b(?:sremp|process|go)_[a-z_]+\b`)

// Every metric that the dashboard and the alerts use is one that a server has, and
// every metric that it has is on the dashboard.
func TestDashboard(t *testing.T) {
	if testing.Short() {
		t.Skip("its process is not under the race detector")
	}
	pid := os.Getpid()
	// This process's alone, below the ports that the kernel gives out.
	at := fmt.Sprintf("127.%d.%d.%d:24682", 128+pid>>16&63, pid>>8&255, pid&255)
	w := world{t, t.TempDir()}
	p := w.start(program(t), "server", "--dir", filepath.Join(w.dir, "server"), "--listen", "127.0.0.1:0", "--websocket", "none", "--metrics", at)
	p.says("stop with")
	r, err := http.Get("http://" + at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", r.Status, err)
	}
	r.Body.Close()
	has := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			has[ours.FindString(line)] = true
		}
	}

	dashboard := readDashboard(t)
	if len(dashboard.Panels) < 10 {
		t.Fatalf("the dashboard has %d panels", len(dashboard.Panels))
	}
	shown := map[string]bool{"sremp_build_info": true} // its instances
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all := ours.FindAllString(target.Expr, -1)
			if len(all) == 0 {
				t.Errorf("panel %q asks for nothing: %q", p.Title, target.Expr)
			}
			for _, name := range all {
				shown[name] = true
				if !has[name] {
					t.Errorf("panel %q uses %s, which no server has", p.Title, name)
				}
			}
		}
	}
	alerts, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/self-hosting.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(alerts)) {
		if _, name, ok := strings.Cut(line, "- alert: "); ok {
			n++
			if !strings.Contains(string(doc), "`"+strings.TrimSpace(name)+"`") {
				t.Errorf("docs/self-hosting.md says nothing on %s", name)
			}
		}
		if _, expr, ok := strings.Cut(line, "expr: "); ok {
			for _, name := range ours.FindAllString(expr, -1) {
				if shown[name] = true; !has[name] {
					t.Errorf("an alert uses %s, which no server has", name)
				}
			}
		}
	}
	if runbooks := strings.Count(string(alerts), " runbook: "); n < 5 || runbooks != n {
		t.Errorf("%d alerts with %d lines of what to do", n, runbooks)
	}
	for name := range has {
		if !shown[name] {
			t.Errorf("%s is shown nowhere", name)
		}
	}
}
