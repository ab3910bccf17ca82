package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A source is where a panel, a target or a variable takes its values from.
type source struct{ Type, UID string }

// A dashboard is what Grafana reads of its file, as far as it must be so.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Time          struct{ From, To string }
	Templating    struct {
		List []struct {
			Name, Type, Query string
			Datasource        *source
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Datasource  source
		FieldConfig struct {
			Defaults struct{ Unit string }
		}
		Targets []struct{ Expr, RefID, LegendFormat string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	b, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z_]+)\}?`)

// The dashboard's file is one that Grafana 9 to 11 imports: a schema of its, panels
// with numbers and places of their own, and no variable that it does not define.
func TestDashboardStructure(t *testing.T) {
	d := readDashboard(t)
	if d.Title == "" || d.UID == "" || len(d.UID) > 40 || d.SchemaVersion < 30 || d.SchemaVersion > 41 || d.Time.From == "" {
		t.Errorf("title %q, uid %q, schema %d, time %+v", d.Title, d.UID, d.SchemaVersion, d.Time)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type != "datasource" && v.Type != "query" || v.Query == "" {
			t.Errorf("variable %q of type %q asks for %q", v.Name, v.Type, v.Query)
		}
		if v.Type == "query" && (v.Datasource == nil || v.Datasource.Type != "prometheus") {
			t.Errorf("variable %q has no source", v.Name)
		}
	}
	defined := func(where, text string) {
		t.Helper()
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(variables, m[1]) {
				t.Errorf("%s uses $%s, which is not defined", where, m[1])
			}
		}
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID < 1 || p.Title == "" || !slices.Contains([]string{"stat", "timeseries"}, p.Type) || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q of type %q with %d targets", p.ID, p.Title, p.Type, len(p.Targets))
		}
		ids[p.ID] = true
		if p.Datasource.Type != "prometheus" || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("panel %q: source %+v, unit %q", p.Title, p.Datasource, p.FieldConfig.Defaults.Unit)
		}
		defined(p.Title, p.Datasource.UID)
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.X+g.W > 24 || g.H < 1 {
			t.Errorf("panel %q stands at %+v, of 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q stand on each other", other, p.Title)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.LegendFormat == "" {
				t.Errorf("panel %q: target %q with legend %q", p.Title, target.RefID, target.LegendFormat)
			}
			refs[target.RefID] = true
			defined(p.Title, target.Expr)
		}
	}
}

// Prometheus' own tool reads the alerts and every expression of the dashboard, and
// each alert fires on what testdata/alerts.yml plays to it, and on nothing else.
func TestAlerts(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("NO PROMTOOL ON THIS MACHINE: alerts and dashboard were not read by Prometheus' own tool; it is in Debian's package prometheus")
	}
	read := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
	read("check", "rules", "alerts.yml")
	read("test", "rules", "testdata/alerts.yml")
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expr, err := json.Marshal(target.Expr) // a string of JSON is one of YAML
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&rules, "      - record: panel:%d\n        expr: %s\n", n, expr)
			n++
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	read("check", "rules", file)
}

// Every alert is played in testdata/alerts.yml, also where there is no promtool.
func TestAlertsArePlayed(t *testing.T) {
	alerts, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	played, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(alerts)) {
		if _, name, ok := strings.Cut(line, "- alert: "); ok {
			if want := "alertname: " + strings.TrimSpace(name) + "\n"; strings.Count(string(played), want) < 2 {
				t.Errorf("%s is not seen both to fire and to be silent in testdata/alerts.yml", strings.TrimSpace(name))
			}
		}
	}
}
