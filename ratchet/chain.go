package ratchet

import (
	"slices"
	"sort"
)

// Limits of one session (spec §4.3.3).
const (
	MaxSkip       = 1000  // stored keys of a chain
	MaxSkipTotal  = 2000  // stored keys of a session
	MaxJump       = 25000 // messages that one message may be ahead of its chain
	MaxOldChains  = 64    // older chains with stored keys, each costs a trial
	maxChainCount = 1<<32 - 1
)

// A keyring holds the keys of messages that have not come, flat: the numbers,
// ascending, beside the keys. A key that was used is erased where it stands and
// its place freed later, so that a late message costs the same among 1000 keys
// as alone. 36 bytes a key, and what the allocator rounds up.
type keyring struct {
	nums []uint32
	keys [][32]byte // all zero: used
	live int        // keys that are not used
}

// makeKeyring returns an empty one with room for n keys.
func makeKeyring(n int) keyring {
	return keyring{nums: make([]uint32, 0, n), keys: make([][32]byte, 0, n)}
}

func (r *keyring) add(n uint32, key *[32]byte) {
	r.nums = append(r.nums, n)
	r.keys = append(r.keys, *key)
	r.live++
}

// find returns the place of message n's key.
func (r *keyring) find(n uint32) (int, bool) {
	if len(r.nums) == 0 || n < r.nums[0] {
		return 0, false
	}
	// Numbers mostly stand without gaps.
	i := int(n - r.nums[0])
	if i >= len(r.nums) || r.nums[i] != n {
		i = sort.Search(len(r.nums), func(i int) bool { return r.nums[i] >= n })
		if i == len(r.nums) || r.nums[i] != n {
			return 0, false
		}
	}
	return i, r.keys[i] != [32]byte{}
}

// remove erases the key at place i.
func (r *keyring) remove(i int) {
	r.keys[i] = [32]byte{}
	r.live--
	if r.live == 0 {
		*r = keyring{}
	} else if len(r.keys) >= 32 && r.live < len(r.keys)/2 {
		r.compact(0)
	}
}

// compact frees the places of used keys and makes room for n more.
func (r *keyring) compact(n int) {
	next := makeKeyring(r.live + n)
	for i := range r.each() {
		next.add(r.nums[i], &r.keys[i])
	}
	r.wipe()
	*r = next
}

// each yields the places of the keys that are not used, oldest first.
func (r *keyring) each() func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range r.keys {
			if r.keys[i] != [32]byte{} && !yield(i) {
				return
			}
		}
	}
}

// join adds newer keys, whose memory becomes r's.
func (r *keyring) join(fresh keyring) {
	if r.live == 0 {
		*r = fresh
		return
	}
	if cap(r.nums)-len(r.nums) < len(fresh.nums) || cap(r.keys)-len(r.keys) < len(fresh.keys) {
		// A little more than is needed, where messages get lost one by one.
		r.compact(len(fresh.nums) + 4 + r.live/32)
	}
	r.nums = append(r.nums, fresh.nums...)
	r.keys = append(r.keys, fresh.keys...)
	r.live += fresh.live
	fresh.wipe()
}

// evict erases the oldest n keys and returns the number after the last of them.
func (r *keyring) evict(n int) (after uint32) {
	places := 0
	for i := range r.each() {
		if n == 0 {
			break
		}
		n--
		r.live--
		after, places = r.nums[i]+1, i+1
	}
	clear(r.keys[:places])
	r.nums, r.keys = r.nums[places:], r.keys[places:]
	return after
}

func (r *keyring) wipe() { clear(r.keys) }

// A chain is a receiving chain's header key and the keys of its messages that
// have not come.
type chain struct {
	header headerKey
	keyring
	lost uint32 // keys of messages below it may have been evicted
}

// missing is the error for a message of the past whose key is not there.
func (c *chain) missing(n uint32) error {
	if n < c.lost {
		return ErrDecrypt
	}
	return ErrDuplicate
}

// evict erases the oldest n keys.
func (c *chain) evict(n int) {
	if n > 0 {
		c.lost = c.keyring.evict(n)
	}
}

// keep adds newer keys; lost is the number below which some were left out, or 0.
func (c *chain) keep(fresh keyring, lost uint32) {
	if lost > 0 {
		// What is left out is newer than all that is stored.
		c.evict(c.live)
		c.lost = lost
	}
	if fresh.live > 0 {
		c.join(fresh)
	}
}

// trim evicts until the limits hold, the oldest chain's first.
func (s *session) trim() {
	s.recv.evict(s.recv.live - MaxSkip)
	total := s.recv.live
	for _, c := range s.old {
		c.evict(c.live - MaxSkip)
		total += c.live
	}
	for len(s.old) > 0 && (total > MaxSkipTotal || len(s.old) > MaxOldChains) {
		c := s.old[0]
		n := c.live
		if len(s.old) <= MaxOldChains {
			n = min(n, total-MaxSkipTotal)
		}
		c.evict(n)
		total -= n
		if c.live > 0 {
			break
		}
		s.dropOld(0)
	}
}

func (s *session) dropOld(i int) {
	s.old[i].header.key = [32]byte{}
	s.old = slices.Delete(s.old, i, i+1)
}

// advance steps the chain key from message number from to number to and returns
// the keys between, the last MaxSkip of them, and the number below which keys
// were left out. The chain key is changed in any case.
func advance(ck *[32]byte, from, to uint32) (fresh keyring, lost uint32, err error) {
	if to < from || to-from > MaxJump {
		return keyring{}, 0, ErrDecrypt
	}
	if to == from {
		return keyring{}, 0, nil
	}
	fresh = makeKeyring(int(min(to-from, MaxSkip)))
	for n := from; n < to; n++ {
		next, mk := kdfChain(ck)
		*ck = next
		if to-n <= MaxSkip {
			fresh.add(n, &mk)
		} else {
			lost = n + 1
		}
	}
	return fresh, lost, nil
}
