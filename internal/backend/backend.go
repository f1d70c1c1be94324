// Package backend is the store behind a cache: a [provider.CacheProvider] with its capabilities, behind
// a deadline and a circuit breaker. It knows nothing of flights and scopes.
package backend

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

const (
	// maxOrphans bounds the requests that the store has not answered although their deadline is
	// over. Past it the store is not asked: a store that hangs for ever costs that many goroutines
	// and no more (G9).
	maxOrphans = 64

	// parallelGets is how many entries of a bulk read are asked for at once, in a store that cannot
	// be asked for many.
	parallelGets = 16
)

var (
	// ErrOpen is the error of a request that was not made, because the breaker is open or because
	// too many requests have no answer.
	ErrOpen = errors.New("readthrough: the breaker is open: the store is not called after failures")

	// ErrNoTime is the error of a request whose caller had too little time. Its end tells nothing
	// about the store.
	ErrNoTime = errors.New("readthrough: the caller has no time for the store")

	// errUnanswered is the error of a request that became an orphan.
	errUnanswered = errors.New("readthrough: the store did not answer")

	// errStoreGoexit is the error of a request whose goroutine the store has ended.
	errStoreGoexit = errors.New("readthrough: the store called runtime.Goexit")
)

// Backend is the store behind a cache. Every request of the cache goes through it, and comes back
// in time, as an answer or as an error (G4): the store may fail, hang, panic or call Goexit.
//
// A request passes three gates: the breaker (admit), the deadline (ask), and the verdict on its
// outcome, which the breaker learns (judge). Removals and holds pass the last two only: an
// invalidation has to be tried, and its caller has asked Open or AdmitHold. A store in the process
// needs none of them and is called directly; only its panics are caught.
//
// Fields are set by New and not changed, except the atomic ones. All methods are safe for
// concurrent use.
type Backend struct {
	// Values is nil if the store has entries only. Near says that it is the memory in front of a store
	// outside the process.
	Values provider.ValueGetter
	Near   bool
	// Closer is nil if there is nothing to close.
	Closer io.Closer
	// Leaser is nil if fills are fenced in this process only.
	Leaser provider.Leaser
	// Refresher is nil if a key that holds an entry cannot be leased.
	Refresher provider.Refresher
	// Renewer is nil if a lease ends by its TTL, however long its load takes.
	Renewer provider.Renewer
	// Holder is nil if keys cannot be held.
	Holder provider.Holder
	// Local: the store is in the process.
	Local bool
	// Encodes: the store keeps bytes, and not the values themselves.
	Encodes bool

	ReadTimeout   time.Duration // of reads, leases and fills
	DeleteTimeout time.Duration // of removals and holds

	// Pending is the number of scopes with pending invalidations. The flights of the scopes write
	// it. While it is not 0, the retries find out whether the store is back, and reads do not:
	// reads resume after the entries that they must not see are gone. In a store with shards, reads probe all
	// the same: what is pending in one shard must not keep another one away. Reads of what is pending bypass the
	// store anyway.
	Pending atomic.Int64

	store provider.CacheProvider
	// near is nil if the store keeps nothing in the process.
	near provider.NearCache
	// batch is nil if entries are asked for one at a time.
	batch provider.Batcher
	// encoder is nil if entries are not encoded before they are stored.
	encoder provider.Encoder
	// inspector is nil if the store cannot be inspected.
	inspector provider.Inspector
	// pinger and advisor are nil if the store has none; see ping.go.
	pinger  provider.Pinger
	advisor provider.Advisor
	// punctual: requests end at their deadline, so they need no goroutine of their own. New sets it, and
	// the first request that returns much too late unsets it.
	punctual atomic.Bool
	// changed is told when a breaker was opened or closed; nil: nobody is told.
	changed func(Change)
	// panicked makes an error of what the store panicked with.
	panicked func(any) error
	// breaker is opened by failures, and stops all requests but removals and holds. refusals is
	// opened by a store that is well and refuses writes (its memory is full, say). It stops fills,
	// leases and holds, and neither reads nor removals.
	breaker, refusals breaker
	// shards is nil if the store fails as a whole. Otherwise its breakers count, and not those above.
	shards *shards
	// failure is the last request that the store failed; nil: none has.
	failure atomic.Pointer[failure]
	// orphans is the number of requests that the store has not answered although their deadline is
	// over.
	orphans atomic.Int64
	// asking, storing and removing say how many items the parts of bulk calls have, by what they
	// do.
	asking, storing, removing pace
	// late is how late the process runs.
	late lateness
}

// Config is how a store is asked.
type Config struct {
	ReadTimeout   time.Duration
	DeleteTimeout time.Duration
	// BreakerFailures is the number of failures in a row that open the breaker; not positive: it
	// never opens.
	BreakerFailures int
	BreakerCooldown time.Duration
	// Changed is told when a breaker was opened or closed, in the goroutine that found out; nil: nobody
	// is told.
	Changed func(Change)
	// Panicked makes an error of what the store panicked with.
	Panicked func(value any) error
}

