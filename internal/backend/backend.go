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
	// maxOrphans bounds the calls that the store has not answered although their deadline is over. Past
	// it the store is not called: a store that hangs for ever costs that many goroutines and no more.
	maxOrphans = 64

	// parallelGets is how many entries of a bulk read are asked for at once, in a store that cannot be
	// asked for many.
	parallelGets = 16
)

var (
	// ErrOpen is the error of a call that was not made because the breaker is open.
	ErrOpen = errors.New("readthrough: the breaker is open: the store is not called after failures")

	// ErrNoTime is the error of a call whose caller had too little time: its end tells nothing about the
	// store.
	ErrNoTime = errors.New("readthrough: the caller has no time for the store")

	// errUnanswered is the error of a call that became an orphan.
	errUnanswered = errors.New("readthrough: the store did not answer")

	// errStoreGoexit is the error of a call whose goroutine the store has ended.
	errStoreGoexit = errors.New("readthrough: the store called runtime.Goexit")
)

// Backend is the store behind a cache. A store in the process needs neither a deadline nor a breaker,
// and is called directly. Fields are set by New and not changed, but for the atomic ones; all methods
// are safe for concurrent use.
type Backend struct {
	Values    provider.ValueGetter // nil: there are entries only
	Closer    io.Closer            // nil: there is nothing to close
	Leaser    provider.Leaser      // nil: fills are fenced in this process only
	Refresher provider.Refresher   // nil: a key that holds an entry cannot be leased
	Renewer   provider.Renewer     // nil: a lease ends with its TTL, however long its load takes
	Holder    provider.Holder      // nil: keys cannot be held
	Local     bool                 // the store is in the process

	ReadTimeout   time.Duration // of reads, leases and fills
	DeleteTimeout time.Duration // of removals and holds

	// Pending counts the scopes with pending invalidations. While there are any, their retries find out
	// whether the store is back, and reads do not: they resume after the entries that they must not see
	// are gone.
	Pending atomic.Int64

	store     provider.CacheProvider
	batch     provider.Batcher   // nil: entries are asked for one at a time
	encoder   provider.Encoder   // nil: entries are encoded while they are stored
	inspector provider.Inspector // nil: the store cannot be inspected
	punctual  bool               // calls end at their deadline
	panicked  func(any) error
	breaker   breaker
	orphans   atomic.Int64 // calls that the store has not answered although their deadline is over

	// How many items the parts of bulk calls have, by what they do.
	asking, storing, removing pace
}

// Config is how a store is called.
type Config struct {
	ReadTimeout     time.Duration
	DeleteTimeout   time.Duration
	BreakerFailures int // failures in a row that open the breaker; not positive: it never opens
	BreakerCooldown time.Duration
	// Panicked makes an error of what the store panicked with.
	Panicked func(value any) error
}

// New returns the backend of a store. It finds out, once, which capabilities the store has.
func New(store provider.CacheProvider, c Config) *Backend {
	b := &Backend{
		store:         store,
		ReadTimeout:   c.ReadTimeout,
		DeleteTimeout: c.DeleteTimeout,
		panicked:      c.Panicked,
		breaker:       breaker{limit: c.BreakerFailures, cooldown: c.BreakerCooldown},
		asking:        pace{most: mostAsked},
		storing:       pace{most: mostAsked},
		removing:      pace{most: mostRemoved, stops: true},
	}
	b.batch, _ = store.(provider.Batcher)
	b.encoder, _ = store.(provider.Encoder) //nolint:errcheck // nil without it
	b.inspector, _ = store.(provider.Inspector)
	b.Closer, _ = store.(io.Closer)
	if punctual, ok := store.(provider.Punctual); ok {
		b.punctual = punctual.Punctual()
	}
	if leaser, ok := store.(provider.Leaser); ok {
		b.Leaser = leaser
		b.Refresher, _ = store.(provider.Refresher)
		b.Renewer, _ = store.(provider.Renewer) //nolint:errcheck // nil without it
		b.Holder, _ = store.(provider.Holder)
	}
	if _, b.Local = store.(provider.InProcess); b.Local {
		b.Values, _ = store.(provider.ValueGetter)
	}
	return b
}

// Open reports whether the breaker is open.
func (b *Backend) Open() bool { return b.breaker.open.Load() }

// Saturated reports whether there are as many orphans as there may be.
func (b *Backend) Saturated() bool { return b.orphans.Load() >= maxOrphans }

// Admit returns the error of a read or a fill that is not made.
func (b *Backend) Admit() error {
	if b.Local || !b.Saturated() && b.breaker.allow(b.Pending.Load() == 0) {
		return nil
	}
	return ErrOpen
}

// errNoInspector is the error of a look into a store that has no [provider.Inspector].
func (b *Backend) errNoInspector() error {
	return fmt.Errorf("readthrough: the store %T is no provider.Inspector: %w", b.store, errors.ErrUnsupported)
}
