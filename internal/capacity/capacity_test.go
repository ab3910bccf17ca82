package capacity

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

var sizes = []float64{100, 1e3, 1e4, 1e5, 1e6, 1e7}

// The table that operators read is what is calculated.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/self-hosting.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := Table(Usual(), sizes...); !strings.Contains(string(doc), want) {
		t.Errorf("docs/self-hosting.md lacks this table:\n%s", want)
	}
}

// Everything grows with the users, and nothing is free.
func TestFor(t *testing.T) {
	small, large := For(1e4, Usual()), For(1e6, Usual())
	for _, c := range []struct {
		what         string
		small, large float64
	}{
		{"connections", small.Conns, large.Conns}, {"stores", small.Stores, large.Stores}, {"lookups", small.Lookups, large.Lookups},
		{"sessions", small.Sessions, large.Sessions}, {"disk", small.Disk, large.Disk}, {"cores", small.Cores, large.Cores},
	} {
		if r := c.large / c.small; c.small <= 0 || r < 99 || r > 101 {
			t.Errorf("%s: %v for 10 k users and %v for 1 M", c.what, c.small, c.large)
		}
	}
	// 1 M users write 40 M messages a day, 16 M of them into mailboxes: 185 a
	// second, three times that in the busiest hour.
	if got := fmt.Sprintf("%.0f", large.Stores); got != "556" {
		t.Errorf("stores: %s, want 556", got)
	}
	if small.Databases != 0 || large.Databases == 0 {
		t.Errorf("databases: %d and %d", small.Databases, large.Databases)
	}
}

func ExampleFor() {
	n := For(1_000_000, Usual())
	fmt.Printf("%.0f messages stored a second, %d databases\n", n.Stores, n.Databases)
	// Output: 556 messages stored a second, 1 databases
}
