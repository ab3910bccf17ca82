// Package identity holds long-term keys and what is signed with them: peer and
// server names, identity records with their order, rotation and recovery,
// invites, verification words, and secrets sealed under a passphrase
// (docs/spec/20-identity.md). It does no I/O and reads no clock.
package identity