// New returns the backend of a store. It finds out, once, which capabilities the store has. Holds
// and refreshes count only in a store with leases, and values without entries only in a store in
// the process: without that they would have no rule that keeps them right.
func New(store provider.CacheProvider, c Config) *Backend {
	b := &Backend{
		store:         store,
		ReadTimeout:   c.ReadTimeout,
		DeleteTimeout: c.DeleteTimeout,
		panicked:      c.Panicked,
		changed:       c.Changed,
		breaker:       breaker{limit: c.BreakerFailures, cooldown: c.BreakerCooldown},
		refusals:      breaker{limit: c.BreakerFailures, cooldown: c.BreakerCooldown},
		asking:        pace{most: mostAsked},
		storing:       pace{most: mostAsked},
		removing:      pace{most: mostRemoved, stops: true},
	}
	b.late.init(c.ReadTimeout)
	b.batch, _ = store.(provider.Batcher)       //nolint:errcheck // nil without the capability
	b.inspector, _ = store.(provider.Inspector) //nolint:errcheck // nil without the capability
	b.pinger, _ = store.(provider.Pinger)       //nolint:errcheck // nil without the capability
	b.advisor, _ = store.(provider.Advisor)     //nolint:errcheck // nil without the capability
	b.Closer, _ = store.(io.Closer)             //nolint:errcheck // nil without the capability
	b.encoder, b.Encodes = store.(provider.Encoder)
	if punctual, ok := store.(provider.Punctual); ok {
		b.punctual.Store(punctual.Punctual())
	}
	if sharded, ok := store.(provider.Sharded); ok && sharded.Shards() > 1 {
		b.shards = newShards(sharded, c)
	}
	if leaser, ok := store.(provider.Leaser); ok {
		b.Leaser = leaser
		b.Refresher, _ = store.(provider.Refresher) //nolint:errcheck // nil without the capability
		b.Renewer, _ = store.(provider.Renewer)     //nolint:errcheck // nil without the capability
		b.Holder, _ = store.(provider.Holder)       //nolint:errcheck // nil without the capability
	}
	if _, b.Local = store.(provider.InProcess); b.Local {
		b.Values, _ = store.(provider.ValueGetter) //nolint:errcheck // nil without the capability
	} else if near, ok := store.(provider.NearCache); ok {
		b.Values, b.near, b.Near = near, near, true
	}
	return b
}

// Open reports whether the breaker is open.
//
// Of a store with shards, all of them have to be open.
func (b *Backend) Open() bool {
	if b.shards != nil {
		return b.shards.allOpen()
	}
	return b.breaker.open.Load()
}

// Saturated reports whether there are as many orphans as there may be.
func (b *Backend) Saturated() bool { return b.orphans.Load() >= maxOrphans }

// AdmitHold returns nil if targets may be held now, and ErrOpen if not. In the half-open state it
// admits one request as the probe, so the caller has to make the request. Of a store with shards, those of
// targets have to be well.
func (b *Backend) AdmitHold(targets provider.HoldTargets) error {
	return b.admit(b.demandOfHold(writes, &targets))
}

// admit returns nil if a request may be made now, and ErrOpen if not. In the half-open state it admits
// one request as the probe, so the caller has to make the request. A request that writes is not
// admitted either if the store refuses to store anything.
func (b *Backend) admit(does demand) error {
	if b.Local {
		return nil
	}
	if b.Saturated() {
		return ErrOpen
	}
	if does.shard != mixed || b.shards == nil {
		return b.admitTo(does)
	}
	if does.each == nil && b.Open() {
		return ErrOpen
	}
	for i, n := range does.each {
		if err := b.admitTo(demand{kind: does.kind, shard: n}); err != nil {
			does.each = does.each[:i]
			b.record(does, storeUnknown) // it is not the probe of these after all
			return err
		}
	}
	return nil
}

// admitTo is admit for a request in one shard, or in a store without shards.
func (b *Backend) admitTo(does demand) error {
	breaker, refusals := b.breakers(does.shard)
	// What is pending bypasses the store. So in a store with shards, reads of one need not wait until
	// what is pending in another one is removed.
	mayProbe := b.Pending.Load() == 0 || b.shards != nil
	switch {
	case does.kind == writes && !refusals.allow(writes, mayProbe):
		return ErrOpen
	case !breaker.allow(does.kind, mayProbe):
		if does.kind == writes {
			refusals.record(writes, storeUnknown) // it is not the probe after all
		}
		breaker.notMade.Add(1)
		return ErrOpen
	default:
		return nil
	}
}

// errNoInspector is the error of an inspection of a store without [provider.Inspector].
func (b *Backend) errNoInspector() error {
	return fmt.Errorf("readthrough: the store %T is no provider.Inspector: %w", b.store, errors.ErrUnsupported)
}
