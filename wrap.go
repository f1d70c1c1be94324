package readthrough

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// Wrap returns the value under key: from the store, or else from load, whose result is then stored
// for [ScopeOptions.TTL].
//
// However many readers ask for a key that is not stored, one load runs for all of them, in a
// goroutine of its own. Its context has the values of the first reader's context, but not its
// cancellation. Each reader waits on its own context. When the last one has left, the context of
// the load is cancelled. All waiting readers get the error of the load, its panic (as
// [*PanicError]), or [ErrGoexit], and nothing is stored.
//
// If load returns an error that matches [ErrNotFound] or [ScopeOptions.NotFound], the absence is
// stored for [ScopeOptions.NegativeTTL]. nil pointers, zero values and empty slices are ordinary
// values.
//
// A read that begins after an invalidation of key has returned never gets a value that was loaded
// before the invalidation began. A store that fails or hangs does not fail the read: load answers.
// So an error of Wrap has one of these sources:
//
//   - load: its error, its panic or its Goexit, now or within [ScopeOptions.ErrorTTL]
//   - ctx: it has ended, and the value was not there
//   - [ErrLoadTimeout], [ErrClosed] or [ErrRecursiveLoad]
//   - a bad argument: ctx, s or load is nil, key is empty or longer than [MaxKeyBytes], or an
//     option has a bad value
//
// Wrap is safe for concurrent use. All readers share the value: do not change what it points to.
func Wrap[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (T, error) {
	ttls, err := checkRead[T](ctx, "Wrap", s, key, load != nil, options)
	if err != nil {
		var none T
		return none, err
	}
	value, look := quick[T](ctx, &s.keyspace, key)
	if look.is == provider.Present {
		if look.sampled {
			sampleOne(ctx, &s.keyspace, key, load)
		}
		return value, nil
	}
	return readKey(ctx, &s.keyspace, key, load, ttls, look)
}

// WrapResult is [Wrap] for readers that want to know where the value comes from, how old it is, and
// why a stale value was served. With an error there is no value.
func WrapResult[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (Result[T], error) {
	ttls, err := checkRead[T](ctx, "WrapResult", s, key, load != nil, options)
	if err != nil {
		return Result[T]{}, err
	}
	if s.isDirect(ctx, key) {
		value, err := direct(ctx, &s.keyspace, load)
		return Result[T]{Value: value, Source: FromLoad}, err
	}
	stored := s.flights.stored.Load()
	var known *provider.Entry
	if entry, found := s.get(ctx, key); found {
		known = &entry
	}
	return readOne(ctx, &s.keyspace, key, load, ttls, toRead, stored, known)
}

// Refresh loads the value under key now, whatever is stored, and stores it: after a change of the
// source that nobody announced, or to have a value before the first read. It returns the value of a
// load that began after Refresh did: its own load, or one that another reader began meanwhile.
//
// Other readers get what is stored until the new value replaces it. If the load fails, the stored
// value stays, and Refresh returns the error and no stale value. [ScopeOptions.ErrorTTL] and
// [ScopeOptions.RetryAfter] do not keep it from loading. An invalidation during the load wins, as
// for [Wrap]: the value is returned and not stored.
//
// A store with leases that is no [provider.Refresher] cannot replace an entry. There the entry is
// removed first. Everything else that Wrap says holds, too.
func Refresh[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (T, error) {
	ttls, err := checkRead[T](ctx, "Refresh", s, key, load != nil, options)
	if err != nil {
		var none T
		return none, err
	}
	if s.isDirect(ctx, key) {
		return direct(ctx, &s.keyspace, load)
	}
	result, err := readOne(ctx, &s.keyspace, key, load, ttls, toReplace, s.flights.stored.Load(), nil)
	return result.Value, err
}

// checkRead returns the TTLs of a read of one key by the function of that name, or the error of a bad
// argument (G10).
func checkRead[T any](ctx context.Context, function string, s *CachedScope, key string, hasLoad bool, options []CallOption) (ttls, error) {
	ttls, err := checkReads[T](function, s, true, hasLoad, options)
	if err == nil {
		err = s.checkKey(ctx, key)
	}
	return ttls, err
}

// checkReads is the part of checkRead that has one result for every call of a memoized function.
// Memoize runs it once.
func checkReads[T any](function string, s *CachedScope, hasKey, hasLoad bool, options []CallOption) (ttls, error) {
	switch {
	case !s.isMade():
		return ttls{}, errNoScope
	case !hasKey:
		return ttls{}, errNoArgument(function, s, "key")
	case !hasLoad:
		return ttls{}, errNoArgument(function, s, "load")
	case s.encodes && isInterface[T]():
		return ttls{}, errInterface[T]()
	default:
		return s.options.ttls(options)
	}
}

// errNoArgument is the error of a call with a nil function.
func errNoArgument(function string, s *CachedScope, argument string) error {
	return fmt.Errorf("readthrough: %s: scope %q: %s: must not be nil", function, s.name, argument)
}

// ---- a look into the store

// look is what quick has found out. It is two words, so a hit pays nothing for it.
type look struct {
	// stored is flights.stored before the store was asked: see flights.stored.
	stored uint64
	// is: Present is a hit, Unsure means that lookUp has to be asked.
	is provider.Presence
	// sampled says that the hit is to be sampled.
	sampled bool
}

// quick answers a read from a store that has values without their entries. Most hits take this
// path. key may be a buffer that its caller uses again, if the observer has no Hit.
func quick[T any](ctx context.Context, s *keyspace, key string) (value T, l look) {
	l.stored = s.flights.stored.Load()
	if s.isDirect(ctx, key) {
		l.is = provider.Missing // readKey asks again
		return value, l
	}
	var given any
	if given, l.is = s.getValue(ctx, key); l.is != provider.Present {
		return value, l
	}
	value, err := valueOf[T](given)
	if err != nil {
		l.is = provider.Unsure
		return value, l
	}
	l.sampled = s.hit(ctx, key, s.backend.Near)
	return value, l
}

// readKey answers a read that quick has not answered.
func readKey[T any](ctx context.Context, s *keyspace, key string, load func(context.Context) (T, error), ttls ttls, l look) (T, error) {
	if s.isDirect(ctx, key) {
		return direct(ctx, s, load)
	}
	value, entry, answered, err := lookUp[T](ctx, s, key, &l)
	if answered {
		if l.sampled {
			sampleOne(ctx, s, key, load)
		}
		return value, err
	}
	result, err := readOne(ctx, s, key, load, ttls, toRead, l.stored, entry)
	return result.Value, err
}

// lookUp asks the store for the entry under key, if quick does not know that there is none. It
// answers the read if the entry is served as it is; err is then the error of an absence. If not, it
// returns the entry for readOne, so the store is asked once; nil: there is none.
func lookUp[T any](ctx context.Context, s *keyspace, key string, l *look) (value T, stored *provider.Entry, answered bool, err error) {
	if l.is == provider.Missing {
		return value, nil, false, nil
	}
	entry, found := s.get(ctx, key)
	switch {
	case !found:
		return value, nil, false, nil
	case s.freshness(&entry) != fresh:
		return value, boxed(entry), false, nil //nolint:modernize // see boxed
	case entry.Absent:
		l.sampled = s.hit(ctx, key, entry.Near)
		return value, nil, true, s.absent
	}
	value, err = valueOf[T](entry.Value)
	if err != nil {
		s.report(ctx, opGet, key, err)
		return value, nil, false, nil
	}
	l.sampled = s.hit(ctx, key, entry.Near)
	return value, nil, true, nil
}

// boxed moves an entry to the heap. An entry that is served at once stays off it: only boxed makes
// its argument escape.
func boxed(e provider.Entry) *provider.Entry { return &e } //nolint:modernize // new(e) in its place moves e to the heap

// ---- a read of one key

// one is a read of one key, with its typed end. It is one piece of memory, which the next read uses
// again (engine.reads): nothing keeps a read after its end, since its calls have a loader of
// their own.
type one[T any] struct {
	read

	loadOne func(context.Context) (T, error)
	result  Result[T]
	// absence is why there is no value, if the source has none.
	absence error
	// room is the memory of the read's items.
	room [1]item
}

// readOne answers a read that lookUp has not answered. entry is what is stored; nil: nothing, or
// the caller does not want it. stored is flights.stored before the store was asked.
func readOne[T any](ctx context.Context, s *keyspace, key string, load func(context.Context) (T, error), ttls ttls, purpose purpose, stored uint64, entry *provider.Entry) (Result[T], error) {
	pool := poolOf[T](s.engine)
	o, ok := pool.Get().(*one[T])
	if !ok {
		o = new(one[T])
	}
	o.loadOne = load
	r := &o.read
	r.scope, r.target, r.ttls, r.purpose, r.stored = s, o, ttls, purpose, stored
	o.room[0].key = key
	r.items, r.single = o.room[:], true
	err := o.answer(ctx, entry)
	result := o.result
	*o = one[T]{}
	pool.Put(o)
	return result, err
}

// poolOf returns the pool of reads of one T.
func poolOf[T any](e *engine) *sync.Pool {
	t := reflect.TypeFor[T]()
	pool, ok := e.reads.Load(t)
	if !ok {
		pool, _ = e.reads.LoadOrStore(t, new(sync.Pool))
	}
	return pool.(*sync.Pool) //nolint:errcheck,forcetypeassert // nothing else is stored
}

// answer sets the result of the read, or returns its error.
func (o *one[T]) answer(ctx context.Context, entry *provider.Entry) error {
	r, s, key := &o.read, o.scope, o.room[0].key
	if entry != nil && r.serve(ctx, &o.room[0], entry) {
		if s.hit(ctx, key, r.near > 0) {
			sampleOne(ctx, s, key, o.loadOne)
		}
		r.refresh(ctx)
		return o.absence
	}
	if r.purpose == toRead {
		s.stats.misses.Add(1)
		s.tell(ctx, s.observer.Miss, Event{Key: key, Count: 1})
	}
	if err := r.miss(ctx); err != nil {
		o.result = Result[T]{Value: o.result.Value}
		return err
	}
	return o.absence
}

func (o *one[T]) loader() loader { return &oneLoader[T]{o.scope, o.loadOne} }

func (*one[T]) decode(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (o *one[T]) put(_ *item, stored any, source Source, loadedAt time.Time, why error) error {
	value, err := valueOf[T](stored)
	if err == nil {
		o.result = Result[T]{Value: value, Source: source, Age: age(loadedAt), Err: why}
	}
	return err
}

func (o *one[T]) absent(_ *item, err error) {
	if o.absence = err; err == nil {
		o.absence = o.scope.absent
	}
}

// oneLoader is the typed end of a call that loads one key. It is apart from the read, which the call
// may outlast.
type oneLoader[T any] struct {
	scope   *keyspace
	loadOne func(context.Context) (T, error)
}

// load runs the load function. An absence is an outcome, and not an error of the load.
func (l *oneLoader[T]) load(ctx context.Context, flights []*flight) error {
	value, err := l.loadOne(ctx)
	err = backend.Sane(err)
	switch {
	case err == nil:
		flights[0].outcome = outcome{known: true, entry: provider.Entry{Value: value}}
	case l.scope.isNotFound(err):
		flights[0].outcome = outcome{known: true, entry: provider.Entry{Absent: true}, err: l.scope.absence(err)}
	default:
		return err
	}
	return nil
}

func (*oneLoader[T]) decode(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (*oneLoader[T]) isLoaded(stored any) bool { return holdsA[T](stored) }
