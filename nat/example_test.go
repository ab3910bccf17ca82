package nat_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sremp/sremp/nat"
)

// Two agents find the way to each other. They are state machines: here a loop
// carries their packets, in package transport a socket does.
func Example() {
	addrs := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("198.51.100.1:2000")}
	candidates := make([][]nat.Candidate, 2)
	for i, a := range addrs {
		candidates[i] = nat.HostCandidates([]netip.Addr{a.Addr()}, a.Port())
	}
	now := time.Unix(1800000000, 0)
	key := [32]byte{1} // known to these two alone
	agents := []*nat.Agent{
		nat.NewAgent(now, nat.AgentConfig{Key: key, Controlling: true, Local: candidates[0], Remote: candidates[1]}),
		nat.NewAgent(now, nat.AgentConfig{Key: key, Local: candidates[1], Remote: candidates[0]}),
	}
	for step := 0; step < 100; step++ {
		for i, a := range agents {
			a.HandleTimeout(now)
			for p, ok := a.PollTransmit(); ok; p, ok = a.PollTransmit() {
				agents[1-i].HandlePacket(now, addrs[i], p.Payload)
			}
		}
		now = now.Add(10 * time.Millisecond)
	}
	for _, a := range agents {
		addr, _, ok := a.Validated()
		fmt.Println(addr, ok)
	}
	// Output:
	// 198.51.100.1:2000 true
	// 192.0.2.1:1000 true
}

// A STUN server tells who asks by which address it is seen.
func ExampleSTUNReply() {
	id, request := nat.STUNRequest()
	reply := nat.STUNReply(request, netip.MustParseAddrPort("203.0.113.9:40000"))
	got, mapped, err := nat.ParseSTUNResponse(reply)
	fmt.Println(got == id, mapped, err)
	// Output: true 203.0.113.9:40000 <nil>
}
