// Package client is the headless messenger: contacts, sessions, outbox and
// history behind typed commands ([API]) and typed events ([Event]). It knows no
// toolkit and has no globals (docs/spec/80-client.md).
package client
