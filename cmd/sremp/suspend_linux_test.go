package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sleptVariable names, in the environment of a program that buildSleeper made, the
// file that says for how many nanoseconds its machine has slept so far.
const sleptVariable = "SREMP_JOURNEY_SLEPT"

// sleeperSource is added to the program: it has no such thing of its own.
const sleeperSource = `package main

import (
	"os"
	"syscall"
	"unsafe"
)

//go:linkname machineSlept runtime.machineSlept
var machineSlept *int64

func init() {
	f, err := os.Open(os.Getenv("` + sleptVariable + `"))
	if err != nil {
		panic(err)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	machineSlept = (*int64)(unsafe.Pointer(&b[0]))
}
`

// buildSleeper builds the program with a runtime whose monotonic clock, and so
// every timer, stands still while the machine sleeps, as Linux's does; the wall
// clock goes on. A process that is only stopped finds both clocks ahead.
func buildSleeper(dir string) (binary string, err error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	runtime := filepath.Join(strings.TrimSpace(string(out)), "src", "runtime")
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	files := map[string]string{filepath.Join(here, "sleeper.go"): sleeperSource}
	for name, change := range map[string][2]string{
		"time_nofake.go": {"\treturn nanotime1()\n}\n", "\tif machineSlept != nil {\n\t\treturn nanotime1() - *machineSlept\n\t}\n\treturn nanotime1()\n}\n\n//go:linkname machineSlept\nvar machineSlept *int64\n"},
		"time.go":        {"\treturn time_now()\n}\n", "\tsec, nsec, mono = time_now()\n\tif machineSlept != nil {\n\t\tmono -= *machineSlept\n\t}\n\treturn sec, nsec, mono\n}\n"},
	} {
		source, err := os.ReadFile(filepath.Join(runtime, name))
		if err != nil {
			return "", err
		}
		if strings.Count(string(source), change[0]) != 1 {
			return "", errors.New("the runtime reads its clock in another way: write the sleep anew")
		}
		files[filepath.Join(runtime, name)] = strings.Replace(string(source), change[0], change[1], 1)
	}
	replace := map[string]string{}
	for name, text := range files {
		replace[name] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(replace[name], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "sleeper")
	if out, err := exec.Command("go", "build", "-overlay", name, "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building a program that sleeps with its machine: %w\n%s", err, out)
	}
	return binary, nil
}

// A laptop is the machine of a process: it can be closed and opened.
type laptop struct {
	pid    int
	cell   []byte // shared with the process; nil if it is not of buildSleeper: then its clocks go on
	closed time.Time
}

// newLaptop makes the file that a program of buildSleeper reads.
func newLaptop(name string) (*laptop, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return nil, err
	}
	cell, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return &laptop{cell: cell}, err
}

// close has the process do nothing from now on.
func (l *laptop) close() error {
	if err := syscall.Kill(l.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	l.closed = time.Now()
	return nil
}

// open has it go on, at the monotonic time at which it was stopped if it can.
func (l *laptop) open() error {
	if l.cell != nil {
		was := int64(binary.NativeEndian.Uint64(l.cell))
		binary.NativeEndian.PutUint64(l.cell, uint64(was+int64(time.Since(l.closed))))
	}
	return syscall.Kill(l.pid, syscall.SIGCONT)
}
