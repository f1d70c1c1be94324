package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/internal/limit"
	"github.com/readthrough/readthrough/provider"
)

// engine is what all scopes of a cache share. Its fields but for mu and what mu guards are set by New,
// and safe for concurrent use.
type engine struct {
	backend  *backend.Backend
	observer Observer
	onError  func(err *OpError)
	options  Options
	graph    limit.Graph // which loads wait for which others

	closed  atomic.Bool   // set under mu, read without it
	closing chan struct{} // closed under mu, after closed was set

	mu sync.Mutex // guards following
	// background are the goroutines that outlive calls. None is added after closed was set.
	background sync.WaitGroup
}

// spawn runs f in a goroutine that Close waits for. It reports false, and does not run f, if the cache
// is closed.
func (e *engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return false
	}
	e.background.Go(f)
	return true
}

// tellOnError tells OnError. A panic of OnError ends here: nobody is left to be told.
func (e *engine) tellOnError(err *OpError) {
	defer func() { _ = recover() }()
	e.onError(err)
}

// keyspace is the state of one scope: its options, its flights and its counters, on the engine of its
// cache. [CachedScope] is the handle that users have.
type keyspace struct {
	*engine

	name    string
	options ScopeOptions
	absent  error // what reads of a cached absence return
	// quick says that GetValue of the store answers hits of this scope: the store has it, and no value
	// is loaded ahead of time, for which a read needs the whole entry.
	quick     bool
	stats     scopeStats
	flights   flights
	reads     sync.Pool   // of *one, for reads of one key
	scratches sync.Pool   // of *scratch, for bulk reads
	retrying  atomic.Bool // a goroutine retries what is pending
	// toldOfLost says that the user was told of a load that took longer than its lease.
	toldOfLost atomic.Bool
}

// init makes s the keyspace of a new scope.
func (s *keyspace) init(e *engine, name string, options ScopeOptions) {
	s.engine, s.name, s.options, s.absent = e, name, options, ErrNotFound
	if !errors.Is(options.NotFound, ErrNotFound) {
		s.absent = &absentError{cause: options.NotFound, scope: options.NotFound}
	} else if options.NotFound != ErrNotFound { //nolint:errorlint // it wraps ErrNotFound and is returned as it is
		s.absent = options.NotFound
	}
	s.quick = e.backend.Values != nil && !options.loadsAhead()
	g := &s.flights
	g.options, g.scopesPending = &s.options, &e.backend.Pending
	g.inProcess, g.lagsHere = e.backend.Local, e.backend.Holder == nil
	g.slots.Limit = options.MaxLoads
	g.live, g.running = make(map[string]*flight), make(map[*call]struct{})
	g.pending.limit, g.lagging.limit = e.options.MaxPending, e.options.MaxPending
}

// checkOpen returns the error of a call that cannot be made with ctx, or on a closed cache.
func (s *keyspace) checkOpen(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNoContext
	case s.closed.Load():
		return ErrClosed
	default:
		return nil
	}
}

// checkKey is checkOpen for a call with a key.
func (s *keyspace) checkKey(ctx context.Context, key string) error {
	if err := checkKey("key", key); err != nil {
		return err
	}
	return s.checkOpen(ctx)
}

// isNotFound reports whether a load says by err that the source has nothing.
func (s *keyspace) isNotFound(err error) bool {
	return errors.Is(err, s.options.NotFound) || errors.Is(err, ErrNotFound)
}

// absence returns the error for readers of a load that said by err that the source has nothing. It
// matches what the error of a cached absence matches.
func (s *keyspace) absence(err error) error {
	if errors.Is(err, s.options.NotFound) && errors.Is(err, ErrNotFound) {
		return err
	}
	return &absentError{cause: err, scope: s.options.NotFound}
}

// ---- the store

// key returns the store's key for a key of the scope.
func (s *keyspace) key(name string) provider.Key {
	return provider.Key{Scope: s.name, Name: name}
}

// getValue asks the store for the value under key, and for nothing else: most hits need no more. It is
// the hot path. If it is unsure, get has to be asked. key may be a buffer that is used again: nobody
// keeps it.
func (s *keyspace) getValue(ctx context.Context, key string) (value any, is provider.Presence) {
	if !s.quick {
		return nil, provider.Unsure
	}
	if s.flights.bypasses(key) {
		return nil, provider.Missing
	}
	value, is, err := s.backend.GetValue(s.key(key))
	if err != nil {
		s.reportGet(ctx, strings.Clone(key), err)
		return nil, provider.Missing
	}
	return value, is
}

