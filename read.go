package readthrough

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// read is one run of [Wrap] for a key whose value is not simply there.
type read[T any] struct {
	scope  *CachedScope
	key    string
	load   func(context.Context) (T, error)
	lives  lifetimes
	stored uint64 // what flights.stored was before the store was asked
	failed uint64 // what flights.failed was before the reader asked whether the key had
	// loaded says that only a value will do which was loaded since the read began.
	loaded bool

	began moment    // when the read began, or a little later; zero: not yet
	seen  time.Time // the LoadedAt of what was found and is to be replaced
	// spare is a stale value for want of another, if hasSpare. It was in the store
	// after the read had begun, so whatever was invalidated before that, it was not
	// this.
	spare    Result[T]
	spareAt  time.Time // its LoadedAt
	hasSpare bool
}

func newRead[T any](s *CachedScope, key string, stored uint64, load func(context.Context) (T, error), lives lifetimes) *read[T] {
	return &read[T]{scope: s, key: key, stored: stored, load: load, lives: lives}
}

// answer returns what the reader gets who was the first to look at entry, if it was
// found.
func (r *read[T]) answer(ctx context.Context, entry *provider.Entry, found bool) (Result[T], error) {
	s := r.scope
	if found {
		if result, err, ok := r.serve(ctx, entry); ok {
			s.hit(r.key)
			return result, err
		}
	}
	s.stats.misses.Add(1)
	s.happened(EventMiss, r.key, 1, nil)
	return r.miss(ctx)
}

// serve returns what the reader gets from an entry at once, and has it replaced in
// the background if that is due. ok is false if the reader has to load; the entry
// may then be a spare.
func (r *read[T]) serve(ctx context.Context, entry *provider.Entry) (result Result[T], err error, ok bool) {
	is := r.scope.standing(entry)
	if is == expired {
		r.seen = entry.LoadedAt
		return result, nil, false
	}
	result.Value, err, ok = valueIn[T](r.scope, r.key, entry)
	if !ok {
		return result, nil, false
	}
	result.Source, result.Age = FromStore, age(entry.LoadedAt)
	switch is {
	case fresh:
		return result, err, true
	case early, stale:
		if loads(ctx, r.key) {
			return Result[T]{}, ErrRecursiveLoad, true
		}
		if is == stale {
			result.Source = FromStale
			r.scope.servedStale(r.key, 1, nil)
		}
		r.refresh(ctx, entry)
		return result, err, true
	default:
		result.Source = FromStale
		r.seen, r.spareAt, r.spare, r.hasSpare = entry.LoadedAt, entry.LoadedAt, result, true
		return Result[T]{}, nil, false
	}
}

// loads reports whether ctx is that of a load of key. Such a load must not be
// served the value that it is to replace.
func loads(ctx context.Context, key string) bool {
	c := parentCall(ctx)
	return c != nil && c.flightOf(key) != nil
}

// refresh begins a load in the background that replaces entry, unless there is
// one, or the last one has failed a short time ago.
func (r *read[T]) refresh(ctx context.Context, entry *provider.Entry) {
	s := r.scope
	c := s.flights.boardRefresh(ctx, &request{
		keys: []string{r.key}, seen: []time.Time{entry.LoadedAt}, stored: r.stored, purpose: toRefresh,
	})
	if c == nil {
		return
	}
	c.lives = r.lives
	s.start(c, &single[T]{scope: s, loadOne: r.load})
}

// miss returns what the reader gets who has to load, alone or with others.
func (r *read[T]) miss(ctx context.Context) (Result[T], error) {
	s := r.scope
	for {
		if err := ctx.Err(); err != nil {
			return Result[T]{}, err
		}
		r.failed = s.flights.failed.Load()
		if !r.loaded {
			if resting, err := s.flights.resting(r.key); resting && r.hasSpare {
				return r.fallBack(err), nil
			}
			if err := s.flights.lastError(r.key); err != nil && !r.hasSpare {
				return Result[T]{}, err
			}
		}
		f, err := r.fly(ctx)
		switch {
		case err == errFailedMeanwhile: //nolint:errorlint // it is returned as it is
			continue
		case err != nil && r.mayFallBack(ctx, err):
			return r.fallBack(err), nil
		case err != nil:
			return Result[T]{}, err
		case f != nil:
			return r.take(ctx, f)
		}
		// Somebody else may have invalidated what this flight found or loaded, before
		// this reader began. The next flight begins after it.
		r.stored = s.flights.stored.Load()
		if result, err, ok := r.lookAgain(ctx); ok {
			return result, err
		}
	}
}

