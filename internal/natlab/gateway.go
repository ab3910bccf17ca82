//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// MapProtocols are those by which a router's hosts may ask for ports.
type MapProtocols struct {
	PMP  bool // PCP and NAT-PMP, which the daemon does not tell apart
	UPnP bool
	IGD1 bool // UPnP describes itself as version 1
}

// gatewayDaemon is Debian's miniupnpd-nftables, in the PATH of root.
const gatewayDaemon = "/usr/sbin/miniupnpd"

// HasGateway reports whether routers can map ports here.
func HasGateway() bool {
	_, err := exec.LookPath(gatewayDaemon)
	return err == nil
}

// MapPorts has miniupnpd map ports of the router for its hosts, until stop is
// called or the world ends. It may be called again after stop: a router that has
// restarted, and knows nothing of its mappings.
func (r *Router) MapPorts(p MapProtocols) (stop func() error, err error) {
	if !HasGateway() {
		return nil, errors.New("natlab: no miniupnpd; install miniupnpd-nftables")
	}
	err = r.Do(func() error {
		return nft(`table inet filter {
	chain mapped { }
}
table inet mapping {
	chain before { type nat hook prerouting priority -110; policy accept; jump mapped_before; }
	chain after { type nat hook postrouting priority 90; policy accept; jump mapped_after; }
	chain mapped_before { }
	chain mapped_after { }
}
flush chain inet filter mapped
flush chain inet mapping mapped_before
flush chain inet mapping mapped_after
`)
	})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sremp-gateway-")
	if err != nil {
		return nil, err
	}
	yes := map[bool]string{true: "yes", false: "no"}
	conf := fmt.Sprintf(`ext_ifname=wan
ext_ip=%s
listening_ip=lan
enable_natpmp=%s
enable_upnp=%s
force_igd_desc_v1=%s
secure_mode=yes
uuid=00000000-0000-0000-0000-0000000000%02x
upnp_table_name=filter
upnp_nat_table_name=mapping
upnp_forward_chain=mapped
upnp_nat_chain=mapped_before
upnp_nat_postrouting_chain=mapped_after
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`, r.Addr, yes[p.PMP], yes[p.UPnP], yes[p.IGD1], r.n)
	defer os.RemoveAll(dir) // it is read at the start only
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	var out strings.Builder
	cmd := exec.Command(gatewayDaemon, "-d", "-f", file, "-P", filepath.Join(dir, "pid"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := r.Start(cmd); err != nil {
		return nil, fmt.Errorf("starting miniupnpd: %w", err)
	}
	stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGKILL) // as a power cut does
		err := cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil
		}
		return err
	}
	if err := r.serving(p); err != nil {
		_ = stop()
		return nil, fmt.Errorf("%w: %s", err, out.String())
	}
	return stop, nil
}

// serving waits until the daemon listens.
func (r *Router) serving(p MapProtocols) error {
	port := ":14E7" // 5351
	if !p.PMP {
		port = ":076C" // 1900
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var table []byte
		if err := r.Do(func() (err error) {
			table, err = os.ReadFile("/proc/thread-self/net/udp")
			return err
		}); err != nil {
			return err
		}
		if strings.Contains(string(table), port) {
			return nil
		}
	}
	return errors.New("natlab: miniupnpd does not serve")
}
