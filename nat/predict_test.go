package nat

import (
	"slices"
	"testing"
)

func TestPredictPorts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ports []uint16
		want  []uint16
	}{
		{"one by one", []uint16{5000, 5001, 5002, 5003}, []uint16{5004, 5005, 5006}},
		{"downwards", []uint16{5006, 5004, 5002, 5000}, []uint16{4998, 4996, 4994}},
		{"somebody in between", []uint16{5000, 5001, 5003, 5004}, []uint16{5005, 5006, 5007}},
		{"bytes swapped, with a carry", []uint16{0xfd07, 0xfe07, 0xff07, 0x0008}, []uint16{0x0108, 0x0208, 0x0308}},
		{"around the end", []uint16{65533, 65534, 65535, 0}, []uint16{1, 2, 3}},
		{"random", []uint16{5000, 41000, 23, 60000}, nil},
		{"random and near", []uint16{5000, 5003, 5007, 5019}, nil},
		{"the same", []uint16{5000, 5000, 5000, 5000}, nil},
		{"too few", []uint16{5000, 5001}, nil},
	} {
		if got := PredictPorts(tt.ports, 3); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
