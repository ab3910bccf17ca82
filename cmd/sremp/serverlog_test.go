package main

import (
	"bytes"
	"strings"
	"testing"
)

// A server's errors are written without --verbose, what else happens is not.
func TestServerLog(t *testing.T) {
	var errs bytes.Buffer
	a := &app{stderr: &errs}
	a.serverLogger().Error("storing failed", "err", "the disk is on fire")
	a.serverLogger().Info("quiet")
	a.serverLogger().Debug("quiet")
	if got := errs.String(); !strings.Contains(got, `level=ERROR msg="storing failed" err="the disk is on fire"`) || strings.Contains(got, "quiet") {
		t.Errorf("got %q", got)
	}
	errs.Reset()
	a.verbose = true
	a.serverLogger().Debug("loud")
	if got := errs.String(); !strings.Contains(got, "loud") {
		t.Errorf("verbose: got %q", got)
	}
}
