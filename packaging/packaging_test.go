package packaging

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// run runs a command in the repository's root.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), errs.String())
	}
	return out.String()
}

// built is where the program is that the tests share.
var built struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.path != "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(status)
}

// program builds the command as it is built for tests.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "packaging")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "sremp")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/sremp")
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// pack makes the server's package of a program.
func pack(t *testing.T, packed, version string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, []string{"SREMP_PROGRAM=" + packed, "SREMP_MAKER=" + program(t), "SREMP_VERSION=" + version}, "scripts/dist.sh", dir, "server")
	all, err := filepath.Glob(filepath.Join(dir, "sremp-server_*.deb"))
	if err != nil || len(all) != 1 {
		t.Fatalf("scripts/dist.sh made %q, %v", all, err)
	}
	return all[0]
}

// machine says why this one cannot be copied for a test, "" if it can.
func machine() string {
	if os.Getuid() != 0 {
		return "not root"
	}
	for _, name := range []string{"dpkg", "dpkg-deb", "unshare", "setpriv", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			return "no " + name
		}
	}
	dir, err := os.MkdirTemp("", "machine")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	try := exec.Command("unshare", "-mnpf", "--kill-child", "--propagation", "private", "sh", "-ec",
		`mount -t tmpfs tmpfs "$0"; cd "$0"; mkdir u w r; mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/u,workdir=$PWD/w" r; chroot r true`, dir)
	if out, err := try.CombinedOutput(); err != nil {
		return "no overlay of /: " + strings.TrimSpace(string(out))
	}
	return ""
}

// The package is installed, started by its unit's exact command line, upgraded
// with mail waiting, removed and purged. SREMP_OLD is a program that is upgraded
// from instead of this one; SREMP_DEB is a package made before (make package-test).
func TestPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("its processes are not under the race detector")
	}
	if why := machine(); why != "" {
		t.Skipf("NO PACKAGE TEST ON THIS MACHINE: %s", why)
	}
	oldProgram, newer := os.Getenv("SREMP_OLD"), os.Getenv("SREMP_DEB")
	if oldProgram == "" || newer == "" {
		p := program(t)
		if oldProgram == "" {
			oldProgram = p
		}
		if newer == "" {
			newer = pack(t, p, "")
		}
	}
	lifecycle(t, pack(t, oldProgram, "0.0.9"), newer)
}

func lifecycle(t *testing.T, older, newer string) {
	t.Helper()
	work := t.TempDir()
	if err := os.Mkdir(filepath.Join(work, "machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := work; dir != "/"; dir = filepath.Dir(dir) { // the service's user goes through it
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			if err := os.Chmod(dir, info.Mode()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	script, err := filepath.Abs("testdata/lifecycle.sh")
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, nil, "unshare", "-mnpf", "--kill-child", "--propagation", "private", "/bin/sh", script, older, newer, work)
	t.Log("\n" + got)
	for _, want := range []string{"installed sremp-server\t0.0.9\n", "with UDP 4433 and TCP 443\n", "mail is waiting\n", "the mail is there\n",
		"the mail came, and what was sent after it\n", "removed, the key is kept\n", "purged\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it did not say %q", want)
		}
	}
}

// Two packages of one program are the same bytes (make dist-check builds the
// program twice, too), with the licences of all that is in it.
func TestPackageTwice(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil || testing.Short() {
		t.Skip("NO PACKAGE TEST ON THIS MACHINE: no dpkg-deb, or the short form")
	}
	read := func(path string) []byte {
		t.Helper()
		root := t.TempDir()
		run(t, nil, "dpkg-deb", "-x", path, root)
		papers(t, filepath.Join(root, "usr/share/doc/sremp-server"), "github.com/mattn/go-sqlite3")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	one := read(pack(t, program(t), ""))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("TZ", "Asia/Tokyo")
	if two := read(pack(t, program(t), "")); !bytes.Equal(one, two) {
		t.Errorf("two packages differ: %d and %d bytes", len(one), len(two))
	}
}
