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
// closes it: reads of a replica succeed, but miss what others have removed.
//
// Requests that are made although the breaker is open (removals, retries) count like probes when they end.
// So a probe is over when any request ends, except a read of a replica. A timeout of a process that is late
// itself is a part of a failure (lateShare).
//
// A store has two of them, and each shard of a store with shards: one for failures, and one for refused writes
// (Backend.refusals), for which only a refusal is a failure.
type breaker struct {
	// limit is the number of failures in a row that open it; not positive: only a replica does.
	limit    int
	cooldown time.Duration

	// notMade counts the requests that were not made because it is open. Whoever closes it takes the
	// number.
	notMade atomic.Int64
	// open and failures are written under mu. A request reads them without mu, to know that all is
	// well; so a healthy store costs two atomic loads.
	open atomic.Bool
	// failures is the sum of the failures in a row. A failure adds lateShare to it, and a timeout of a process
	// that is late adds 1. limit failures, which are limit times lateShare here, open the breaker.
	failures atomic.Int64

	mu sync.Mutex // guards following
	// since is when it was opened last, and opens how often it was. It counts as one while it is
	// opened again without having been closed.
	since time.Time
	opens int64
	// until is the end of the cooldown, while open.
	until time.Time
	// probing: a probe is under way.
	probing bool
	// replica: the server has said that it is a replica. Only while open.
	replica bool
}

// verdict is what the outcome of a request tells about the store.
type verdict uint8

const (
	// storeAnswered: the store is well.
	storeAnswered verdict = iota
	// storeFailed: it returned an error, or did not answer in time.
	storeFailed
	// storeUnknown: the caller gave the request up. It neither counts as a failure nor ends a row
	// of failures.
	storeUnknown
	// storeLate: it did not answer in time, but the process was late itself.
	storeLate
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
	// removes: it removes something or makes a lease last longer, and adds nothing. It is a write, but a
	// server that is full takes it.
	removes
)

// allow reports whether a request may be made. With mayProbe, the request may be the probe. The
// verdict of a request that is allowed has to be recorded, or no other probe is allowed.
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

// record takes the verdict of a request, whether it was allowed or made anyway. It returns whether the
// breaker was open before and after that, and since when it was.
func (b *breaker) record(does kind, v verdict) (was, is bool, since time.Time) {
	if v == storeRefused {
		v = storeAnswered
	}
	if v == storeAnswered && b.failures.Load() == 0 && !b.open.Load() {
		return false, false, since
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	was = b.open.Load()
	if b.replica && does == reads {
		return was, was, b.since // it was under way when the server said so
	}
	b.probing = false
	switch v {
	case storeAnswered, storeRefused:
		b.failures.Store(0)
		b.open.Store(false)
		b.replica = false
	case storeFailed:
		b.failedLocked(lateShare)
	case storeLate:
		b.failedLocked(1)
	case storeIsReplica:
		b.replica = true
		b.openLocked()
	case storeUnknown:
	}
	return was, b.open.Load(), b.since
}

// lateShare is how many timeouts of a process that is late count like a failure.
const lateShare = 4

// failedLocked counts a part of a failure: so many of lateShare.
func (b *breaker) failedLocked(share int64) {
	if failures := b.failures.Add(share); b.limit > 0 && failures >= int64(b.limit)*lateShare {
		b.openLocked()
	}
}

// openLocked opens the breaker, or starts another cooldown.
func (b *breaker) openLocked() {
	now := time.Now()
	if !b.open.Load() {
		b.since = now
		b.opens++
	}
	b.until = now.Add(b.cooldown)
	b.open.Store(true)
}
