package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const printed = `goos: linux
BenchmarkEncrypt/100B-2   	  500000	      1234 ns/op	  81.00 MB/s	     112 B/op	       1 allocs/op
=== RUN   TestFlood
    flood_test.go:10: figure: chat.messages_per_second 2500.5 msg/s against nothing yet
figure: client.1.send_p50 1.14 fsyncs AGAINST 2
figure: client.3.throughput 0.53 of raw QUIC AGAINST 0.85
figure: incomplete 3
PASS
`

func TestParse(t *testing.T) {
	want := []figure{
		{Name: "ratchet.Encrypt/100B.ns_op", Value: 1234, Unit: "ns/op"},
		{Name: "ratchet.Encrypt/100B.MB_s", Value: 81, Unit: "MB/s"},
		{Name: "ratchet.Encrypt/100B.B_op", Value: 112, Unit: "B/op"},
		{Name: "ratchet.Encrypt/100B.allocs_op", Value: 1, Unit: "allocs/op"},
		{Name: "chat.messages_per_second", Value: 2500.5, Unit: "msg/s", Against: "against nothing yet"},
		{Name: "client.1.send_p50", Value: 1.14, Unit: "fsyncs", Against: "2"},
		{Name: "client.3.throughput", Value: 0.53, Unit: "of", Against: "raw QUIC, goal 0.85"},
	}
	if got := parse("ratchet", printed); !reflect.DeepEqual(got, want) {
		t.Errorf("parse = %+v, want %+v", got, want)
	}
}

func TestMergeSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.json")
	if all, err := load(path); err != nil || all != nil {
		t.Fatalf("load of no file = %v, %v", all, err)
	}
	all := merge([]figure{{Name: "a.x", Value: 1, Unit: "s"}, {Name: "b.x", Value: 2, Unit: "s"}}, []figure{{Name: "a.x", Value: 3, Unit: "s"}})
	if err := save(path, all); err != nil {
		t.Fatal(err)
	}
	got, err := load(path)
	if err != nil || !reflect.DeepEqual(got, all) || len(got) != 2 || got[0].Value != 3 {
		t.Errorf("load = %v, %v; want %v", got, err, all)
	}
	if md := report(got); !strings.Contains(md, "| a.x | 3 s |") || !strings.Contains(md, "## b") {
		t.Errorf("table:\n%s", md)
	}
}

// A part's variable that is set outside keeps that value, in the run and in the
// record of the command.
func TestSettings(t *testing.T) {
	p := part{env: []string{"SEEDS=20", "HOURS=24"}}
	got := p.settings(func(name string) (string, bool) { return "2", name == "SEEDS" })
	if want := []string{"SEEDS=2", "HOURS=24"}; !slices.Equal(got, want) {
		t.Errorf("settings = %q, want %q", got, want)
	}
}
