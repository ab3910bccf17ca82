package nat

import "testing"

func TestInnerInterface(t *testing.T) {
	for name, want := range map[string]bool{
		"docker0": true, "br-3f1": true, "veth12": true, "wg0": true, "tun0": true,
		"eth0": false, "enp3s0": false, "wlan0": false, "lo": false, "bond0": false, "wwan0": false, "en0": false,
	} {
		if got := InnerInterface(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
