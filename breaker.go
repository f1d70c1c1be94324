package readthrough

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker leaves a store alone for a while after failures in a row, so that an
// outage costs a few timeouts and not one on every read.
//
// Closed, it lets every call pass. It opens after limit failures in a row. Open,
// it lets nothing pass until cooldown is over, and then one call at a time: the
// first success closes it, a failure starts another cooldown.
type breaker struct {
	limit    int // not positive: never opens
	cooldown time.Duration

	// open and failures are written under mu and read without it, by the calls
	// that only want to know that all is well.
	open     atomic.Bool
	failures atomic.Int64 // in a row

	mu      sync.Mutex // guards following
	until   time.Time  // the end of the cooldown, while open
	probing bool       // a call that tries the store after the cooldown is under way
}

// verdict is what the outcome of a call tells about the store.
type verdict uint8

const (
	storeAnswered verdict = iota
	storeFailed
	storeUnknown // the call was given up by its caller
)

// allow reports whether a call may be made. With mayProbe, it may be the one
// that finds out whether the store is back. The verdict of a call that is
// allowed has to be recorded.
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
