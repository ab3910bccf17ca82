package leak

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// It sees a goroutine, a descriptor and memory that stay.
func TestSees(t *testing.T) {
	before := descriptors()
	stop := make(chan struct{})
	done := make(chan struct{})
	go waiting(stop, done)
	f, err := os.Create(t.TempDir() + "/kept")
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(strings.Join(goroutines(), "\n"), "leak.waiting") {
	}
	if got := descriptors(); len(got) != len(before)+1 || !strings.Contains(strings.Join(got, "\n"), "/kept") {
		t.Errorf("descriptors: %q, before %q", got, before)
	}
	open := Of(os.Getpid())
	close(stop)
	<-done
	f.Close()
	if got := Of(os.Getpid()); got != open-1 {
		t.Errorf("%d descriptors of this process, want one less than %d", got, open)
	}
	if left := settle(before); left != "" {
		t.Errorf("left: %s", left)
	}

	var kept [][]byte
	_, _, heap := quiet()
	kept = append(kept, make([]byte, 8<<20))
	if _, _, more := quiet(); more < heap+7<<20 {
		t.Errorf("%d bytes in use, %d before 8 MiB were made", more, heap)
	}
	clear(kept[0])
	Flat(t, 10, 1<<10, func() { _ = make([]byte, 1<<20) })
}

func waiting(stop <-chan struct{}, done chan<- struct{}) { <-stop; close(done) }
