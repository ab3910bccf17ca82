// Package pgtest runs a PostgreSQL server for tests: Debian's package, an
// unprivileged user, a temporary directory, a Unix socket, nothing left behind.
package pgtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds initdb and each start on a busy machine.
const startTimeout = 5 * time.Minute

// A Server is a running PostgreSQL server.
type Server struct {
	dir  string // of the socket; the data is in dir/data
	bin  string
	as   *syscall.SysProcAttr
	opts []string

	mu    sync.Mutex
	cmd   *exec.Cmd     // nil while it is stopped
	ended chan struct{} // closed when cmd has

	databases atomic.Int32
}

// Start runs a new, empty server until the test ends. Options are of the form
// name=value, as in postgresql.conf.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := prepare(t, options)
	initdb := s.command("initdb", "-D", filepath.Join(s.dir, "data"), "-A", "trust", "-U", "sremp", "-E", "UTF8", "--locale", "C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("pgtest: initdb: %v\n%s", err, out)
	}
	s.Run(t)
	return s
}

// Standby runs a server that follows s: no commit of s is answered before it is
// durable there too.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	f := prepare(t, s.opts)
	backup := f.command("pg_basebackup", "-h", s.dir, "-U", "sremp", "-D", filepath.Join(f.dir, "data"), "-R", "--no-sync", "-c", "fast")
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pgtest: pg_basebackup: %v\n%s", err, out)
	}
	f.Run(t)
	s.SetSynchronous(t, "*")
	for end := time.Now().Add(startTimeout); s.SQL(t, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1"; {
		if time.Now().After(end) {
			t.Fatal("pgtest: the standby does not follow")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return f
}

// SetSynchronous says which standbys commits wait for: "*" for any, "" for none.
func (s *Server) SetSynchronous(t testing.TB, names string) {
	t.Helper()
	s.SQL(t, "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'")
	s.SQL(t, "SELECT pg_reload_conf()")
}

// Promote makes a standby the primary.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	if out, err := s.command("pg_ctl", "promote", "-w", "-t", "300", "-D", filepath.Join(s.dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("pgtest: promote: %v\n%s", err, out)
	}
}

// SQL runs one statement and returns what psql prints.
func (s *Server) SQL(t testing.TB, statement string) string {
	t.Helper()
	out, err := s.command("psql", "-h", s.dir, "-U", "sremp", "-d", "postgres", "-Atqc", statement).CombinedOutput()
	if err != nil {
		t.Fatalf("pgtest: %s: %v\n%s", statement, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Query runs one statement in a database that Database has made, which may have
// come to s from its primary, and returns what psql prints.
func (s *Server) Query(t testing.TB, database, statement string) string {
	t.Helper()
	_, name, _ := strings.Cut(database, "dbname=")
	name, _, _ = strings.Cut(name, " ")
	out, err := s.command("psql", "-h", s.dir, "-U", "sremp", "-d", name, "-Atqc", statement).CombinedOutput()
	if err != nil {
		t.Fatalf("pgtest: %s: %v\n%s", statement, err, out)
	}
	return strings.TrimSpace(string(out))
}

// prepare makes the directory of a server that is killed when the test ends.
func prepare(t testing.TB, options []string) *Server {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: another user must reach it, and a socket's path is short.
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{dir: dir, bin: bin, opts: options}
	if err := s.drop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill() })
	return s
}

// binaries returns where Debian has put the newest server.
func binaries() (string, error) {
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(all) == 0 {
		return "", fmt.Errorf("pgtest: there is no PostgreSQL server; install Debian's package postgresql (%v)", err)
	}
	slices.Sort(all)
	return filepath.Dir(all[len(all)-1]), nil
}

// drop makes the server's directory an unprivileged user's if we are root, whom
// PostgreSQL refuses.
func (s *Server) drop() error {
	s.as = &syscall.SysProcAttr{}
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	return cmd
}

// Run starts the server after Kill or Stop, and waits until it answers.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	args := []string{"-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=", "-c", "log_min_messages=fatal"}
	for _, o := range s.opts {
		args = append(args, "-c", o)
	}
	for end := time.Now().Add(startTimeout); ; {
		var log bytes.Buffer
		if s.launch(t, args, &log, end) {
			return
		}
		// Backends of a killed server hold its memory for a moment longer.
		if time.Now().After(end) {
			s.Kill()
			t.Fatalf("pgtest: the server does not start:\n%s", log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// launch starts the server and reports whether it answers.
func (s *Server) launch(t testing.TB, args []string, log *bytes.Buffer, end time.Time) bool {
	t.Helper()
	cmd := s.command("postgres", args...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in the log
	}()
	s.mu.Lock()
	s.cmd, s.ended = cmd, ended
	s.mu.Unlock()
	for time.Now().Before(end) {
		if s.command("pg_isready", "-q", "-h", s.dir, "-U", "sremp", "-d", "postgres").Run() == nil {
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the server in order.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	// It may have ended by itself. The backends see the end of their parent.
	_ = s.cmd.Process.Signal(sig)
	<-s.ended
	s.cmd = nil
}

// Database makes an empty database and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if out, err := s.command("createdb", "-h", s.dir, "-U", "sremp", name).CombinedOutput(); err != nil {
		t.Fatalf("pgtest: createdb: %v\n%s", err, out)
	}
	return dsn(name, s)
}

// Failover returns a connection string for a database of s that leads to whichever
// of the servers takes writes.
func (s *Server) Failover(database string, others ...*Server) string {
	_, name, _ := strings.Cut(database, "dbname=")
	name, _, _ = strings.Cut(name, " ")
	return dsn(name, append([]*Server{s}, others...)...) + " target_session_attrs=read-write connect_timeout=2"
}

func dsn(database string, servers ...*Server) string {
	var hosts []string
	for _, s := range servers {
		hosts = append(hosts, s.dir)
	}
	return "host=" + strings.Join(hosts, ",") + " user=sremp dbname=" + database + " sslmode=disable"
}
