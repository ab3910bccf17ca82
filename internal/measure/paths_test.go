package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const matrixFile = `# Every pair

| kind | mapping |
|---|---|
| port | endpoint-independent |

| pair | theory | path |
|---|---|---|
| port,port | direct | direct |
| same carrier portrnd,same carrier portrnd | relay | relay |
| port/accept,port/accept,loss=0.05 | direct | direct |
`

func TestPathTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "natlab.md")
	if lines, err := matrix(path); err != nil || lines != nil {
		t.Fatalf("matrix of no file = %v, %v", lines, err)
	}
	if err := os.WriteFile(path, []byte(matrixFile), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, err := matrix(path)
	if err != nil {
		t.Fatal(err)
	}
	all := []figure{
		{Name: "paths.1.port-port.direct", Value: 20, Unit: "of_20"},
		{Name: "paths.3.port-port.median_rtt", Value: 4.26, Unit: "RTT"},
		{Name: "paths.3.port-port.usable_median_rtt", Value: 4.1, Unit: "RTT"},
		{Name: "paths.1.port-port.libp2p.direct", Value: 5, Unit: "of_5"},
		{Name: "paths.3.port-port.libp2p.median_rtt", Value: 15, Unit: "RTT"},
		{Name: "paths.3.port-port.libp2p.message_median_rtt", Value: 9.63, Unit: "RTT"},
		{Name: "paths.1.port-accept-port-accept-loss_0_05.pion.direct", Value: 0, Unit: "of_5"},
		{Name: "paths.1.same_carrier_portrnd-same_carrier_portrnd.direct", Value: 0, Unit: "of_20"},
	}
	got := pathTables(lines, all)
	for _, want := range []string{
		"| same carrier portrnd,same carrier portrnd | relay | relay |\n",
		"| port,port | 4.1 | 4.3 (20 of 20) | 9.6 | 15.0 (5 of 5) | - | - | - | - |\n",
		"| port/accept,port/accept,loss=0.05 | - | - | - | - | - | never (of 5) | - | - |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no row %q in\n%s", want, got)
		}
	}
	if strings.Count(got, "same carrier") != 2 {
		t.Errorf("a pair that no rival was run with is beside them:\n%s", got)
	}
	if strings.Contains(got, "endpoint-independent") {
		t.Errorf("the table of kinds is among the pairs:\n%s", got)
	}
	if got := pathTables(nil, all); got != "" {
		t.Errorf("without a matrix: %q", got)
	}
}
