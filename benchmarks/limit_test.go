package benchmarks

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// The limits are maps whose entries expire, and nothing else: no bound, no policy,
// nobody removes what has expired.

// expiring is what the limits store.
type expiring struct {
	value   *record
	expires int64 // on the clock that now reads
}

// clock is where now counts from: a reading without the wall's time is cheaper.
var clock = time.Now() // the same for all

func now() int64 { return int64(time.Since(clock)) }

func expiringOf(r *record) expiring { return expiring{r, now() + int64(ttl)} }

func (e expiring) get(ok bool) (*record, bool) {
	if !ok || e.expires < now() {
		return nil, false
	}
	return e.value, true
}

type xsyncMap struct {
	entries *xsync.Map[string, expiring]
}

func openXsync(_ *testing.B, _ int) plain { return xsyncMap{xsync.NewMap[string, expiring]()} }

func (m xsyncMap) get(key string) (*record, bool) {
	e, ok := m.entries.Load(key)
	return e.get(ok)
}

func (m xsyncMap) set(key string, r *record) { m.entries.Store(key, expiringOf(r)) }

func (m xsyncMap) invalidate(_ context.Context, key string) error {
	m.entries.Delete(key)
	return nil
}

func (xsyncMap) settle() {}
func (xsyncMap) close()  {}

// syncMap keeps pointers, since a sync.Map would allocate for anything else.
type syncMap struct {
	entries *sync.Map
}

func openSyncMap(_ *testing.B, _ int) plain { return syncMap{new(sync.Map)} }

func (m syncMap) get(key string) (*record, bool) {
	stored, _ := m.entries.Load(key)
	e, ok := stored.(*expiring)
	if !ok {
		return nil, false
	}
	return e.get(true)
}

func (m syncMap) set(key string, r *record) {
	e := expiringOf(r)
	m.entries.Store(key, &e)
}

func (m syncMap) invalidate(_ context.Context, key string) error {
	m.entries.Delete(key)
	return nil
}

func (syncMap) settle() {}
func (syncMap) close()  {}

type rwMutexMap struct {
	mu      sync.RWMutex // guards what follows
	entries map[string]expiring
}

func openRWMutex(_ *testing.B, _ int) plain { return &rwMutexMap{entries: make(map[string]expiring)} }

func (m *rwMutexMap) get(key string) (*record, bool) {
	m.mu.RLock()
	e, ok := m.entries[key]
	m.mu.RUnlock()
	return e.get(ok)
}

func (m *rwMutexMap) set(key string, r *record) {
	m.mu.Lock()
	m.entries[key] = expiringOf(r)
	m.mu.Unlock()
}

func (m *rwMutexMap) invalidate(_ context.Context, key string) error {
	m.mu.Lock()
	delete(m.entries, key)
	m.mu.Unlock()
	return nil
}

func (*rwMutexMap) settle() {}
func (*rwMutexMap) close()  {}
