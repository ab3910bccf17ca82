package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// passphraseVariable is the environment variable for scripts. The passphrase
// may be empty, so it counts when it is set.
const passphraseVariable = "SREMP_PASSPHRASE"

var errNoPassphrase = errors.New(
	"the passphrase is needed and there is no terminal to ask on; use --passphrase-file or the variable " + passphraseVariable)

// passphrase returns the profile's passphrase from --passphrase-file, the
// environment or a prompt. A new one is asked for twice.
func (a *app) passphrase(isNew bool) ([]byte, error) {
	if a.passphraseFile != "" {
		b, err := os.ReadFile(a.passphraseFile)
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		line, _, _ := bytes.Cut(b, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), nil
	}
	if v, ok := os.LookupEnv(passphraseVariable); ok {
		return []byte(v), nil
	}
	in, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, errNoPassphrase
	}
	if !isNew {
		return a.ask(in, "Passphrase: ")
	}
	for {
		first, err := a.ask(in, "New passphrase (empty for none): ")
		if err != nil {
			return nil, err
		}
		second, err := a.ask(in, "The same again: ")
		if err != nil {
			return nil, err
		}
		switch {
		case !bytes.Equal(first, second):
			fmt.Fprintln(a.stderr, "The two are not the same.")
		case len(first) > 0:
			return first, nil
		default:
			sure, err := a.sure("Without a passphrase, whoever gets at this computer or its disk reads everything and can be you. Go on without? [y/N] ")
			if err != nil || sure {
				return first, err
			}
		}
	}
}

// passphraseGiven reports whether it need not be asked for.
func (a *app) passphraseGiven() bool {
	_, ok := os.LookupEnv(passphraseVariable)
	return ok || a.passphraseFile != ""
}

// sure asks a question that yes answers.
func (a *app) sure(question string) (bool, error) {
	fmt.Fprint(a.stderr, question)
	line, err := a.line(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// line reads a line of at most n bytes from standard input, one byte at a time:
// what follows it belongs to what is asked next.
func (a *app) line(n int) (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < n; {
		got, err := a.stdin.Read(b)
		if got == 1 && b[0] == '\n' {
			break
		}
		if got == 1 {
			line = append(line, b[0])
		}
		if err != nil {
			return string(line), err
		}
	}
	return string(line), nil
}

func (a *app) ask(in *os.File, prompt string) ([]byte, error) {
	fmt.Fprint(a.stderr, prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.stderr)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	return b, nil
}

// isTerminal reports whether both ends of a dialogue are a person.
func (a *app) isTerminal() bool {
	in, inOK := a.stdin.(*os.File)
	out, outOK := a.stdout.(*os.File)
	return inOK && outOK && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
}

// lines reads lines from r until its end; done tells the reader to stop handing
// them on.
func lines(r *bufio.Scanner, done <-chan struct{}) <-chan string {
	out := make(chan string)
	go func() { // ends with r, or with the process: a read of a terminal cannot be cancelled
		defer close(out)
		for r.Scan() {
			select {
			case out <- r.Text():
			case <-done:
				return
			}
		}
	}()
	return out
}
