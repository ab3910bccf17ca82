package relay

import (
	"maps"
	"sync/atomic"
)

// tableShards keeps one shard of 50 000 sessions at 50: a change copies one.
const tableShards = 1024

// A table finds sessions without a lock. Changes are made under the caller's
// mutex: each replaces a shard's map by a changed copy.
type table struct {
	shards [tableShards]atomic.Pointer[map[uint64]*session]
}

func (t *table) shard(id uint64) *atomic.Pointer[map[uint64]*session] {
	return &t.shards[id%tableShards]
}

func (t *table) get(id uint64) *session {
	m := t.shard(id).Load()
	if m == nil {
		return nil
	}
	return (*m)[id]
}

func (t *table) put(s *session) {
	m := map[uint64]*session{}
	if old := t.shard(s.id).Load(); old != nil {
		m = maps.Clone(*old)
	}
	m[s.id] = s
	t.shard(s.id).Store(&m)
}

func (t *table) remove(s *session) {
	old := t.shard(s.id).Load()
	if old == nil || (*old)[s.id] != s {
		return
	}
	m := maps.Clone(*old)
	delete(m, s.id)
	t.shard(s.id).Store(&m)
}