// get asks the store for the entry under key. An error is reported, and counts as a miss.
func (s *keyspace) get(ctx context.Context, key string) (provider.Entry, bool) {
	if s.flights.bypasses(key) {
		return provider.Entry{}, false
	}
	entry, found, err := s.backend.Get(ctx, s.key(key))
	if err != nil {
		s.reportGet(ctx, key, err)
		return provider.Entry{}, false
	}
	return entry, found
}

// getMany asks the store for the n keys that key returns. It returns a result for each of them: what
// the store could not be asked for is not found.
func (s *keyspace) getMany(ctx context.Context, n int, key func(int) string) []provider.Result {
	if n == 0 {
		return nil
	}
	keys := make([]provider.Key, n)
	for i := range keys {
		keys[i] = s.key(key(i))
	}
	results := s.backend.GetMany(ctx, keys)
	var failures causes
	for i := range results {
		switch err := results[i].Err; {
		case err == nil:
			continue
		case backend.Refused(err):
			s.reportGet(ctx, keys[i].Name, err)
		default:
			failures.add(keys[i].Name, err)
		}
		results[i] = provider.Result{}
	}
	for i := range failures {
		key := failures[i].only()
		if failures[i].keys == n {
			key = "" // the call as a whole
		}
		s.reportGet(ctx, key, failures[i].err)
	}
	return results
}

// freshness returns what may be done with entry now.
func (s *keyspace) freshness(entry *provider.Entry) freshness {
	if entry.FreshUntil.IsZero() {
		return fresh
	}
	return s.options.freshness(entry, time.Now(), rand.Float64)
}

// ---- telling the user. None of this is called under a lock, or by a call that has not landed: an
// observer may use the cache.

// hit counts a hit.
func (s *keyspace) hit(ctx context.Context, key string) {
	s.stats.hits.Add(1)
	if s.observer.Hit != nil {
		s.tell(ctx, s.observer.Hit, Event{Key: key, Count: 1})
	}
}

// servedStale counts n keys whose stale values were served; because of err, if that is not nil.
func (s *keyspace) servedStale(ctx context.Context, key string, n int, err error) {
	s.stats.stale.Add(int64(n))
	s.tell(ctx, s.observer.Stale, Event{Key: key, Count: n, Err: err})
}

// tell tells a function of the observer, unless it is nil.
func (s *keyspace) tell(ctx context.Context, observe func(context.Context, Event), event Event) {
	if observe == nil {
		return
	}
	defer s.observerPanicked(event.Key)
	event.Scope = s.name
	observe(ctx, event)
}

// observerPanicked is deferred around a function of the observer.
func (s *keyspace) observerPanicked(key string) {
	if r := recover(); r != nil {
		s.tellOnError(&OpError{opObserve, s.name, key, fmt.Errorf("readthrough: observer panicked: %v", r)})
	}
}

// report tells of an error that does not fail a read.
func (s *keyspace) report(ctx context.Context, op, key string, err error) {
	if e := s.count(op, key, err); e != nil {
		s.tellError(ctx, e)
	}
}

// reportGet reports an error of the store, unless the reader has left.
func (s *keyspace) reportGet(ctx context.Context, key string, err error) {
	if ctx.Err() == nil {
		s.report(ctx, opGet, key, err)
	}
}

// count counts an error, and returns it for tellError. It returns nil for a call that was not made
// because the breaker was open, or because the reader had no time: that is no error of the store.
func (s *keyspace) count(op, key string, err error) *OpError {
	if errors.Is(err, backend.ErrOpen) || errors.Is(err, backend.ErrNoTime) {
		return nil
	}
	if op != opLoad {
		s.stats.providerErrors.Add(1)
	}
	return &OpError{op, s.name, key, err}
}

// tellError tells OnError and the observer.
func (s *keyspace) tellError(ctx context.Context, err *OpError) {
	s.tellOnError(err)
	if s.observer.Error != nil {
		defer s.observerPanicked(err.Key)
		s.observer.Error(ctx, err)
	}
}
