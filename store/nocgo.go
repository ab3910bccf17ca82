//go:build !cgo

package store

// The driver builds without cgo and fails only when a database is opened. This
// stops the build instead, with a name that says what to do.
var _ = SREMP_needs_cgo__install_a_C_compiler_and_build_with_CGO_ENABLED_1
