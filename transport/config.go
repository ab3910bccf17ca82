package transport

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/nat"
	"github.com/sremp/sremp/wire"
)

// A Config describes an [Endpoint]. PacketConn is required.
type Config struct {
	// PacketConn is owned by the endpoint from New on. A *net.UDPConn keeps
	// batches, GSO, GRO and ECN alive; any other one works without them.
	PacketConn net.PacketConn
	// Identity answers and dials peers. nil: this endpoint has no peers.
	Identity *identity.Local
	// ServerKey proves the server whose Services are offered.
	ServerKey *identity.ServerKey
	// Services are the handlers of inbound server connections by ALPN, each on
	// its own goroutine. The connection closes when the handler returns; ctx
	// ends when the connection or the endpoint does.
	Services map[string]func(ctx context.Context, c *Conn)
	// Forward gets relay framing that is not of a leg of ours. It is called on
	// the read loop: it must not block nor keep packet.
	Forward func(from netip.AddrPort, packet []byte)
	// STUN makes the endpoint answer binding requests (RFC 8489).
	STUN bool
	// ValidateAddresses makes everybody who dials prove his address first (RFC
	// 9000, section 8.1.2), for one more round trip: nobody whose address was
	// forged gets more bytes than were sent in his name. Without it that holds
	// when many connections are half open; below, QUIC's factor of three.
	ValidateAddresses bool
	// AddressProven reports whether who comes from an address has proven to receive
	// there before, as by TCP. nil: nobody has.
	AddressProven func(netip.Addr) bool
	// Known returns the record of a contact, nil if unknown; with it the
	// handshake is Noise IK, without it XX.
	Known func(identity.PeerID) *identity.Record
	// Allow is asked about every inbound peer after it is authenticated and
	// before it gets a stream; an error closes the connection with ErrRefused at
	// the other end. nil allows everybody.
	Allow func(*identity.Record) error
	// NetworkChanged is called, on a goroutine of the endpoint's, after addresses
	// or routes of this machine have changed, or the socket was replaced, maybe by
	// one on another port. It must not block for long.
	NetworkChanged func()
	// ListenPacket opens a further socket, on the network of PacketConn and a port
	// of its own, for searches that need many. nil: one like PacketConn.
	ListenPacket func() (net.PacketConn, error)
	// Reopen opens a socket in the place of PacketConn when that has broken, or is of
	// no use any more (spec §5.1.4): at the same address, any port if that is 0.
	// nil: as PacketConn was if it is a *net.UDPConn; others are not replaced.
	Reopen func(at netip.AddrPort) (net.PacketConn, error)
	// Tunnel opens a way to a server's UDP port that takes no UDP from here. It is
	// used while the server does not answer by UDP (spec §5.8). nil: there is none.
	// What is written to the result goes to addr, and what is read came from there.
	Tunnel func(ctx context.Context, server identity.ServerAddr, addr netip.AddrPort) (net.PacketConn, error)
	// RouteChanged is called when a tunnel to a server is taken, or left. It must
	// not block.
	RouteChanged func(server identity.ServerAddr, tunnelled bool)
	// Logger may be nil.
	Logger *slog.Logger
}

// An Attempt describes how to reach one peer (spec §5.4).
type Attempt struct {
	Peer   identity.PeerID
	Record *identity.Record // nil at first contact: the handshake is XX
	// ProbeKey is known to the two peers only and seals the path probes. Zero:
	// no probes before the peers are connected.
	ProbeKey [32]byte
	Remote   []nat.Candidate // the peer's, from an authenticated source
	Relay    *Leg            // nil if there is none
	// Answering is the side that was asked, and has called [Endpoint.Open]
	// before it said yes.
	Answering bool
	// Later, if not nil, delivers at most once what was not known when the attempt
	// began; closing it says no more.
	Later <-chan Answer
	// Waiting is the side that asks, before its offer leaves: it has called Open for
	// Remote, where it last knew the peer, and keeps still until the peer is heard
	// there, or Later delivers, or ToldAfter has passed. Nothing of Remote need be true.
	Waiting bool
	// ToldAfter is a round trip to the rendezvous: what goes to the peer directly so
	// much later arrives after what went through the rendezvous, as three sides of a
	// triangle have it. 0: not known.
	ToldAfter time.Duration
	// Attested are addresses of Remote at which a server in use saw the peer
	// within the last minute. They may get more probes than others.
	Attested []netip.Addr
	// RelayOnly keeps every address of ours from the peer: no candidates, no
	// probes, no answer to any.
	RelayOnly bool
	// Early, if not nil, is called on the dialling side once, when a peer that is
	// known may get ratchet messages although it has not proven itself yet (spec
	// §5.2.5): a round trip before Connect returns. What it returns, at most
	// [MaxEarly] bytes, leaves on [PeerConn.EarlyStream]. Whoever stole our own
	// Noise key may be the one who gets it, so it must be nothing but what only
	// holders of the peer's own keys can read. It must not block for long.
	Early func() []byte
}

// An Answer is what was learned of a peer after an attempt at it began.
type Answer struct {
	Remote   []nat.Candidate
	Relay    *Leg // nil if there is none
	Attested []netip.Addr
}

// MaxEarly is how much may be sent before the peer has proven itself: half the
// first flow control window.
const MaxEarly = 64 << 10

// A Leg is one side's half of a relay's forwarding session (spec §6.6).
type Leg struct {
	Server  netip.AddrPort
	Session uint64
	Side    uint8    // 0: opened the session, 1: joined it
	Key     [16]byte // of this side and the relay
	// Grant is what a relay that has restarted takes the session up with.
	Grant [wire.ForwardGrantLen]byte
}

// Constants of the protocol (spec §5.2, §5.3).
const (
	alpnIK = "sremp-ik/1"
	alpnXX = "sremp-xx/1"

	version = 1

	exporterHandshake = "EXPORTER SREMP v1 handshake"
	exporterBinding   = "EXPORTER SREMP v1 binding"
)

// Codes of QUIC's application close (spec §5.3.3). Codes from 0x100 on
// are the caller's of Conn.Close.
const (
	codeClosed      = 0
	codeNeedXX      = 1
	codeHandshake   = 2
	codeRefused     = 3
	codeTimeout     = 4
	codeProtocol    = 5
	codeSuperseded  = 6
	codeUnavailable = 7
	codeLost        = 8 // nothing of the other side came any more
	codeLeftBehind  = 9 // the identity is on another device now
)

// Tuning.
const (
	// handshakeTimeout bounds QUIC's handshake and then each whole Noise
	// handshake: a silent stranger is gone after it.
	handshakeTimeout = 5 * time.Second
	// idleTimeout ends a connection that says nothing at all: more than the
	// longest keep-alive. Who sends and gets no answer knows sooner (unanswered).
	idleTimeout = 180 * time.Second
	// Initial windows bound what a stranger makes us hold; QUIC raises them for
	// those who read and write.
	initialStreamWindow     = 128 << 10
	initialConnectionWindow = 256 << 10
	maxStreams              = 256
	connectionIDLen         = 8
	// maxHalfOpen bounds unauthenticated inbound connections; from retryAbove of
	// them on, newcomers must prove their address first (RFC 9000, section 8.1.2).
	maxHalfOpen = 512
	retryAbove  = 32
	// acceptQueue is how many authenticated peers may wait for Accept.
	acceptQueue = 16
	// maxReason bounds what of a close reason is sent.
	maxReason = 200
)