// lookAgain returns what the reader gets from the store after a flight of which it
// could take nothing. ok is false if there is nothing to be had there.
func (r *read[T]) lookAgain(ctx context.Context) (result Result[T], err error, ok bool) {
	if r.loaded {
		return result, nil, false
	}
	entry, found := r.scope.get(ctx, r.key)
	if !found {
		return result, nil, false
	}
	return r.serve(ctx, &entry)
}

// fly boards a flight of the key and waits for it. It returns nil if the reader
// began too late to take what it brought.
func (r *read[T]) fly(ctx context.Context) (*flight, error) {
	s := r.scope
	want := &request{keys: []string{r.key}, stored: r.stored, failed: r.failed, purpose: toRead}
	if !r.seen.IsZero() {
		want.seen = []time.Time{r.seen}
	}
	if r.loaded {
		want.purpose = toReplace
	}
	b, err := s.flights.board(ctx, want)
	if err != nil {
		return nil, err
	}
	if b.own != nil {
		b.own.lives = r.lives
		s.start(b.own, &single[T]{scope: s, loadOne: r.load})
	} else {
		s.stats.joined.Add(1)
		s.happened(EventJoin, r.key, 1, nil)
	}
	if r.began == 0 {
		r.began = b.began
	}
	f := b.flights[0]
	if gone := s.waitAll(ctx, &b, func(*call) bool { return r.hasSpare }); gone != nil {
		return nil, gone[f.call]
	}
	if s.flights.late(b.flights, nil, r.began, r.loaded) != nil {
		return nil, nil //nolint:nilnil // which fly says
	}
	return f, nil
}

// take returns what the reader gets from a flight that has landed.
func (r *read[T]) take(ctx context.Context, f *flight) (Result[T], error) {
	s := r.scope
	switch o := &f.outcome; {
	case o.err != nil && !o.entry.Absent && r.mayFallBack(ctx, o.err):
		return r.fallBack(o.err), nil
	case o.err != nil:
		return Result[T]{}, o.err
	case o.entry.Absent:
		return Result[T]{}, s.absent
	default:
		value, err := valueOf[T](o.entry.Value)
		if err != nil { // who began the flight loads another type
			s.report(OpGet, r.key, err)
			value, err = loadAlone(ctx, r.load)
			if err != nil && s.isNotFound(err) {
				err = s.absence(err)
			}
			return Result[T]{Value: value, Source: FromLoad}, err
		}
		return Result[T]{Value: value, Source: o.source(), Age: age(o.entry.LoadedAt)}, nil
	}
}

// mayFallBack reports whether the reader gets its spare value instead of err.
func (r *read[T]) mayFallBack(ctx context.Context, err error) bool {
	return r.hasSpare && mayFallBack(ctx, err)
}

// mayFallBack reports whether err is one of a load that a stale value helps
// against: not that the reader's context has ended, or that the read makes no sense.
// A reader that has left because it has a stale value takes it.
func mayFallBack(ctx context.Context, err error) bool {
	if err == ErrStillLoading { //nolint:errorlint // that of a load function is another
		return true
	}
	return ctx.Err() == nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrRecursiveLoad)
}

// fallBack returns the spare value, in place of err.
func (r *read[T]) fallBack(err error) Result[T] {
	r.scope.servedStale(r.key, 1, err)
	r.spare.Err, r.spare.Age = err, age(r.spareAt)
	return r.spare
}

// servedStale counts n keys whose stale values were served, because of err if that
// is not nil.
func (s *CachedScope) servedStale(key string, n int, err error) {
	s.stats.stale.Add(int64(n))
	s.happened(EventStale, key, n, err)
}

// age returns how long ago loadedAt was; 0 if that is not known.
func age(loadedAt time.Time) time.Duration {
	if loadedAt.IsZero() {
		return 0
	}
	return max(0, time.Since(loadedAt))
}

// source returns where a value comes from that a flight has brought.
func (o *outcome) source() Source {
	if o.found {
		return FromStore
	}
	return FromLoad
}
