package readthrough

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/readthrough/readthrough/provider"
)

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
	value, is := quick[T](ctx, s, key)
	if is == provider.Present {
		return value, nil
	}
	var entry provider.Entry
	value, hit, found, err := lookUp[T](ctx, s, key, is, &entry)
	if hit {
		return value, err
	}
	result, err := newRead(s, key, stored, load, lives).answer(ctx, &entry, found)
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

// quick answers a read from a store that has values without their entries, if it is a
// hit which takes nothing but a look at the value. If it is none, lookUp has to be
// asked. key may be a buffer that is used again, if there is no observer.
func quick[T any](ctx context.Context, s *CachedScope, key string) (value T, is provider.Presence) {
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
// is. Otherwise found says that there is one, which the reader has to look at; it is
// in entry.
func lookUp[T any](ctx context.Context, s *CachedScope, key string, is provider.Presence, entry *provider.Entry) (value T, hit, found bool, err error) {
	if is == provider.Missing {
		return value, false, false, nil
	}
	if *entry, found = s.get(ctx, key); !found || !entry.FreshUntil.IsZero() {
		return value, false, found, nil
	}
	value, err, hit = valueIn[T](s, key, entry)
	if hit {
		s.hit(key)
	}
	return value, hit, hit, err
}

// hit counts a hit.
func (s *CachedScope) hit(key string) {
	s.stats.hits.Add(1)
	s.happened(EventHit, key, 1, nil)
}

// valueIn returns what a reader gets from a stored entry. ok is false if the entry
// cannot be read as a T, which is then reported.
func valueIn[T any](s *CachedScope, key string, entry *provider.Entry) (value T, err error, ok bool) {
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

// valueOf returns a stored value as a T.
func valueOf[T any](stored any) (T, error) {
	if value, ok := stored.(T); ok {
		if _, encoded := stored.(provider.Encoded); !encoded {
			return value, nil
		}
	}
	return convert[T](stored)
}

// convert is valueOf for all but the common case.
func convert[T any](stored any) (T, error) {
	var value T
	if encoded, ok := stored.(provider.Encoded); ok {
		if err := encoded.Decode(&value); err != nil {
			var none T // the codec may have filled a part of value
			return none, err
		}
		return value, nil
	}
	if stored == nil && reflect.TypeFor[T]().Kind() == reflect.Interface {
		return value, nil
	}
	return value, fmt.Errorf("%w: the entry holds a %T, not a %v", ErrTypeMismatch, stored, reflect.TypeFor[T]())
}

// single is the job of a call for one key.
type single[T any] struct {
	scope   *CachedScope
	loadOne func(context.Context) (T, error)
}

func (j *single[T]) load(ctx context.Context, flights []*flight) error {
	value, err := j.loadOne(ctx)
	switch {
	case err == nil:
		flights[0].outcome = outcome{known: true, entry: provider.Entry{Value: value}}
	case j.scope.isNotFound(err):
		flights[0].outcome = outcome{known: true, entry: provider.Entry{Absent: true}, err: j.scope.absence(err)}
	default:
		return err
	}
	return nil
}

func (*single[T]) adopt(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (*single[T]) holds(stored any) bool { return holds[T](stored) }

// holds reports whether a stored value is one that valueOf returns as a T, unless
// its bytes are damaged.
func holds[T any](stored any) bool {
	want := reflect.TypeFor[T]()
	if encoded, ok := stored.(provider.Encoded); ok {
		return want.Kind() == reflect.Interface || encoded.Type == provider.TypeName(want)
	}
	_, ok := stored.(T)
	return ok || stored == nil && want.Kind() == reflect.Interface
}

// loadAlone loads for one reader, past the store and everybody else.
func loadAlone[T any](ctx context.Context, load func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: stack()}
		}
	}()
	return load(ctx)
}

// stack returns the stack of the calling goroutine.
func stack() []byte { return debug.Stack() }
