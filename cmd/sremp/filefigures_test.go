package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"os"
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

// A file between two clients on one machine, against plain QUIC on the same path;
// the memory of both; and how soon it goes on after the receiver's computer slept
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
	began := time.Now()
	ann.run(t, "send", "Bob", "--file", path)
	t.Logf("figure: client.3.offer %.2f s AGAINST the time to read the file once, %d MB", time.Since(began).Seconds(), size/1e6)
	if size > 25e6 {
		bob.waitFile(t, client.FileOffered)
		bob.run(t, "file", "accept", "Ann", "film.bin")
	}
	began = time.Now()
	got := bob.waitFile(t, client.FileDone)
	file := float64(size) / time.Since(began).Seconds() / 1e6
	raw := rawQUIC(t, size) / 1e6
	sameFile(t, got, path, bob)
	t.Logf("figure: client.3.throughput %.2f of raw QUIC AGAINST 0.85 (%.0f MB/s against %.0f MB/s, %d MB)", file/raw, file, raw, size/1e6)
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

// rawQUIC returns how many bytes a second plain QUIC carries over loopback.
func rawQUIC(t *testing.T, size int) float64 {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	const alpn = "raw"
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{alpn},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the connection
		conn, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		s, err := conn.OpenStream()
		if err != nil {
			return
		}
		buf := make([]byte, 256<<10)
		for left := size; left > 0; left -= len(buf) {
			if _, err := s.Write(buf[:min(left, len(buf))]); err != nil {
				return
			}
		}
		s.Close()
	}()
	conn, err := quic.DialAddr(t.Context(), l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	s, err := conn.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, s, make([]byte, 256<<10))
	if err != nil || n != int64(size) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	return float64(n) / time.Since(began).Seconds()
}
