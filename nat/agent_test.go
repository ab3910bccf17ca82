package nat

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt; read the diff before committing it")

var t0 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestPunchGrid runs every pair of NATs (spec §5.22.5). The golden file is the
// documentation of what this protocol can and cannot traverse.
func TestPunchGrid(t *testing.T) {
	kinds := []string{"none", "full-cone", "addr-restricted", "port-restricted", "symmetric"}
	inside := map[bool][2]string{true: {"192.0.2.9:4000", "198.51.100.9:4000"}, false: {"10.0.1.2:4000", "10.0.2.2:4000"}}
	var got strings.Builder
	for i, a := range kinds {
		for _, b := range kinds[i:] {
			s := scenario{
				kinds: [2]string{a, b}, latency: 30 * time.Millisecond, reflex: true,
				inside: [2]string{inside[a == "none"][0], inside[b == "none"][1]},
			}
			fmt.Fprintf(&got, "-- %s / %s --\n%s", a, b, s.run())
		}
	}
	golden(t, "punch.txt", got.String())
}

// TestScenarios runs what happens besides plain simultaneous open.
func TestScenarios(t *testing.T) {
	port := [2]string{"port-restricted", "port-restricted"}
	homes := [2]string{"10.0.1.2:4000", "10.0.2.2:4000"}
	loss := rand.New(rand.NewPCG(1, 2))
	var got strings.Builder
	for _, tt := range []struct {
		name string
		s    scenario
	}{
		{"first four packets lost", scenario{kinds: port, inside: homes, reflex: true, lose: func(n int) bool { return n < 4 }}},
		{"one packet of three lost", scenario{kinds: port, inside: homes, reflex: true, lose: func(int) bool { return loss.IntN(3) == 0 }}},
		{"B starts 2.5 s late", scenario{kinds: port, inside: homes, reflex: true, late: 2500 * time.Millisecond}},
		{"B starts after A's schedule", scenario{kinds: port, inside: homes, reflex: true, late: time.Minute}},
		{"B does not exist", scenario{kinds: port, inside: homes, reflex: true, silent: true}},
		{"same network", scenario{kinds: port, inside: [2]string{"10.0.1.2:4000", "10.0.1.3:4000"}, reflex: true, lan: true}},
		{"one machine", scenario{kinds: port, inside: [2]string{"127.0.0.1:4000", "127.0.0.1:4001"}, lan: true}},
	} {
		tt.s.latency = 30 * time.Millisecond
		fmt.Fprintf(&got, "-- %s --\n%s", tt.name, tt.s.run())
	}
	golden(t, "scenarios.txt", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("trace differs from %s:\n%s", file, got)
	}
}

var (
	addrA = netip.MustParseAddrPort("192.0.2.9:4000")
	addrB = netip.MustParseAddrPort("198.51.100.9:4000")
	addrX = netip.MustParseAddrPort("203.0.113.66:666")
)

// pair returns two agents of one search; only A knows the other's address.
func pair() (a, b *Agent) {
	a = NewAgent(t0, AgentConfig{Key: [32]byte{1}, Controlling: true, Remote: []Candidate{{Addr: addrB, Kind: Host}}})
	b = NewAgent(t0, AgentConfig{Key: [32]byte{1}})
	return a, b
}

func drain(a *Agent) (out []Transmit) {
	for t, ok := a.PollTransmit(); ok; t, ok = a.PollTransmit() {
		out = append(out, t)
	}
	return out
}

// firstPing returns the first ping of a.
func firstPing(t *testing.T, a *Agent) []byte {
	t.Helper()
	a.HandleTimeout(t0)
	out := drain(a)
	if len(out) != 1 || !IsProbe(out[0].Payload) || IsSTUN(out[0].Payload) {
		t.Fatalf("got %d packets, want one probe", len(out))
	}
	return out[0].Payload
}

// A probe that was not sealed with our key must change nothing.
func TestForgedProbe(t *testing.T) {
	a, _ := pair()
	stranger := NewAgent(t0, AgentConfig{Key: [32]byte{2}, Remote: []Candidate{{Addr: addrA, Kind: Host}}})
	if a.HandlePacket(t0, addrB, firstPing(t, stranger)) {
		t.Error("a stranger's ping was accepted")
	}
	ping := firstPing(t, a)
	if out := drain(a); len(out) != 0 {
		t.Errorf("got %d packets after a forged ping, want 0", len(out))
	}
	for i := range ping {
		bad := append([]byte(nil), ping...)
		bad[i] ^= 1
		if _, b := pair(); b.HandlePacket(t0, addrA, bad) {
			t.Errorf("a ping with byte %d changed was accepted", i)
		}
	}
	for n := range ping {
		if _, b := pair(); b.HandlePacket(t0, addrA, ping[:n]) {
			t.Errorf("the first %d bytes of a ping were accepted", n)
		}
	}
}

