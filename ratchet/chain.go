package ratchet

import "sort"

// Limits of one session (spec §4.3.3).
const (
	MaxSkip       = 1000  // stored keys of a chain
	MaxSkipTotal  = 2000  // stored keys of a session
	MaxJump       = 25000 // messages that one message may be ahead of its chain
	MaxOldChains  = 64    // older chains with stored keys, each costs a trial
	maxChainCount = 1<<32 - 1
)

// A skippedKey is the key of a message that has not come.
type skippedKey struct {
	key [32]byte
	n   uint32
}

// A chain is a receiving chain's header key and the keys of its messages that
// have not come, ascending by number.
type chain struct {
	header headerKey
	keys   []skippedKey
	lost   uint32 // keys of messages below it may have been evicted
}

// find returns the index of the key of message n.
func (c *chain) find(n uint32) (int, bool) {
	i := sort.Search(len(c.keys), func(i int) bool { return c.keys[i].n >= n })
	return i, i < len(c.keys) && c.keys[i].n == n
}

// missing is the error for a message of the past whose key is not there.
func (c *chain) missing(n uint32) error {
	if n < c.lost {
		return ErrDecrypt
	}
	return ErrDuplicate
}

// remove erases the i-th key, moving the shorter side.
func (c *chain) remove(i int) {
	if i < len(c.keys)/2 {
		copy(c.keys[1:], c.keys[:i])
		c.keys[0] = skippedKey{}
		c.keys = c.keys[1:]
		return
	}
	copy(c.keys[i:], c.keys[i+1:])
	c.keys[len(c.keys)-1] = skippedKey{}
	c.keys = c.keys[:len(c.keys)-1]
}

// evict erases the oldest n keys.
func (c *chain) evict(n int) {
	if n <= 0 {
		return
	}
	c.lost = c.keys[n-1].n + 1
	clear(c.keys[:n])
	c.keys = c.keys[n:]
}

// trim evicts until the limits hold, the oldest chain's first.
func (s *session) trim() {
	s.recv.evict(len(s.recv.keys) - MaxSkip)
	total := len(s.recv.keys)
	for _, c := range s.old {
		c.evict(len(c.keys) - MaxSkip)
		total += len(c.keys)
	}
	for len(s.old) > 0 && (total > MaxSkipTotal || len(s.old) > MaxOldChains) {
		c := s.old[0]
		n := len(c.keys)
		if len(s.old) <= MaxOldChains {
			n = min(n, total-MaxSkipTotal)
		}
		c.evict(n)
		total -= n
		if len(c.keys) > 0 {
			break
		}
		s.dropOld(0)
	}
}

func (s *session) dropOld(i int) {
	copy(s.old[i:], s.old[i+1:])
	s.old[len(s.old)-1] = nil
	s.old = s.old[:len(s.old)-1]
}

// advance steps the chain key from message number from to number to and appends
// the keys between to fresh, the last MaxSkip of them. It returns the number
// below which keys were left out.
func advance(ck *[32]byte, from, to uint32, fresh []skippedKey) (_ []skippedKey, lost uint32, err error) {
	if to < from || to-from > MaxJump {
		return fresh, 0, ErrDecrypt
	}
	for n := from; n < to; n++ {
		next, mk := kdfChain(ck)
		*ck = next
		if to-n <= MaxSkip {
			fresh = append(fresh, skippedKey{mk, n})
		} else {
			lost = n + 1
		}
	}
	return fresh, lost, nil
}
