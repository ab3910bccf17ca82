package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// socket is where the server that all tests share listens, a directory;
// empty if this machine has none.
var socket string

func TestMain(m *testing.M) {
	dir, stop, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting PostgreSQL:", err)
		os.Exit(1)
	}
	socket = dir
	code := m.Run()
	stop()
	os.Exit(code)
}

// binary finds a program of the server; Debian keeps them out of PATH.
func binary(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// startServer runs a server of our own, in a directory of its own, on a Unix
// socket. It refuses to run as root: then it runs as the user that its package
// made.
func startServer() (dir string, stop func(), err error) {
	initdb, postgres := binary("initdb"), binary("postgres")
	if initdb == "" || postgres == "" {
		return "", func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "sremp-pg"); err != nil {
		return "", nil, err
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return "", nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", nil, err
		}
	}
	data := filepath.Join(dir, "data")
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Dir, c.SysProcAttr, c.Stdout, c.Stderr = dir, attr, os.Stderr, os.Stderr
		return c
	}
	init := command(initdb, "-D", data, "-A", "trust", "-U", "sremp", "--no-sync", "-E", "UTF8", "--no-locale")
	init.Stdout = nil
	if err := init.Run(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w", err)
	}
	server := command(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "log_min_messages=fatal")
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = server.Process.Signal(syscall.SIGINT)
		_ = server.Wait() // it ends with the signal's status
		_ = os.RemoveAll(dir)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn(dir, "postgres"))
		if err == nil {
			return dir, stop, conn.Close(ctx)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			stop()
			return "", nil, errors.Join(err, ctx.Err())
		}
	}
}

func dsn(dir, database string) string {
	return fmt.Sprintf("host=%s user=sremp dbname=%s", dir, database)
}

var databases int

// database makes an empty database and returns how to connect to it.
func database(t testing.TB) string {
	t.Helper()
	if socket == "" {
		t.Skip("SKIPPED: no PostgreSQL server on this machine; install Debian's package postgresql to run this test")
	}
	conn, err := pgx.Connect(t.Context(), dsn(socket, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	databases++
	name := fmt.Sprintf("test%d", databases)
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return dsn(socket, name)
}

func open(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