// A ping that comes back to its sender must not be taken for the peer's.
func TestReflectedProbe(t *testing.T) {
	a, _ := pair()
	if a.HandlePacket(t0, addrB, firstPing(t, a)) {
		t.Error("own ping accepted")
	}
}

// A pong proves the path only from where the ping went, and only once.
func TestPongFromElsewhere(t *testing.T) {
	a, b := pair()
	if !b.HandlePacket(t0, addrA, firstPing(t, a)) {
		t.Fatal("ping refused")
	}
	pong := drain(b)[0]
	if pong.To != addrA {
		t.Fatalf("pong to %v, want %v", pong.To, addrA)
	}
	a.HandlePacket(t0, addrX, pong.Payload)
	if addr, _, ok := a.Validated(); ok {
		t.Fatalf("validated %v by a pong from elsewhere", addr)
	}
	a.HandlePacket(t0.Add(40*time.Millisecond), addrB, pong.Payload)
	if addr, rtt, ok := a.Validated(); !ok || addr != addrB || rtt != 40*time.Millisecond {
		t.Errorf("got %v %v %v, want %v 40ms true", addr, rtt, ok, addrB)
	}
	if got := a.Observed(); got != addrA {
		t.Errorf("observed %v, want %v", got, addrA)
	}
	a.HandlePacket(t0.Add(time.Millisecond), addrB, pong.Payload)
	if _, rtt, _ := a.Validated(); rtt != 40*time.Millisecond {
		t.Errorf("a repeated pong changed the round trip to %v", rtt)
	}
}

// A copied ping from another address must not make us send there.
func TestReplayedPing(t *testing.T) {
	a, b := pair()
	ping := firstPing(t, a)
	b.HandlePacket(t0, addrA, ping)
	drain(b)
	b.HandlePacket(t0, addrX, ping)
	for range 100 {
		b.HandleTimeout(b.NextTimeout())
	}
	for _, x := range drain(b) {
		if x.To == addrX {
			t.Fatalf("a packet to %v after a replayed ping", x.To)
		}
	}
}

// A peer names a victim: at most 8 packets to a port and 64 to an address,
// then silence (spec §5.22.3).
func TestBudgets(t *testing.T) {
	var victims []Candidate
	for i := range 1000 {
		victims = append(victims, Candidate{Addr: netip.AddrPortFrom(addrX.Addr(), uint16(1000+i)), Kind: Host})
	}
	a := NewAgent(t0, AgentConfig{Key: [32]byte{1}, Remote: victims})
	for i := range 20 {
		a.AddRemote(t0.Add(time.Duration(i)*time.Millisecond), victims)
	}
	perPort, all := exhaust(t, a)
	if all != pingsPerAddr {
		t.Errorf("%d packets to one address, want %d", all, pingsPerAddr)
	}
	if len(perPort) != maxRemote {
		t.Errorf("%d candidates used, want %d", len(perPort), maxRemote)
	}
	for ap, n := range perPort {
		if n > pingsPerAddrPort {
			t.Errorf("%d packets to %v, want at most %d", n, ap, pingsPerAddrPort)
		}
	}
}

// exhaust runs a until it wants nothing any more, and counts what it sent.
func exhaust(t *testing.T, a *Agent) (perPort map[netip.AddrPort]int, all int) {
	t.Helper()
	perPort = map[netip.AddrPort]int{}
	for range 10000 {
		next := a.NextTimeout()
		if next.IsZero() {
			return perPort, all
		}
		a.HandleTimeout(next)
		for _, x := range drain(a) {
			perPort[x.To]++
			all++
		}
	}
	t.Fatal("the agent does not stop")
	return nil, 0
}

