package portmap

import (
	"testing"

	"github.com/sremp/sremp/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
