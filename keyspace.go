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

// engine is what all scopes of a cache share. Cache embeds it and adds the map of scopes. It is
// apart from Cache so that the work below the API does not reach up into it.
//
// Its fields are set by New and not changed, except mu and what mu guards. All of it is safe for
// concurrent use.
type engine struct {
	// backend is the store, behind its deadline and its breaker.
	backend  *backend.Backend
	observer Observer
	onError  func(err *OpError)
	options  Options
	// log tells operators about the store.
	log storeLog
	// graph knows which loads wait for which others. It is one for all scopes, since a load of one
	// scope may read another scope.
	graph limit.Graph
	// sampler bounds the samples.
	sampler sampler
	// losses are the types whose values a store has refused, each told once.
	losses lossLog
	// reads has the pools of the memory of reads of one key, *sync.Pool of *one, by their types, and
	// scratches that of bulk reads, *scratch. A pool is as large as the machine has processors, so scopes
	// have none of their own.
	reads     sync.Map
	scratches sync.Pool

	// directives is how many batches are open, plus one if a context was made that bypasses the cache.
	// While it is 0, no call looks for a directive in its context.
	directives atomic.Int64
	bypassed   atomic.Bool // Bypass has counted itself; never unset

	// closed is set under mu by Close, and never unset. Every call of the API reads it without mu.
	closed atomic.Bool
	// closing is closed under mu, after closed was set. The retries wait for it.
	closing chan struct{}

	mu sync.Mutex // guards following
	// background are the goroutines that outlive a call of the API: the retries. None is added
	// after closed was set, so Close can wait for it.
	background sync.WaitGroup
}

// storeChanged logs that the breaker was opened or closed. It does so in a goroutine of its own: the
// logger is the user's code, and an invalidation may wait for the goroutine that found out.
func (e *engine) storeChanged(change backend.Change) {
	e.spawn(func() { e.log.changed(context.Background(), e.closing, change) }) //nolint:forbidigo // of no request
}

// spawn runs f in a goroutine that Close waits for. It returns false, and does not run f, if the
// cache is closed. The look at closed and the start are one critical section; otherwise Close could
// wait before the goroutine is counted.
func (e *engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return false
	}
	e.background.Go(f)
	return true
}

// endWith calls cancel when the cache is closed. The goroutine that waits for that ends with unwatch.
func (e *engine) endWith(cancel func()) (unwatch func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-e.closing:
			cancel()
		case <-done:
		}
	}()
	return func() { close(done); <-ended }
}

// tellOnError calls OnError. A panic of OnError ends here: nobody is left to be told. It does not wait
// for OnError when over is closed.
func (e *engine) tellOnError(over <-chan struct{}, err *OpError) {
	_ = apart(over, func() { e.onError(err) }) //nolint:errcheck // it has nowhere to go
}

// keyspace is the state of one scope, and the engine of its cache. [CachedScope] is the handle that
// users have; the layers below the API know only keyspaces, so a change of the API cannot touch
// them.
//
// It does what a scope does with its store and its user, without a decision of its own: it asks the
// store and turns errors into misses (G4), it counts, and it tells. The decisions are in its
// flights. All fields before stats are set by init and not changed. The others are safe for
// concurrent use.
type keyspace struct {
	*engine

	name    string
	options ScopeOptions
	// absent is what reads of a cached absence return. Made once, so that such a hit allocates
	// nothing.
	absent error
	// quick says that hits of this scope may take the value without its entry
	// (provider.ValueGetter). It needs a store that has values, and a scope that loads nothing
	// ahead of time: an early load is decided by the whole entry. Stale values do not matter here,
	// since the store gives only values that are fresh.
	quick bool
	// encodes: the store keeps bytes, so that values of an interface type do not come back.
	encodes bool
	// stats are the counters. Each is atomic.
	stats   scopeStats
	flights flights
	// sampling has the counters of samples; nil: there are none.
	sampling *sampleStats
	// retrying says that a goroutine retries what is pending. See retryLoop.
	retrying atomic.Bool
	// toldOfLost says that the user was told of a load that took longer than its lease.
	toldOfLost atomic.Bool
}

