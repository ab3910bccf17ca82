// Package portmap asks the gateway of this machine's default route to forward a
// UDP port to it (docs/spec/56-portmap.md): by PCP (RFC 6887), else NAT-PMP (RFC
// 6886), else UPnP-IGD 1 or 2.
//
// A [Mapper] works in the background: nobody waits for it. It talks to that one
// gateway and to nobody else, whatever answers say; what it got is a candidate
// like any other, which probes must prove.
package portmap
