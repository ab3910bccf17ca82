package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sremp/sremp/client"
)

// figureBytes is how long the file is: SREMP_FILE_BYTES, or what a test may take.
func figureBytes() int {
	if n, err := strconv.Atoi(os.Getenv("SREMP_FILE_BYTES")); err == nil {
		return n
	}
	return 30_000_000
}

// forgetPeak has peakRSS begin anew: opening a profile takes Argon2id's memory.
func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// peakRSS returns the most memory that a process has had, in bytes.
func peakRSS(t *testing.T, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return float64(kb) * 1024
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// A file between two clients on one machine, against plain QUIC between two processes
// on the same path, before it and after it; the memory of both; and how soon it goes on after the receiver's computer slept
// for longer than a connection lives. A figure only, but for what must never be:
// another file, and bytes that are sent twice.
func TestFileFigures(t *testing.T) {
	size := figureBytes()
	_, addr := startServer(t, t.TempDir(), "127.0.0.1:0")
	ann, bob := newUser(t, "Ann", addr), newUser(t, "Bob", addr)
	ann.listen(t)
	bob.listen(t)
	meet(t, ann, bob)
	path := writeFile(t, "film.bin", size)
	for _, u := range []*user{ann, bob} {
		forgetPeak(t, u.proc.cmd.Process.Pid)
	}
	rawBefore, cpuBefore := rawQUIC(t, size)
	began := time.Now()
	ann.run(t, "send", "Bob", "--file", path)
	t.Logf("figure: client.3.offer %.2f s AGAINST the time to read the file once, %d MB", time.Since(began).Seconds(), size/1e6)
	if size > 25e6 {
		bob.waitFile(t, client.FileOffered)
		bob.run(t, "file", "accept", "Ann", "film.bin")
	}
	gigabytes := float64(size) / 1e9
	cpu := cpuOf(t, ann) + cpuOf(t, bob)
	began = time.Now()
	got := bob.waitFile(t, client.FileDone)
	file := float64(size) / time.Since(began).Seconds() / 1e6
	cpu = cpuOf(t, ann) + cpuOf(t, bob) - cpu
	rawAfter, cpuAfter := rawQUIC(t, size)
	raw, rawCPU := (rawBefore+rawAfter)/2e6, (cpuBefore+cpuAfter)/2
	sameFile(t, got, path, bob)
	t.Logf("figure: client.3.throughput %.2f of raw QUIC AGAINST 0.85 (%.0f MB/s against %.0f MB/s that another process's memory sends to this one's, %d MB)", file/raw, file, raw, size/1e6)
	t.Logf("figure: client.3.cpu %.2f of raw QUIC AGAINST 1 and SHA-256, reading and writing the file (%.2f s against %.2f s for a GB, both processes)", cpu/rawCPU, cpu/gigabytes, rawCPU/gigabytes)
	for _, x := range []struct {
		name string
		u    *user
	}{{"sender", ann}, {"receiver", bob}} {
		t.Logf("figure: client.3.rss_%s %.0f MB AGAINST 100 MB (peak, file of %d MB)", x.name, peakRSS(t, x.u.proc.cmd.Process.Pid)/1e6, size/1e6)
	}
	if os.Getenv("SREMP_FILE_BYTES") == "" {
		return // what follows takes as long as it takes
	}
	second := writeFile(t, "second.bin", size/2)
	ann.run(t, "send", "Bob", "--file", second)
	bob.waitFile(t, client.FileOffered)
	bob.run(t, "file", "accept", "Ann", "second.bin")
	done := func() int64 {
		files, err := bob.api.Files(t.Context(), ann.id)
		if err != nil {
			t.Fatal(err)
		}
		return files[len(files)-1].Done
	}
	within(t, "the middle", func() (bool, string) {
		n := done()
		return n > int64(size/8), fmt.Sprint(n)
	})
	pid := bob.proc.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Second) // the lid is closed: both ends take the connection for lost
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	opened := time.Now()
	before := done()
	within(t, "more bytes", func() (bool, string) {
		n := done()
		if n < before {
			t.Fatalf("%d bytes after %d: something is sent twice", n, before)
		}
		return n > before+20_000_000, fmt.Sprint(n) // more than buffers hold
	})
	t.Logf("figure: client.3.resume %.2f s AGAINST 5 s (the receiver slept for 20 s)", time.Since(opened).Seconds())
	sameFile(t, bob.waitFile(t, client.FileDone), second, bob)
}

// cpuOf returns what a client's process has used so far, in seconds.
func cpuOf(t *testing.T, u *user) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", u.proc.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(b), ") ") // behind the command's name, which may have spaces
	var ticks int
	for _, f := range strings.Fields(fields)[11:13] { // utime, stime: proc(5)
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return float64(ticks) / 100 // USER_HZ
}

func seconds(u *syscall.Rusage) float64 { return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9 }

const (
	rawCommand = "rawquic" // the command that serveRaw is
	rawALPN    = "raw"
)

// rawQUIC returns how many bytes a second plain QUIC carries over loopback, from a
// process like this one to this one, and the seconds that both have computed.
func rawQUIC(t *testing.T, size int) (rate, cpu float64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = []string{rawCommand, strconv.Itoa(size)}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // if it has not ended
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn, err := quic.DialAddr(t.Context(), strings.TrimSpace(addr), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{rawALPN}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := conn.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var used [2]syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used[0])
	began := time.Now()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, s, make([]byte, 256<<10))
	if err != nil || n != int64(size) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	rate = float64(n) / time.Since(began).Seconds()
	syscall.Getrusage(syscall.RUSAGE_SELF, &used[1])
	conn.CloseWithError(0, "")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return rate, seconds(&used[1]) - seconds(&used[0]) + seconds(cmd.ProcessState.SysUsage().(*syscall.Rusage))
}

// serveRaw prints its address and sends as many bytes as it was told to whom it is
// dialled by.
func serveRaw() error {
	size, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{rawALPN},
	}, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(l.Addr())
	conn, err := l.Accept(context.Background())
	if err != nil {
		return err
	}
	s, err := conn.OpenStream()
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for left := size; left > 0; left -= len(buf) {
		if _, err := s.Write(buf[:min(left, len(buf))]); err != nil {
			return err
		}
	}
	s.Close()
	<-conn.Context().Done() // it has been read
	return nil
}
