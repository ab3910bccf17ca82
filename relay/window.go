package relay

import "sync/atomic"

// windowWords less one, times 32, is how far behind the largest counter a packet
// may come: 2016 (spec §6.6.2).
const windowWords = 64

// A window accepts each counter once. It is a ring of words, each of which holds
// the number of a block of 32 counters above and one bit for each of them below,
// so that readers on several cores need no lock: one compare-and-swap decides.
type window struct {
	floor   uint64 // constant: counters up to here are old, if hasFloor
	used    bool   // constant: floor counts
	largest atomic.Uint64
	words   [windowWords]atomic.Uint64
}

// accept reports whether counter has not been accepted before. It is called
// after the MAC was verified, else strangers could move the window.
func (w *window) accept(counter uint64) bool {
	if w.used && counter <= w.floor || w.largest.Load() >= counter+32*(windowWords-1) {
		return false
	}
	block := counter / 32
	bit := uint64(1) << (counter % 32)
	word := &w.words[block%windowWords]
	for {
		v := word.Load()
		fresh := block<<32 | bit
		if behind := int32(uint32(block) - uint32(v>>32)); behind < 0 {
			return false // overwritten by a newer block
		} else if behind == 0 {
			if v&bit != 0 {
				return false
			}
			fresh = v | bit
		}
		if word.CompareAndSwap(v, fresh) {
			break
		}
	}
	for {
		l := w.largest.Load()
		if counter <= l || w.largest.CompareAndSwap(l, counter) {
			return true
		}
	}
}