// init makes s the keyspace of a new scope. options have their defaults. It may call code of the
// user (errors.Is on NotFound), so it is called without a lock.
func (s *keyspace) init(e *engine, name string, options ScopeOptions) {
	s.engine, s.name, s.options, s.absent = e, name, options, ErrNotFound
	if !errors.Is(options.NotFound, ErrNotFound) {
		s.absent = &absentError{cause: options.NotFound, scope: options.NotFound}
	} else if options.NotFound != ErrNotFound { //nolint:errorlint // it wraps ErrNotFound and is returned as it is
		s.absent = options.NotFound
	}
	s.quick = e.backend.Values != nil && !options.loadsAhead()
	s.encodes = e.backend.Encodes
	s.sampling = newSampleStats(options.SampleOneIn)
	g := &s.flights
	g.options, g.scopesPending = &s.options, &e.backend.Pending
	g.inProcess, g.leases, g.lagsHere = e.backend.Local, e.backend.Leaser != nil, e.backend.Holder == nil
	g.slots.Limit = options.MaxLoads
	g.live, g.running = make(map[string]*flight), make(map[*call]struct{})
	g.pending.limit, g.lagging.limit = e.options.MaxPending, e.options.MaxPending
}

// checkOpen returns an error if ctx is nil or the cache is closed.
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

// checkKey returns an error if key is empty or too long, ctx is nil, or the cache is closed.
func (s *keyspace) checkKey(ctx context.Context, key string) error {
	if err := checkKey("key", key); err != nil {
		return err
	}
	return s.checkOpen(ctx)
}

// isNotFound reports whether err, which a load has returned, means that the source has nothing.
func (s *keyspace) isNotFound(err error) bool {
	return errors.Is(err, s.options.NotFound) || errors.Is(err, ErrNotFound)
}

// absence returns the error for the readers of a load that returned err for "the source has
// nothing". It matches ErrNotFound and the scope's NotFound, as the error of a cached absence does.
// So a caller's errors.Is has the same answer before and after the absence is stored.
func (s *keyspace) absence(err error) error {
	if errors.Is(err, s.options.NotFound) && errors.Is(err, ErrNotFound) {
		return err
	}
	return &absentError{cause: err, scope: s.options.NotFound}
}

// ---- the store

// key returns the store's key for the key name of this scope.
func (s *keyspace) key(name string) provider.Key {
	return provider.Key{Scope: s.name, Name: name}
}

// getValue asks the store for the value under key without its entry. Most hits need no more, and an
// entry is 96 bytes. If the answer is Unsure, get has to be asked. It is the hot path: it takes no
// lock, and bypasses is one atomic load while nothing is pending.
//
// key may be a buffer that its caller uses again: nobody keeps it, and a report gets a copy.
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

// get asks the store for the entry under key. An error is reported and counts as a miss, so the
// load answers (G4).
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

// getMany asks the store for the n keys that key returns. It returns a result for each of them. A
// key that the store could not be asked for is not found.
//
// Keys that failed for one reason are one report. What the store says of an entry is one of its own.
// report is keyspace.reportGet, or for a call that has not landed, call.reportGet.
func (s *keyspace) getMany(ctx context.Context, n int, key func(int) string, report func(ctx context.Context, key string, err error)) []provider.Result {
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
		case backend.OfEntry(err):
			report(ctx, keys[i].Name, err)
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
		report(ctx, key, failures[i].err)
	}
	return results
}

// freshness returns what may be done with entry now. An entry without an end needs no clock.
func (s *keyspace) freshness(entry *provider.Entry) freshness {
	if entry.FreshUntil.IsZero() {
		return fresh
	}
	return s.options.freshness(entry, time.Now(), rand.Float64)
}

// ---- telling the user. None of this is called under a lock, or by a call that has not landed, because
// the functions of the user may use the cache. LoadStart is the exception (call.loadStart).

// hit counts a hit, and tells Observer.Hit. near says that it was one of the memory in front of the
// store. It reports whether the hit is to be sampled.
func (s *keyspace) hit(ctx context.Context, key string, near bool) (sampled bool) {
	counter := &s.stats.hits
	if near {
		counter = &s.stats.nearHits
	}
	n := counter.Add(1)
	if s.observer.Hit != nil {
		s.tell(ctx, s.observer.Hit, Event{Key: key, Count: 1})
	}
	return s.sampling.picks(n)
}

// servedStale counts n keys whose stale values were served. err is why, if a load has failed or is
// slow; nil for StaleWhileRevalidate.
func (s *keyspace) servedStale(ctx context.Context, key string, n int, err error) {
	s.stats.stale.Add(int64(n))
	s.tell(ctx, s.observer.Stale, Event{Key: key, Count: n, Err: err})
}

// tell calls observe, a function of the observer, unless it is nil. It is for what a reader is told: in
// the goroutine of the reader, since that is done for each hit or miss. A panic goes no further (G4). A
// Goexit ends the reader.
func (s *keyspace) tell(ctx context.Context, observe func(context.Context, Event), event Event) {
	if observe == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.observerFailed(nil, event.Key, fmt.Errorf("it panicked: %v", r))
		}
	}()
	event.Scope = s.name
	observe(ctx, event)
}

