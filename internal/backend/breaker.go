package backend

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker is a circuit breaker: it keeps a store from being called for a while after failures in a row,
// so that an outage costs a few timeouts and not one on every read.
//
// Closed, it lets every call pass. It opens after limit failures in a row. Open, it lets nothing pass
// until cooldown is over. Then it is half-open: it lets one call pass at a time, the probe. The first
// success closes it, and a failure starts another cooldown.
type breaker struct {
	limit    int // failures in a row that open it; not positive: it never opens
	cooldown time.Duration

	// open and failures are written under mu. Calls that only want to know that all is well read them
	// without mu.
	open     atomic.Bool
	failures atomic.Int64 // in a row

	mu      sync.Mutex // guards following
	until   time.Time  // the end of the cooldown, while open
	probing bool       // a probe is under way
}

// verdict is what the outcome of a call tells about the store.
type verdict uint8

const (
	// storeAnswered: the store is well.
	storeAnswered verdict = iota
	// storeFailed: it erred, or did not answer in time.
	storeFailed
	// storeUnknown: the caller gave the call up.
	storeUnknown
)

// allow reports whether a call may be made. With mayProbe, it may be the probe. The verdict of a call
// that is allowed has to be recorded.
func (b *breaker) allow(mayProbe bool) bool {
	if !b.open.Load() {
		return true
	}
	if !mayProbe {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open.Load() {
		return true
	}
	if b.probing || time.Now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// record takes the verdict of a call, whether it was allowed or made anyway.
func (b *breaker) record(v verdict) {
	if v == storeAnswered && b.failures.Load() == 0 && !b.open.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch v {
	case storeAnswered:
		b.failures.Store(0)
		b.open.Store(false)
	case storeFailed:
		if failures := b.failures.Add(1); b.limit > 0 && failures >= int64(b.limit) {
			b.until = time.Now().Add(b.cooldown)
			b.open.Store(true)
		}
	case storeUnknown:
	}
}
