// Package identity holds long-term keys and what is signed with them: peer and
// server names, identity records, invites, verification words
// (docs/spec/20-identity.md). It does no I/O and reads no clock.
package identity
