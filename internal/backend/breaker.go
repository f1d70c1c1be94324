package backend

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker is a circuit breaker (Nygard, "Release It!"): it keeps a store from being asked for a
// while after failures in a row, so that an outage costs a few timeouts and not one on every read.
//
//	closed      every request passes
//	  limit failures in a row ──▶ open
//	open        no request passes until cooldown is over
//	  cooldown is over        ──▶ half-open
//	half-open   one request passes at a time, the probe
//	  it succeeds             ──▶ closed
//	  it fails                ──▶ open
//	  its caller gives it up      half-open, and the next request is the probe
//
// A server that says that it is a replica opens the breaker at once, and only a write that succeeds
// closes it again: a replica answers reads, but does not have what others have removed.
//
// Requests that are made although the breaker is open (removals, retries) count like probes when
// they end. Invariant: probing is true only while a request that allow has admitted as the probe is
// under way, or until any other request ends.
type breaker struct {
	limit    int // failures in a row that open it; not positive: it never opens, but for a replica
	cooldown time.Duration

	// open and failures are written under mu. Requests that only want to know that all is well read them
	// without mu.
	open     atomic.Bool
	failures atomic.Int64 // in a row

	mu      sync.Mutex // guards following
	until   time.Time  // the end of the cooldown, while open
	probing bool       // a probe is under way
	replica bool       // while open: the server has said that it is a replica
}

// verdict is what the outcome of a request tells about the store.
type verdict uint8

const (
	// storeAnswered: the store is well.
	storeAnswered verdict = iota
	// storeFailed: it erred, or did not answer in time.
	storeFailed
	// storeUnknown: the caller gave the request up.
	storeUnknown
	// storeRefused: it is well, and refuses a write.
	storeRefused
	// storeIsReplica: it takes no writes, and does not have the removals of others.
	storeIsReplica
)

// kind is what a request does in the store.
type kind uint8

const (
	// reads: it changes nothing.
	reads kind = iota
	// writes: it stores entries, leases or holds.
	writes
	// removes: it removes something, and adds nothing. It is a write, but a server that is full takes it.
	removes
)

// allow reports whether a request may be made. With mayProbe, it may be the probe. The verdict of a
// request that is allowed has to be recorded.
func (b *breaker) allow(does kind, mayProbe bool) bool {
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
	if b.probing || b.replica && does == reads || time.Now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// record takes the verdict of a request, whether it was allowed or made anyway.
func (b *breaker) record(does kind, v verdict) {
	if v == storeRefused {
		v = storeAnswered
	}
	if v == storeAnswered && b.failures.Load() == 0 && !b.open.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.replica && does == reads {
		return // it was under way when the server said so
	}
	b.probing = false
	switch v {
	case storeAnswered, storeRefused:
		b.failures.Store(0)
		b.open.Store(false)
		b.replica = false
	case storeFailed:
		if failures := b.failures.Add(1); b.limit > 0 && failures >= int64(b.limit) {
			b.openLocked()
		}
	case storeIsReplica:
		b.replica = true
		b.openLocked()
	case storeUnknown:
	}
}

// openLocked opens the breaker, or starts another cooldown.
func (b *breaker) openLocked() {
	b.until = time.Now().Add(b.cooldown)
	b.open.Store(true)
}
