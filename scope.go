package readthrough

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

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
	stats   scopeStats
	flights flights
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
	s.flights.scopesPending = &c.backend.pending
	s.flights.options = &s.options
	s.flights.live = make(map[string]*flight)
	s.flights.pending.limit = c.options.MaxPending
	return s
}

// Name returns the scope's name; "" for nil.
func (s *CachedScope) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

// check returns the error of a call on s that cannot be made.
func (s *CachedScope) check(ctx context.Context) error {
	if s == nil || s.cache == nil {
		return errors.New("readthrough: scope: must not be nil; get it from Cache.Scope")
	}
	if ctx == nil {
		return errors.New("readthrough: ctx: must not be nil")
	}
	return nil
}

func checkKey(what, key string) error {
	if key == "" {
		return fmt.Errorf("readthrough: %s: must not be empty", what)
	}
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("readthrough: %s: %d bytes: must not be longer than %d", what, len(key), MaxKeyBytes)
	}
	return nil
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
}

// run looks for the keys of c in the store once more if that may help, loads
// those that are not there, and finishes c, whatever the load function does. It
// runs in a goroutine of its own: a load belongs to its keys, not to a reader.
func (s *CachedScope) run(ctx context.Context, c *call, j job, lives lifetimes) {
	missing := c.flights
	began := time.Now()
	err := ErrGoexit // unless load returns or panics
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: stack()}
		}
		s.finish(ctx, c, missing, time.Since(began), err, lives)
	}()
	if c.again {
		missing = s.lookAgain(ctx, c, j)
		began = time.Now()
	}
	if len(missing) == 0 {
		err = nil
		return
	}
	err = j.load(ctx, missing)
}

// lookAgain asks the store for the keys of c, and returns those that have to be
// loaded.
func (s *CachedScope) lookAgain(ctx context.Context, c *call, j job) (missing []*flight) {
	var asked []*flight
	for _, f := range c.flights {
		if f.direct {
			missing = append(missing, f)
		} else {
			asked = append(asked, f)
		}
	}
	results := s.getMany(ctx, len(asked), func(i int) string { return asked[i].key })
	for i, f := range asked {
		if !results[i].Found {
			missing = append(missing, f)
			continue
		}
		entry := results[i].Entry
		if !entry.Absent {
			value, err := j.adopt(entry)
			if err != nil {
				s.report(OpGet, f.key, err)
				missing = append(missing, f)
				continue
			}
			entry.Value = value
		}
		f.outcome = outcome{known: true, entry: entry}
	}
	return missing
}

// finish makes the outcomes of c final, stores those that may be, and wakes who
// waits: commit, unregister, wake, notify, in that order.
func (s *CachedScope) finish(ctx context.Context, c *call, missing []*flight, took time.Duration, err error, lives lifetimes) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrLoadTimeout):
		err = tooLate(missing, err)
	case err != nil && errors.Is(cause, ErrClosed) && !errors.Is(err, ErrClosed):
		err = fmt.Errorf("%w: %w", ErrClosed, err) // the load can only say that it was cancelled
	}
	loaded := len(missing)
	var storable []*flight
	for _, f := range missing {
		f.outcome.complete(err, took)
		if f.outcome.err == nil || f.outcome.entry.Absent {
			if ttl := lives.of(f.outcome.entry); ttl > 0 && !f.direct {
				storable = append(storable, f)
			}
		}
	}
	store, refused := s.flights.fill(c, storable)
	if loaded > 0 {
		s.stats.loaded(took, err)
	}
	s.stats.refusedFills.Add(int64(refused))
	if len(store) > 0 {
		s.store(ctx, c, store, lives)
	}
	s.flights.land(c)
	s.observeLoad(c, loaded, refused, took, err)
}

// tooLate drops what a load brought after its timeout, and returns the error of
// the load instead. Its readers have been sent away, all but those that wait for
// another call first and get the same when they come to this one.
func tooLate(flights []*flight, err error) error {
	for _, f := range flights {
		f.outcome = outcome{}
	}
	switch {
	case err == nil:
		return ErrLoadTimeout
	case errors.Is(err, ErrLoadTimeout):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrLoadTimeout, err)
	}
}

func (s *CachedScope) observeLoad(c *call, loaded, refused int, took time.Duration, err error) {
	if s.cache.observer == nil {
		return
	}
	key := ""
	if len(c.flights) == 1 {
		key = c.flights[0].key
	}
	if loaded > 0 {
		s.observe(Event{Kind: EventLoad, Key: key, Count: loaded, Duration: took, Err: err})
	}
	if refused > 0 {
		s.observe(Event{Kind: EventRefusedFill, Key: key, Count: refused})
	}
}

// complete makes the outcome final after a load that took so long and returned
// err.
func (o *outcome) complete(err error, took time.Duration) {
	if !o.known {
		o.entry = provider.Entry{Absent: err == nil}
		o.err = err
	}
	o.known = true
	o.entry.LoadTime = took
}

// of returns how long entry may be stored, before jitter; not positive: not at
// all.
func (l lifetimes) of(entry provider.Entry) time.Duration {
	if entry.Absent {
		return l.absent
	}
	return l.value
}

// store asks the store to keep the outcomes of flights.
func (s *CachedScope) store(ctx context.Context, c *call, flights []*flight, lives lifetimes) {
	items := make([]provider.Item, len(flights))
	now := time.Now()
	for i, f := range flights {
		entry := f.outcome.entry
		ttl := s.options.jittered(lives.of(entry))
		if ttl != NoExpiry {
			entry.FreshUntil = now.Add(ttl)
		}
		items[i] = provider.Item{Key: provider.Key{Scope: s.name, Name: f.key}, Entry: entry, TTL: ttl}
	}
	// Once the load is done, the fill is bounded by its own deadline alone.
	err := s.cache.backend.set(context.WithoutCancel(ctx), items, func() { s.flights.answered(c) })
	if err != nil {
		key := ""
		if len(flights) == 1 {
			key = flights[0].key
		}
		s.report(OpSet, key, err)
	}
}

// get asks the store for key. It is the hot path.
func (s *CachedScope) get(ctx context.Context, key string) (provider.Entry, bool) {
	if s.flights.bypasses(key) {
		return provider.Entry{}, false
	}
	entry, found, err := s.cache.backend.get(ctx, provider.Key{Scope: s.name, Name: key})
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
		keys[i] = provider.Key{Scope: s.name, Name: key(i)}
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
