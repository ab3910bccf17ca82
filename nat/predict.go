package nat

// maxStep bounds what counts as a system in a NAT's choice of ports.
const maxStep = 1024

// PredictPorts returns the n ports that a NAT will choose next, if the ports
// that it chose for consecutive mappings, at least three, show one step; else
// nil. One mapping of somebody else in between is allowed for.
func PredictPorts(ports []uint16, n int) []uint16 {
	if len(ports) < 3 {
		return nil
	}
	step, equal := 0, 0
	for i := range ports[:len(ports)-1] {
		s := distance(ports[i], ports[i+1])
		if s == 257 && ports[i+1] < ports[i] {
			s = 256 // see after
		}
		if s == 0 || s > maxStep || s < -maxStep {
			return nil
		}
		if step == 0 || abs(s) < abs(step) {
			step, equal = s, 0
		}
		if s == step {
			equal++
		} else if s%step != 0 {
			return nil
		}
	}
	if equal < len(ports)-2 {
		return nil
	}
	next := make([]uint16, n)
	last := ports[len(ports)-1]
	for i := range next {
		last = after(last, step)
		next[i] = last
	}
	return next
}

// after returns the port a step on. A NAT that counts in the other byte order
// (as Linux's numgen does) carries into the low byte.
func after(p uint16, step int) uint16 {
	if next := int(p) + step; step == 256 && next > 0xffff {
		return uint16(next) + 1
	}
	return uint16(int(p) + step)
}

// distance is the shortest way from a to b around the range of ports.
func distance(a, b uint16) int { return int(int16(b - a)) }

func abs(x int) int { return max(x, -x) }
