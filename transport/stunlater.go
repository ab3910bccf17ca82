package transport

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sremp/sremp/nat"
)

// answerSTUN answers a binding request, at once or when it asks for it.
func (e *Endpoint) answerSTUN(from netip.AddrPort, request []byte) {
	switch d, ok := nat.STUNDelay(request); {
	case !ok:
		return
	case d > 0:
		if !e.later.take(from.Addr()) {
			return
		}
		request = slices.Clone(request)
		time.AfterFunc(d, func() {
			e.later.give(from.Addr())
			if e.ctx.Err() == nil {
				e.replySTUN(from, request)
			}
		})
		return
	}
	e.replySTUN(from, request)
}

// Answers that wait, in all and for one address (spec §5.21.2).
const (
	maxLater     = 4096
	maxLaterAddr = 16
)

// A laterTable counts the answers that wait.
type laterTable struct {
	mu  sync.Mutex
	all int
	by  map[netip.Addr]int
}

func (t *laterTable) take(a netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all >= maxLater || t.by[a] >= maxLaterAddr {
		return false
	}
	if t.by == nil {
		t.by = make(map[netip.Addr]int)
	}
	t.all++
	t.by[a]++
	return true
}

func (t *laterTable) give(a netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all--
	if t.by[a]--; t.by[a] == 0 {
		delete(t.by, a)
	}
}