// notice is something that the user is told when the work that it is about is done: an invalidation may
// wait for that work, a function of the user may wait for the invalidation, and it may end its
// goroutine.
type notice struct {
	// observe is the function of the observer; nil: err is told.
	observe func(context.Context, Event)
	event   Event
	// ctx is what observe gets; nil: what all notices get.
	ctx context.Context //nolint:containedctx // see above
	err *OpError
}

// tellAll tells the user of notices, in their order and apart. It does not wait for the user when over is
// closed.
func (s *keyspace) tellAll(ctx context.Context, over <-chan struct{}, notices []notice) {
	for len(notices) > 0 {
		n := 0
		for n < len(notices) && notices[n].err == nil {
			n++
		}
		s.tellObserver(ctx, over, notices[:n])
		if notices = notices[n:]; len(notices) > 0 {
			s.tellError(ctx, over, notices[0].err)
			notices = notices[1:]
		}
	}
}

// tellObserver tells the observer of notices without errors, in one goroutine, since each costs about as
// much as the telling. A function that panics or ends that goroutine ends nothing else: the next one is
// told in another goroutine.
func (s *keyspace) tellObserver(ctx context.Context, over <-chan struct{}, notices []notice) {
	for len(notices) > 0 {
		told := 0
		err := apart(over, func() {
			for told < len(notices) {
				told++
				s.observe(ctx, &notices[told-1])
			}
		})
		if err == nil {
			return // over may be closed, and the goroutine still there: told is its own
		}
		s.observerFailed(over, notices[told-1].event.Key, err)
		notices = notices[told:]
	}
}

// tellLast is tellAll at the end of a goroutine of the cache. It tells the user in that goroutine, and so spares another
// one for each load: on a machine that is idle, to start one wakes a processor. If a function panics or ends the
// goroutine, a new one tells the rest.
func (s *keyspace) tellLast(ctx context.Context, notices []notice) {
	if len(notices) == 0 {
		return
	}
	told, returned := 0, false
	defer func() {
		if returned {
			return
		}
		why := recover() // nil after a Goexit
		go func() {
			err := errGoexit
			if why != nil {
				err = apart(nil, func() { panic(why) }) // to format its value may panic, too
			}
			s.observerFailed(nil, notices[told-1].event.Key, err)
			s.tellLast(ctx, notices[told:])
		}()
	}()
	for told < len(notices) {
		told++
		if n := &notices[told-1]; n.err != nil {
			s.tellError(ctx, nil, n.err)
		} else {
			s.observe(ctx, n)
		}
	}
	returned = true
}

// observe tells the observer of n.
func (s *keyspace) observe(ctx context.Context, n *notice) {
	if n.observe == nil {
		return
	}
	if n.ctx != nil {
		ctx = n.ctx
	}
	n.event.Scope = s.name
	n.observe(ctx, n.event)
}

// observerFailed tells OnError that a function of the observer has not returned, unless err is nil. It
// tells OnError only: Observer.Error may be that function.
func (s *keyspace) observerFailed(over <-chan struct{}, key string, err error) {
	if err != nil {
		s.tellOnError(over, &OpError{opObserve, s.name, key, fmt.Errorf("readthrough: a function of the observer failed: %w", err)})
	}
}

// report counts and tells an error that does not fail a read.
func (s *keyspace) report(ctx context.Context, op, key string, err error) {
	if e := s.count(op, key, err); e != nil {
		s.tellError(ctx, nil, e)
	}
}

// reportGet is report for an error of the store, unless the reader has left: then the error is its
// own.
func (s *keyspace) reportGet(ctx context.Context, key string, err error) {
	if ctx.Err() == nil {
		s.report(ctx, opGet, key, err)
	}
}

// count counts an error and returns it for tellError. It returns nil if the store was not asked
// because the breaker was open, or if the reader had no time for it. Neither is an error of the
// store, and during an outage there is one for each read. It returns nil, too, for what a type loses in the
// store, after the first time.
func (s *keyspace) count(op, key string, err error) *OpError {
	if errors.Is(err, backend.ErrOpen) || errors.Is(err, backend.ErrNoTime) {
		return nil
	}
	if op != opLoad {
		s.stats.providerErrors.Add(1)
	}
	if !s.losses.admit(err) {
		return nil
	}
	return &OpError{op, s.name, key, err}
}

// tellError calls OnError and then Observer.Error. It does not wait for them when over is closed.
func (s *keyspace) tellError(ctx context.Context, over <-chan struct{}, err *OpError) {
	s.tellOnError(over, err)
	if s.observer.Error != nil {
		s.observerFailed(over, err.Key, apart(over, func() { s.observer.Error(ctx, err) }))
	}
}
