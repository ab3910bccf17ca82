// Package relay keeps mail for owners who are away and forwards packets between
// peers that have no direct path (docs/spec/60-relay.md). It sees sealed blobs
// and QUIC packets, and knows neither who an owner is nor who sends.
//
// There are three parts. Decisions are made by pure code: [Limits.Admit] for
// deliveries, the switchboard for packets. [Server] is the shell around it and
// a [Store]. [Client] is the owner's side and [Sender] the anonymous one; each
// of their requests is one stream with one frame each way.
package relay
