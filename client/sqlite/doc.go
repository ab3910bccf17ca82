// Package sqlite implements [client.Store] with SQLite (docs/spec/80-client.md,
// section 8.7). Bodies arrive sealed: nothing of what people write, or of whom
// they write to, is ever in the file.
package sqlite