// The peer itself, or who has its key, makes us answer from many sources.
func TestPongBudget(t *testing.T) {
	_, b := pair()
	evil := probeSealerOfA()
	count := map[netip.AddrPort]int{}
	for i := range 3000 {
		from := netip.AddrPortFrom(addrX.Addr(), uint16(1+i%500))
		b.HandlePacket(t0, from, evil.seal(probe{kind: kindPing, tx: transaction{byte(i), byte(i >> 8)}}))
		for _, x := range drain(b) {
			count[x.To]++
		}
	}
	_, pings := exhaust(t, b)
	total := pings
	for ap, n := range count {
		total += n
		if n > pongsPerAddrPort+triggeredPings {
			t.Errorf("%d packets to %v", n, ap)
		}
	}
	if limit := pongsPerAddr + pingsPerAddr; total > limit {
		t.Errorf("%d packets to one address, want at most %d", total, limit)
	}
	for i := range 3000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), 9)
		b.HandlePacket(t0, from, evil.seal(probe{kind: kindPing, tx: transaction{byte(i), byte(i >> 8), 1}}))
	}
	if n := len(drain(b)); n > maxPongs {
		t.Errorf("%d pongs, want at most %d", n, maxPongs)
	}
	if n := len(b.remotes); n > maxPeerReflexive {
		t.Errorf("%d peer-reflexive candidates, want at most %d", n, maxPeerReflexive)
	}
}

func probeSealerOfA() probeSealer { return newProbeSealer([32]byte{1}, true) }

func TestJunkCandidates(t *testing.T) {
	var junk []Candidate
	for _, s := range []string{
		"0.0.0.0:1", "0.1.2.3:1", "224.0.0.1:1", "239.1.1.1:5", "240.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0",
		"[::]:1", "[ff02::1]:1", "[fe80::1]:1", "[::ffff:255.255.255.255]:1", "[::ffff:0.0.0.0]:1",
	} {
		junk = append(junk, Candidate{Addr: netip.MustParseAddrPort(s), Kind: Host})
	}
	a := NewAgent(t0, AgentConfig{Remote: append(junk, Candidate{})})
	if _, n := exhaust(t, a); n != 0 {
		t.Errorf("%d packets to junk, want 0", n)
	}
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.9]:4000")
	a.AddRemote(t0, []Candidate{{Addr: mapped, Kind: Host}, {Addr: addrA, Kind: ServerReflexive}})
	if len(a.remotes) != 1 || a.remotes[0].Addr != addrA {
		t.Errorf("got %d candidates, want %v once", len(a.remotes), addrA)
	}
}

// A better path replaces the first one; a worse one does not.
func TestBetterCandidateLater(t *testing.T) {
	slow, lan := addrB, netip.MustParseAddrPort("10.0.0.3:4000")
	a := NewAgent(t0, AgentConfig{
		Key: [32]byte{1}, Controlling: true, Local: []Candidate{{Addr: netip.MustParseAddrPort("10.0.0.2:4000"), Kind: Host}},
		Remote: []Candidate{{Addr: slow, Kind: ServerReflexive}, {Addr: lan, Kind: Host}},
	})
	peer := newProbeSealer([32]byte{1}, false)
	answer := func(now time.Time, to netip.AddrPort) {
		a.HandleTimeout(now)
		for _, x := range drain(a) {
			if p, ok := peer.open(x.Payload); ok && x.To == to && p.kind == kindPing {
				a.HandlePacket(now, to, peer.seal(probe{kind: kindPong, tx: p.tx, observed: addrA}))
			}
		}
	}
	answer(t0.Add(20*time.Millisecond), slow)
	if got, _, _ := a.Validated(); got != slow {
		t.Fatalf("validated %v, want %v", got, slow)
	}
	answer(t0.Add(500*time.Millisecond), lan)
	if got, _, _ := a.Validated(); got != lan {
		t.Errorf("validated %v, want the better %v", got, lan)
	}
	answer(t0.Add(time.Second), slow)
	if got, _, _ := a.Validated(); got != lan {
		t.Errorf("went back to %v", got)
	}
}

