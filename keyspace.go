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
	"github.com/readthrough/readthrough/provider"
)

// engine is what all scopes of a cache share.
type engine struct {
	backend  *backend.Backend
	observer Observer // nil: nobody observes
	onError  func(op Op, scope, key string, err error)
	options  Options
	waits    waits

	closed  atomic.Bool   // set under mu
	closing chan struct{} // closed under mu, after closed was set

	mu sync.Mutex // guards following
	// background are the goroutines that outlive calls. It is added to under mu,
	// and not after closed was set.
	background sync.WaitGroup
}

// spawn runs f in a goroutine that Close waits for. It reports false, and does
// not run f, if the cache is closed.
func (c *engine) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return false
	}
	c.background.Go(f)
	return true
}

// reportError tells OnError. A panic of it goes no further than this.
func (c *engine) reportError(op Op, scope, key string, err error) {
	defer func() {
		if recover() != nil {
			return // there is nobody left to tell
		}
	}()
	c.onError(op, scope, key, err)
}

// keyspace is what the engine knows of a scope.
type keyspace struct {
	cache   *engine
	name    string
	options ScopeOptions
	absent  error // what reads of a cached absence return
	// values says that the store may have values that are served as they are.
	values  bool
	stats   scopeStats
	flights flights
	// scratches has *scratch.
	scratches sync.Pool
	// retrying says that a goroutine retries what is pending.
	retrying atomic.Bool
}

// isNotFound reports whether a load says by err that there is nothing.
func (s *keyspace) isNotFound(err error) bool {
	return errors.Is(err, s.options.NotFound) || errors.Is(err, ErrNotFound)
}

// absence returns what a reader gets whose load said by err that there is
// nothing: an error that matches whatever that of a cached absence does.
func (s *keyspace) absence(err error) error {
	if errors.Is(err, s.options.NotFound) && errors.Is(err, ErrNotFound) {
		return err
	}
	return &absentError{cause: err, scope: s.options.NotFound}
}

// happened tells the observer, if there is one, of n keys, of which key is the only
// one if it is not empty. Never called under a lock.
func (s *keyspace) happened(kind EventKind, key string, n int, err error) {
	if s.cache.observer != nil {
		s.observe(Event{Kind: kind, Key: key, Count: n, Err: err})
	}
}

// observe tells the observer, if there is one. Never called under a lock.
func (s *keyspace) observe(event Event) {
	if s.cache.observer == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.cache.reportError(OpObserve, s.name, event.Key, fmt.Errorf("readthrough: observer panicked: %v", r))
		}
	}()
	event.Scope = s.name
	s.cache.observer.Observe(event)
}

// report tells of an error that does not fail a read, unless it only says that
// the store was left alone. Never called under a lock.
func (s *keyspace) report(op Op, key string, err error) {
	if errors.Is(err, backend.ErrOpen) || errors.Is(err, backend.ErrNoTime) {
		return
	}
	if op != OpLoad {
		s.stats.providerErrors.Add(1)
	}
	s.cache.reportError(op, s.name, key, err)
	s.happened(EventError, key, 1, err)
}

// servedStale counts n keys whose stale values were served, because of err if that
// is not nil.
func (s *keyspace) servedStale(key string, n int, err error) {
	s.stats.stale.Add(int64(n))
	s.happened(EventStale, key, n, err)
}

// hit counts a hit.
func (s *keyspace) hit(key string) {
	s.stats.hits.Add(1)
	s.happened(EventHit, key, 1, nil)
}

// key returns the store's key for a key of the scope.
func (s *keyspace) key(name string) provider.Key {
	return provider.Key{Scope: s.name, Name: name}
}

// reportGet reports an error of the store, unless it only says that the reader
// has left.
func (s *keyspace) reportGet(ctx context.Context, key string, err error) {
	if ctx.Err() == nil {
		s.report(OpGet, key, err)
	}
}

// getValue asks the store for the value under key, and for nothing else: most hits
// need no more. It is the hot path. Where it is unsure, get has to be asked. key may
// be a buffer that is used again: nobody keeps it.
func (s *keyspace) getValue(ctx context.Context, key string) (value any, is provider.Presence) {
	if !s.values {
		return nil, provider.Unsure
	}
	if s.flights.bypasses(key) {
		return nil, provider.Missing
	}
	value, is, err := s.cache.backend.GetValue(s.key(key))
	if err != nil {
		s.reportGet(ctx, strings.Clone(key), err)
		return nil, provider.Missing
	}
	return value, is
}

// get asks the store for key.
func (s *keyspace) get(ctx context.Context, key string) (provider.Entry, bool) {
	if s.flights.bypasses(key) {
		return provider.Entry{}, false
	}
	entry, found, err := s.cache.backend.Get(ctx, s.key(key))
	if err != nil {
		s.reportGet(ctx, key, err)
		return provider.Entry{}, false
	}
	return entry, found
}

// getMany asks the store for the n keys that key returns. It returns a result
// for each; what could not be asked for is not found.
func (s *keyspace) getMany(ctx context.Context, n int, key func(int) string) []provider.Result {
	keys := make([]provider.Key, n)
	for i := range keys {
		keys[i] = s.key(key(i))
	}
	if n == 0 {
		return nil
	}
	results, err := s.cache.backend.GetMany(ctx, keys)
	if err != nil {
		s.reportGet(ctx, "", err)
	}
	for i := range results {
		if results[i].Err == nil {
			continue
		}
		if err == nil || backend.Refused(results[i].Err) {
			s.reportGet(ctx, keys[i].Name, results[i].Err)
		}
		results[i] = provider.Result{}
	}
	return results
}

// standing returns that of an entry now.
func (s *keyspace) standing(entry *provider.Entry) standing {
	if entry.FreshUntil.IsZero() {
		return fresh
	}
	return s.options.standing(entry, time.Now(), rand.Float64)
}
