package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// metrics serves /metrics, /healthz (the process lives) and /readyz (it takes
// requests) for a loopback address: it asks nobody who he is.
func (s *services) metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = s.writeMetrics(w) // the reader has gone
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.relay != nil {
			if err := s.relay.Ready(r.Context()); err != nil {
				http.Error(w, "not ready", http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// writeMetrics writes what both halves count, and the process.
func (s *services) writeMetrics(w io.Writer) error {
	if s.relay != nil {
		if err := s.relay.WriteMetrics(w); err != nil {
			return err
		}
	}
	if s.rendezvous != nil {
		if err := s.rendezvous.WriteMetrics(w); err != nil {
			return err
		}
	}
	return writeProcessMetrics(w, s.dir, s.about.Started)
}

// writeProcessMetrics writes what Prometheus' own libraries call these, and the
// room on disk.
func writeProcessMetrics(w io.Writer, dir string, started time.Time) error {
	b := bufio.NewWriter(w)
	one := func(name, kind, help string, v any) {
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, v)
	}
	fmt.Fprintf(b, "# HELP sremp_build_info The program; always 1.\n# TYPE sremp_build_info gauge\nsremp_build_info{version=%q,commit=%q} 1\n", programVersion, programCommit())
	one("process_start_time_seconds", "gauge", "Start of the process, in Unix seconds.", started.Unix())
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) == nil {
		one("process_cpu_seconds_total", "counter", "Processor time, of user and system.",
			time.Duration(use.Utime.Nano()+use.Stime.Nano()).Seconds())
	}
	if n, ok := resident(); ok {
		one("process_resident_memory_bytes", "gauge", "Memory.", n)
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		one("process_open_fds", "gauge", "Open files and sockets.", len(fds))
	}
	var most unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &most) == nil {
		one("process_max_fds", "gauge", "Files and sockets that may be open.", most.Cur)
	}
	one("go_goroutines", "gauge", "Goroutines.", runtime.NumGoroutine())
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) == nil {
		one("sremp_disk_free_bytes", "gauge", "Room for the databases.", disk.Bavail*uint64(disk.Bsize))
		one("sremp_disk_bytes", "gauge", "Size of the file system with the databases.", disk.Blocks*uint64(disk.Bsize))
	}
	fmt.Fprint(b, "# HELP sremp_database_bytes Sizes of the database's files.\n# TYPE sremp_database_bytes gauge\n")
	for _, name := range []string{relayDatabase, relayDatabase + "-wal", rendezvousDBFile, rendezvousDBFile + "-wal"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			fmt.Fprintf(b, "sremp_database_bytes{file=%q} %d\n", name, info.Size())
		}
	}
	return b.Flush()
}

// resident returns the bytes of memory that the process has (proc(5), statm).
func resident() (int64, bool) {
	statm, err := os.ReadFile("/proc/self/statm")
	fields := bytes.Fields(statm)
	if err != nil || len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
