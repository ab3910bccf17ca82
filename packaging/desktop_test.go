package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The desktop's package has the program and all by which a desktop finds it, names
// every library that it needs, and is installed and removed. SREMP_DESKTOP_DEB is
// one that was made before (make package-test); without it another program takes
// the desktop's place.
func TestDesktopPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil || testing.Short() {
		t.Skip("NO PACKAGE TEST ON THIS MACHINE: no dpkg-deb, or the short form")
	}
	deb := os.Getenv("SREMP_DESKTOP_DEB")
	real := deb != ""
	if !real {
		dir := t.TempDir()
		run(t, []string{"SREMP_PROGRAM=" + program(t)}, "scripts/dist.sh", dir, "desktop")
		all, err := filepath.Glob(filepath.Join(dir, "sremp-desktop_*.deb"))
		if err != nil || len(all) != 1 {
			t.Fatalf("scripts/dist.sh made %q, %v", all, err)
		}
		deb = all[0]
	}
	list := run(t, nil, "dpkg-deb", "-c", deb)
	for _, want := range []string{
		"-rwxr-xr-x root/root ", "./usr/bin/sremp-desktop\n", "./usr/share/applications/io.github.sremp.Desktop.desktop\n",
		"./usr/share/metainfo/io.github.sremp.Desktop.metainfo.xml\n", "./usr/share/icons/hicolor/scalable/apps/io.github.sremp.Desktop.svg\n",
		"./usr/share/man/man1/sremp-desktop.1.gz\n", "./usr/share/doc/sremp-desktop/changelog.gz\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("the package lacks %q:\n%s", want, list)
		}
	}
	root := t.TempDir()
	run(t, nil, "dpkg-deb", "-x", deb, root)
	papers(t, filepath.Join(root, "usr/share/doc/sremp-desktop"), "github.com/diamondburned/gotk4/pkg")
	if !real {
		return
	}
	needs(t, filepath.Join(root, "usr/bin/sremp-desktop"), run(t, nil, "dpkg-deb", "-f", deb, "Depends"))
	if why := machine(); why != "" {
		t.Skipf("NO PACKAGE TEST ON THIS MACHINE: %s", why)
	}
	work := t.TempDir()
	if err := os.Mkdir(filepath.Join(work, "machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/desktop.sh")
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, nil, "unshare", "-mnpf", "--kill-child", "--propagation", "private", "/bin/sh", script, deb, work)
	for _, want := range []string{"installed\n", "it starts\n", "its manual page is readable\n", "purged\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it did not say %q:\n%s", want, got)
		}
	}
}

var (
	needed   = regexp.MustCompile(`(?m)^\s*NEEDED\s+(\S+)$`)
	library  = regexp.MustCompile(`(?m)^==== (\S+) (\S+) ====\s*(\S?)`)
	relation = regexp.MustCompile(`[ \t\n]*\([^)]*\)`)
)

// needs checks that the package of every library that a program is linked with is
// one that its own package depends on.
func needs(t *testing.T, program, depends string) {
	t.Helper()
	named := map[string]bool{}
	for _, name := range strings.FieldsFunc(relation.ReplaceAllString(depends, ""), func(r rune) bool { return strings.ContainsRune(",| \n", r) }) {
		named[name] = true
	}
	libraries := needed.FindAllStringSubmatch(run(t, nil, "objdump", "-p", program), -1)
	if len(libraries) < 5 {
		t.Fatalf("objdump found %d libraries of the desktop", len(libraries))
	}
	for _, l := range libraries {
		// The line is PACKAGE:ARCHITECTURE: PATH.
		owner, _, _ := strings.Cut(run(t, nil, "dpkg-query", "-S", "*/"+l[1]), ":")
		if !named[owner] {
			t.Errorf("%s is of %s, which the package does not depend on: %s", l[1], owner, depends)
		}
	}
}

// papers checks that dir has the licence, and one for every library of the program.
func papers(t *testing.T, dir, one string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "copyright"))
	if err != nil || !strings.Contains(string(b), "Remote Network Interaction") || strings.Contains(string(b), "@") {
		t.Errorf("copyright: %v, %d bytes; want the whole licence", err, len(b))
	}
	found := map[string]bool{}
	for _, l := range library.FindAllStringSubmatch(run(t, nil, "zcat", filepath.Join(dir, "licences-of-libraries.gz")), -1) {
		found[l[1]] = true
		if l[3] == "" || l[3] == "=" {
			t.Errorf("%s %s has no licence", l[1], l[2])
		}
	}
	if !found["github.com/quic-go/quic-go"] || !found[one] {
		t.Errorf("licences of %v, want quic-go's and %s's among them", found, one)
	}
}