func TestHostCandidateOrder(t *testing.T) {
	var in []netip.Addr
	for _, s := range []string{"127.0.0.1", "192.168.1.5", "::1", "fe80::1%eth0", "2a0e::5", "169.254.3.3", "0.0.0.0", "192.168.1.5", "11.1.1.1"} {
		in = append(in, netip.MustParseAddr(s))
	}
	var got []string
	for _, c := range HostCandidates(in, 7) {
		got = append(got, c.Addr.String())
	}
	want := "[2a0e::5]:7 11.1.1.1:7 192.168.1.5:7 169.254.3.3:7 127.0.0.1:7 [::1]:7"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzHandlePacket(f *testing.F) {
	a, _ := pair()
	a.HandleTimeout(t0)
	f.Add(drain(a)[0].Payload)
	f.Add([]byte{probeType})
	f.Fuzz(func(t *testing.T, b []byte) {
		a := NewAgent(t0, AgentConfig{Key: [32]byte{9}})
		if a.HandlePacket(t0, addrB, b) {
			t.Errorf("unauthenticated packet %x accepted", b)
		}
	})
}

// A side that waits sends nothing until the other is heard or it is told to begin
// (spec §5.22.6); then it probes all it knows.
func TestWaiting(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	key := [32]byte{5}
	known := Candidate{Addr: netip.MustParseAddrPort("11.0.0.2:7"), Kind: ServerReflexive}
	more := Candidate{Addr: netip.MustParseAddrPort("11.0.0.3:8"), Kind: ServerReflexive}
	waiting := func() *Agent {
		return NewAgent(now, AgentConfig{Key: key, Controlling: true, Waiting: true, Remote: []Candidate{known}})
	}
	drain := func(a *Agent) (to []netip.AddrPort, last []byte) {
		for x, ok := a.PollTransmit(); ok; x, ok = a.PollTransmit() {
			to, last = append(to, x.To), x.Payload
		}
		return to, last
	}

	a := waiting()
	if next := a.NextTimeout(); !next.IsZero() {
		t.Errorf("it wants to send at %v", next)
	}
	a.HandleTimeout(now.Add(time.Minute))
	if to, _ := drain(a); to != nil {
		t.Errorf("it sends to %v although nobody was told", to)
	}

	// The other side is heard: an answer, and a probe that is repeated if it is lost.
	b := NewAgent(now, AgentConfig{Key: key, Remote: []Candidate{{Addr: netip.MustParseAddrPort("11.0.0.1:6"), Kind: ServerReflexive}}})
	b.HandleTimeout(now)
	_, ping := drain(b)
	if !a.HandlePacket(now, known.Addr, ping) {
		t.Fatal("a ping was not taken")
	}
	if to, _ := drain(a); len(to) != 2 || to[0] != known.Addr || to[1] != known.Addr {
		t.Errorf("it sends to %v, want a pong and a ping to %v", to, known.Addr)
	}
	if addr, ok := a.Heard(); !ok || addr != known.Addr {
		t.Errorf("heard %v, %v, want %v", addr, ok, known.Addr)
	}
	a.HandleTimeout(now.Add(retransmits[0]))
	if to, _ := drain(a); len(to) != 1 {
		t.Errorf("then to %v, want one probe more", to)
	}

	// Or the answer comes.
	a = waiting()
	a.Begin(now, []Candidate{more}, nil)
	a.HandleTimeout(now.Add(2 * pacing))
	if to, _ := drain(a); len(to) != 2 {
		t.Errorf("after the answer it sends to %v, want both addresses", to)
	}
}

// Spec §5.22.2: who lets the other side's probes come first, and until when.
func TestWhoWaits(t *testing.T) {
	remote := []Candidate{{Addr: netip.MustParseAddrPort("203.0.113.7:7000"), Kind: ServerReflexive}}
	local := func(kinds ...CandidateKind) (cs []Candidate) {
		for i, k := range kinds {
			cs = append(cs, Candidate{Addr: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(1000+i)), Kind: k})
		}
		return cs
	}
	for _, test := range []struct {
		local     []Candidate
		answering bool
		waits     bool
	}{
		{local(ServerReflexive), false, false},
		{local(ServerReflexive), true, true},
		{local(Predicted, Predicted), false, false},
		{local(Predicted, Predicted), true, true},
		{local(Random), true, false},
		{local(Mapped, Random), true, true},
		{local(Mapped, Random), false, true},
		{local(Mapped, ServerReflexive), false, false},
	} {
		now := time.Unix(1_800_000_000, 0)
		a := NewAgent(now, AgentConfig{Key: [32]byte{1}, Answering: test.answering, Local: test.local, Remote: remote})
		a.HandleTimeout(now)
		if _, sent := a.PollTransmit(); sent == test.waits {
			t.Errorf("local %v, answering %v: probes at once: %v, want %v", test.local, test.answering, sent, !test.waits)
		}
		if a.HandleTimeout(now.Add(answerWait)); test.waits {
			if _, sent := a.PollTransmit(); !sent {
				t.Errorf("local %v, answering %v: no probe after %v", test.local, test.answering, answerWait)
			}
		}
	}
}
