// Package lan finds people on the local network by multicast DNS (RFC 6762, RFC
// 6763; docs/spec/57-lan.md), without any server:
//
//	announcement: PTR, SRV, TXT, A and AAAA of a random name in _sremp._udp.local
//	TXT:          a sealed body that only contacts recognise, or an open invite
//
// Announcements go to the multicast group alone, never to who asks. Everything
// that comes in is bounded, and nothing of it is believed but as its body proves.
package lan
