package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes what was written to f durable, and of what is known about f only
// what is needed to read it.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
