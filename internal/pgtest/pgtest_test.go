package pgtest

import (
	"os"
	"strings"
	"testing"
)

// A server starts, makes databases, survives being killed and started again, and
// leaves nothing behind.
func TestServer(t *testing.T) {
	var dir string
	t.Run("", func(t *testing.T) {
		s := Start(t)
		dir = s.dir
		a, b := s.Database(t), s.Database(t)
		if a == b || !strings.Contains(a, dir) {
			t.Errorf("databases %q and %q", a, b)
		}
		for _, end := range []func(){s.Kill, s.Stop} {
			end()
			end() // no harm
			s.Run(t)
			s.Database(t)
		}
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", dir, err)
	}
}
