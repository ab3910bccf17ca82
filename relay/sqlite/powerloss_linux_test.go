package sqlite

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk is a filesystem on a file, whose power can fail: what was not synced is
// gone then.
type disk struct {
	*testing.T
	image, dir string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t, filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(256 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d.run("mkfs.ext4", "-q", d.image)
	d.mount()
	t.Cleanup(func() { exec.Command("umount", d.dir).Run() })
	return d
}

func (d *disk) run(name string, args ...string) {
	d.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		d.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (d *disk) mount() { d.run("mount", "-o", "loop", d.image, d.dir) }

// fail cuts the power: EXT4_IOC_SHUTDOWN without flushing the journal.
func (d *disk) fail() {
	d.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), 0x8004587d, 2); err != nil {
		d.Fatalf("cutting the power: %v", err)
	}
}

// TestPowerLoss cuts the power of a disk under load, which needs root and a loop
// device: it is run for figures, and does nothing without SREMP_FIGURES.
func TestPowerLoss(t *testing.T) {
	rounds := 0
	if os.Getenv("SREMP_FIGURES") != "" {
		rounds = 20
	}
	total, lost, unsynced := 0, 0, 0
	for round := range rounds {
		d := newDisk(t)
		path := filepath.Join(d.dir, "relay.db")
		s := open(t, path)
		setUp(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// What nobody synced is forgotten, or the test shows nothing.
		control := filepath.Join(d.dir, "control")
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKill$")
		cmd.Env = append(os.Environ(), "SREMP_TEST_KILL="+path, "SREMP_TEST_ROUND="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := map[string]bool{}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acknowledged[lines.Text()] = true
			if n == 100+31*round {
				if err := os.WriteFile(control, make([]byte, 64<<10), 0o600); err != nil {
					t.Fatal(err)
				}
				// Nobody goes on after the power is cut. A process that did could see a
				// sync that the cut found under way return without an error.
				cmd.Process.Signal(syscall.SIGSTOP)
				d.fail()
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		d.run("umount", d.dir)
		d.mount()
		if b, err := os.ReadFile(control); err != nil || len(b) == 0 {
			unsynced++
		}
		s = open(t, path)
		var check string
		if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
			t.Errorf("integrity_check = %q, %v", check, err)
		}
		lost += checkStored(t, s, acknowledged)
		total += len(acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		d.run("umount", d.dir)
	}
	if rounds > 0 {
		if unsynced == 0 {
			t.Error("the disk forgot nothing: no power was cut")
		}
		fmt.Printf("figure: relay.5.power_lost %d messages of %d acknowledged, in %d cuts of the disk's power (an unsynced file was forgotten in %d)\n", lost, total, rounds, unsynced)
	}
}
