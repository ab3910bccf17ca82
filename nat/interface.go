package nat

import (
	"slices"
	"strings"
)

// InnerInterface knows the names that virtual machines, containers and private
// networks give their interfaces: they seldom lead to a peer.
func InnerInterface(name string) bool {
	return slices.ContainsFunc([]string{
		"docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "flannel", "cali", "lxc", "lxd", "podman", "tun", "tap", "wg", "zt", "tailscale", "utun",
	}, func(p string) bool { return strings.HasPrefix(name, p) })
}
