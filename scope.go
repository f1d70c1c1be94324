package readthrough

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/readthrough/readthrough/provider"
)

// CachedScope is a named keyspace of a [Cache]. Its keys are plain byte strings
// of 1 to [MaxKeyBytes] bytes; readable ones, such as "maintenance:42" and
// "system:7", let a prefix name a family. Get it from [Cache.Scope]; it is safe
// for concurrent use.
type CachedScope struct {
	cache   *Cache
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

func newScope(c *Cache, name string, options ScopeOptions) *CachedScope {
	s := &CachedScope{cache: c, name: name, options: options, absent: ErrNotFound}
	if !errors.Is(options.NotFound, ErrNotFound) {
		s.absent = &absentError{cause: options.NotFound, scope: options.NotFound}
	} else if options.NotFound != ErrNotFound { //nolint:errorlint // it wraps ErrNotFound and is returned as it is
		s.absent = options.NotFound
	}
	s.values = c.backend.values != nil && !options.ages()
	s.flights.scopesPending = &c.backend.pending
	s.flights.options = &s.options
	s.flights.slots.limit = options.MaxLoads
	s.flights.live = make(map[string]*flight)
	s.flights.running = make(map[*call]struct{})
	s.flights.pending.limit = c.options.MaxPending
	s.flights.lagging.limit = c.options.MaxPending
	s.flights.inProcess, s.flights.lagsHere = c.backend.local, c.backend.holder == nil
	return s
}

// Name returns the scope's name; "" for nil.
func (s *CachedScope) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

var (
	errNoScope   = errors.New("readthrough: scope: must not be nil; get it from Cache.Scope")
	errNoContext = errors.New("readthrough: ctx: must not be nil")
)

// isMade reports whether s is a scope of a cache.
func (s *CachedScope) isMade() bool { return s != nil && s.cache != nil }

// check returns the error of a call on s that cannot be made.
func (s *CachedScope) check(ctx context.Context) error {
	switch {
	case !s.isMade():
		return errNoScope
	case ctx == nil:
		return errNoContext
	default:
		return nil
	}
}

// checkOpen returns the error of a call on s, a scope of a cache, that cannot be made.
func (s *CachedScope) checkOpen(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNoContext
	case s.cache.closed.Load():
		return ErrClosed
	default:
		return nil
	}
}

// checkKey is checkOpen for a call with a key.
func (s *CachedScope) checkKey(ctx context.Context, key string) error {
	if err := checkKey("key", key); err != nil {
		return err
	}
	return s.checkOpen(ctx)
}

func checkKey(what, key string) error {
	if key == "" || len(key) > MaxKeyBytes {
		return badKey(what, key)
	}
	return nil
}

// badKey is apart so that checkKey, which is on the path of every hit, is inlined.
func badKey(what, key string) error {
	if key == "" {
		return fmt.Errorf("readthrough: %s: must not be empty", what)
	}
	return fmt.Errorf("readthrough: %s: %d bytes: must not be longer than %d", what, len(key), MaxKeyBytes)
}

// key returns the store's key for a key of the scope.
func (s *CachedScope) key(name string) provider.Key {
	return provider.Key{Scope: s.name, Name: name}
}

// isNotFound reports whether a load says by err that there is nothing.
func (s *CachedScope) isNotFound(err error) bool {
	return errors.Is(err, s.options.NotFound) || errors.Is(err, ErrNotFound)
}

// absence returns what a reader gets whose load said by err that there is
// nothing: an error that matches whatever that of a cached absence does.
func (s *CachedScope) absence(err error) error {
	if errors.Is(err, s.options.NotFound) && errors.Is(err, ErrNotFound) {
		return err
	}
	return &absentError{cause: err, scope: s.options.NotFound}
}

// job is what a call does: a load function and the type that it loads. Its
// implementations carry the type parameters, so that nothing else needs them.
type job interface {
	// load runs the load function for flights and sets their outcomes. With an
	// error, the flights without an outcome failed.
	load(ctx context.Context, flights []*flight) error
	// adopt returns the value of a stored entry as the type that is loaded.
	adopt(entry provider.Entry) (any, error)
	// holds reports whether a stored value is of that type, without decoding it.
	holds(stored any) bool
}

// getValue asks the store for the value under key, and for nothing else: most hits
// need no more. It is the hot path. Where it is unsure, get has to be asked. key may
// be a buffer that is used again: nobody keeps it.
func (s *CachedScope) getValue(ctx context.Context, key string) (value any, is provider.Presence) {
	if !s.values {
		return nil, provider.Unsure
	}
	if s.flights.bypasses(key) {
		return nil, provider.Missing
	}
	value, is, err := s.cache.backend.getValue(s.key(key))
	if err != nil {
		s.reportGet(ctx, strings.Clone(key), err)
		return nil, provider.Missing
	}
	return value, is
}

// get asks the store for key.
func (s *CachedScope) get(ctx context.Context, key string) (provider.Entry, bool) {
	if s.flights.bypasses(key) {
		return provider.Entry{}, false
	}
	entry, found, err := s.cache.backend.get(ctx, s.key(key))
	if err != nil {
		s.reportGet(ctx, key, err)
		return provider.Entry{}, false
	}
	return entry, found
}

// getMany asks the store for the n keys that key returns. It returns a result
// for each; what could not be asked for is not found.
func (s *CachedScope) getMany(ctx context.Context, n int, key func(int) string) []provider.Result {
	keys := make([]provider.Key, n)
	for i := range keys {
		keys[i] = s.key(key(i))
	}
	if n == 0 {
		return nil
	}
	results, err := s.cache.backend.getMany(ctx, keys)
	if err != nil {
		s.reportGet(ctx, "", err)
	}
	for i := range results {
		if results[i].Err == nil {
			continue
		}
		if err == nil || verdictOn(results[i].Err) == storeAnswered {
			s.reportGet(ctx, keys[i].Name, results[i].Err)
		}
		results[i] = provider.Result{}
	}
	return results
}

// reportGet reports an error of the store, unless it only says that the reader
// has left.
func (s *CachedScope) reportGet(ctx context.Context, key string, err error) {
	if ctx.Err() == nil {
		s.report(OpGet, key, err)
	}
}
