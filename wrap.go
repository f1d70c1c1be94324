package readthrough

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// quick answers a read from a store that has values without their entries, if it is a
// hit which takes nothing but a look at the value. If it is none, lookUp has to be
// asked. key may be a buffer that is used again, if there is no observer.
func quick[T any](ctx context.Context, s *keyspace, key string) (value T, is provider.Presence) {
	given, is := s.getValue(ctx, key)
	if is != provider.Present {
		return value, is
	}
	value, err := valueOf[T](given)
	if err != nil {
		return value, provider.Unsure
	}
	s.hit(key)
	return value, provider.Present
}

// lookUp answers a read that quick has not, if there is an entry that is served as it
// is. Otherwise, entry is what there is; nil: nothing.
func lookUp[T any](ctx context.Context, s *keyspace, key string, is provider.Presence) (value T, hit bool, entry *provider.Entry, err error) {
	if is == provider.Missing {
		return value, false, nil, nil
	}
	e, found := s.get(ctx, key)
	if !found {
		return value, false, nil, nil
	}
	if s.standing(&e) != fresh {
		return value, false, boxed(e), nil
	}
	value, err, hit = valueIn[T](s, key, &e)
	if hit {
		s.hit(key)
	}
	return value, hit, nil, err
}

// boxed moves an entry to the heap; what is served at once stays off it.
func boxed(e provider.Entry) *provider.Entry { return &e }

// valueIn returns what a reader gets from a stored entry. ok is false if the entry
// cannot be read as a T, which is then reported.
func valueIn[T any](s *keyspace, key string, entry *provider.Entry) (value T, err error, ok bool) {
	if entry.Absent {
		return value, s.absent, true
	}
	value, err = valueOf[T](entry.Value)
	if err != nil {
		s.report(OpGet, key, err)
		return value, nil, false
	}
	return value, nil, true
}

// one is a read of one key.
type one[T any] struct {
	read
	loadOne func(context.Context) (T, error)
	result  Result[T]
	absence error // why there is no value
}

// readOne returns what a reader gets that lookUp has not answered.
func readOne[T any](ctx context.Context, s *keyspace, key string, stored uint64, load func(context.Context) (T, error), lives lifetimes, purpose purpose, entry *provider.Entry) (Result[T], error) {
	o := &one[T]{loadOne: load}
	r := &o.read
	r.scope, r.target, r.lives, r.purpose, r.stored = s, o, lives, purpose, stored
	r.one[0].key = key
	r.items, r.single = r.one[:], true
	if entry != nil && r.serve(ctx, &r.one[0], entry) {
		s.hit(key)
		r.refresh(ctx)
		return o.result, o.absence
	}
	if purpose == toRead {
		s.stats.misses.Add(1)
		s.happened(EventMiss, key, 1, nil)
	}
	if err := r.miss(ctx); err != nil {
		return Result[T]{Value: o.result.Value}, err
	}
	return o.result, o.absence
}

func (o *one[T]) load(ctx context.Context, flights []*flight) error {
	value, err := o.loadOne(ctx)
	switch {
	case err == nil:
		flights[0].outcome = outcome{known: true, entry: provider.Entry{Value: value}}
	case o.scope.isNotFound(err):
		flights[0].outcome = outcome{known: true, entry: provider.Entry{Absent: true}, err: o.scope.absence(err)}
	default:
		return err
	}
	return nil
}

func (*one[T]) adopt(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (*one[T]) holds(stored any) bool { return holds[T](stored) }

func (*one[T]) keep() {}

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

func (o *one[T]) loadAlone(ctx context.Context, _ []item) error {
	value, err := loadAlone(ctx, o.loadOne)
	if err != nil && o.scope.isNotFound(err) {
		err = o.scope.absence(err)
	}
	o.result = Result[T]{Value: value, Source: FromLoad}
	return err
}

// Refresh loads the value under key now, whatever is stored, and stores it: after
// a change of the source that nobody announced, or to have a value before the
// first read. It returns what was loaded by a load that began after Refresh did:
// this one, or one that others began meanwhile.
//
// What is stored is served to others until the new value replaces it, and stays if
// the load fails; Refresh then returns the error, without a stale value. A store
// with leases that is no provider.Refresher cannot do that: there it is removed
// first. An invalidation that comes while it loads wins, as for [Wrap], of which all
// else holds too.
func Refresh[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (T, error) {
	lives, err := checkRead(ctx, s, key, load != nil, options)
	if err != nil {
		var none T
		return none, err
	}
	result, err := readOne(ctx, &s.keyspace, key, s.flights.stored.Load(), load, lives, toReplace, nil)
	return result.Value, err
}

// WrapResult is [Wrap] for callers who want to know where the value comes from,
// and how old it is. With an error there is no value.
func WrapResult[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (Result[T], error) {
	lives, err := checkRead(ctx, s, key, load != nil, options)
	if err != nil {
		return Result[T]{}, err
	}
	stored := s.flights.stored.Load()
	entry, found := s.get(ctx, key)
	if !found {
		return readOne(ctx, &s.keyspace, key, stored, load, lives, toRead, nil)
	}
	return readOne(ctx, &s.keyspace, key, stored, load, lives, toRead, &entry)
}

// Wrap returns the value under key: from the store, or else from load, whose
// result is then stored for the scope's TTL.
//
// However many ask for a key that is not stored, one load runs for all of them,
// in a goroutine of its own. It has the values of the first caller's context but
// not its cancellation: each caller waits on its own context, and when the last
// one has left, the context of the load is cancelled. A load error, a panic (as
// [*PanicError]) and [ErrGoexit] reach all who wait, and nothing is stored.
//
// If load returns an error that matches [ErrNotFound] or [ScopeOptions.NotFound],
// the absence is stored for [ScopeOptions.NegativeTTL]. nil pointers, zero values
// and empty slices are ordinary values.
//
// A read that begins after an invalidation of key returned never gets a value
// that was loaded before the invalidation began. A store that fails or hangs
// does not fail the read: load answers. An error of Wrap is therefore one of load
// or of ctx, or it names a bad argument; or it is [ErrLoadTimeout], [ErrClosed]
// or [ErrRecursiveLoad].
//
// The value is shared by all who read it: do not change what it points to.
func Wrap[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (T, error) {
	lives, err := checkRead(ctx, s, key, load != nil, options)
	if err != nil {
		var none T
		return none, err
	}
	stored := s.flights.stored.Load()
	value, is := quick[T](ctx, &s.keyspace, key)
	if is == provider.Present {
		return value, nil
	}
	value, hit, entry, err := lookUp[T](ctx, &s.keyspace, key, is)
	if hit {
		return value, err
	}
	result, err := readOne(ctx, &s.keyspace, key, stored, load, lives, toRead, entry)
	return result.Value, err
}

// checkRead returns the TTLs of a read, or an error that says what is wrong with
// its arguments.
func checkRead(ctx context.Context, s *CachedScope, key string, hasLoad bool, options []CallOption) (lifetimes, error) {
	lives, err := checkReads(s, true, hasLoad, options)
	if err == nil {
		err = s.checkKey(ctx, key)
	}
	return lives, err
}

// checkReads is checkRead for what is the same for every call of a function.
func checkReads(s *CachedScope, hasKey, hasLoad bool, options []CallOption) (lifetimes, error) {
	switch {
	case !s.isMade():
		return lifetimes{}, errNoScope
	case !hasKey:
		return lifetimes{}, errors.New("readthrough: key: must not be nil")
	case !hasLoad:
		return lifetimes{}, errors.New("readthrough: load: must not be nil")
	default:
		return s.options.lifetimes(options)
	}
}
