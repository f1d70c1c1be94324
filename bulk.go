package readthrough

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// read takes the values that are stored and loads the others.
func (r *bulk[ID, T]) read(ctx context.Context, lives lifetimes) error {
	defer r.done()
	r.lives, r.stored = lives, r.scope.flights.stored.Load()
	missing := r.lookUp(ctx, r.scratch.positions[:len(r.ids)])
	r.count(len(missing))
	if len(missing) == 0 {
		return nil
	}
	return r.miss(ctx, missing)
}

// lookUp takes the values that are stored, for the ids at positions, and has those
// replaced in the background that are due. It returns the positions of those that
// have to be loaded.
func (r *bulk[ID, T]) lookUp(ctx context.Context, positions []int) (missing []int) {
	s := r.scope
	asked, missing := r.admitted(positions)
	if s.values && r.results == nil && len(asked) > 0 {
		asked, missing = r.takeValues(ctx, asked, missing)
	}
	var due due
	for n, result := range s.getMany(ctx, len(asked), func(n int) string { return r.keys[asked[n]] }) {
		if i := asked[n]; !result.Found || !r.serve(ctx, i, &result.Entry, &due) {
			missing = append(missing, i)
		}
	}
	if len(due.positions) > 0 {
		r.refresh(ctx, &due)
	}
	slices.Sort(missing) // load functions get ids in their order
	return missing
}

// admitted returns those of positions whose keys the store may be asked for, and the
// others.
func (r *bulk[ID, T]) admitted(positions []int) (admitted, others []int) {
	if r.scope.flights.bypassing.Load() == 0 {
		return positions, nil
	}
	for _, i := range positions {
		if r.scope.flights.bypasses(r.keys[i]) {
			others = append(others, i)
		} else {
			admitted = append(admitted, i)
		}
	}
	return admitted, others
}

// takeValues takes the values that are stored, for the ids at positions, where
// nothing else is needed. It returns the positions of those whose entries have to
// be looked at, and adds those that have none to missing.
func (r *bulk[ID, T]) takeValues(ctx context.Context, positions, missing []int) (unsure, _ []int) {
	s := r.scope
	keys, values := r.scratch.ask(len(positions), func(n int) provider.Key { return s.key(r.keys[positions[n]]) })
	if err := s.cache.backend.getValues(keys, values); err != nil {
		s.reportGet(ctx, "", err)
		return nil, append(missing, positions...)
	}
	for n, i := range positions {
		if values[n].Is == provider.Missing {
			missing = append(missing, i)
			continue
		}
		if values[n].Is == provider.Present {
			if value, err := valueOf[T](values[n].Value); err == nil {
				r.values[r.ids[i]] = value
				continue
			}
		}
		unsure = append(unsure, i)
	}
	return unsure, missing
}

// due are the ids whose values were served and are to be replaced.
type due struct {
	positions []int
	seen      []time.Time
	stale     int // how many of them were stale
}

// serve takes the value of an entry for the id at position i, if it may be served
// at once. It returns false if the id has to be loaded.
func (r *bulk[ID, T]) serve(ctx context.Context, i int, entry *provider.Entry, due *due) bool {
	is := r.scope.standing(entry)
	if is == fresh && entry.Absent {
		return true
	}
	if (is == early || is == stale) && loads(ctx, r.keys[i]) {
		is = expired // waiting for its own load is the error that it gets
	}
	var value T
	if is < expired {
		var err error
		if value, err = valueOf[T](entry.Value); err != nil {
			r.scope.report(OpGet, r.keys[i], err)
			return false
		}
	}
	if is >= fallback {
		if r.found == nil {
			r.found = make(map[int]leftover[T])
		}
		r.found[i] = leftover[T]{seen: entry.LoadedAt, spare: value, isSpare: is == fallback}
		return false
	}
	source := FromStore
	if is == stale {
		source = FromStale
		due.stale++
	}
	if is != fresh {
		due.positions = append(due.positions, i)
		due.seen = append(due.seen, entry.LoadedAt)
	}
	r.put(i, value, source, entry.LoadedAt, nil)
	return true
}

// put sets the value of the id at position i.
func (r *bulk[ID, T]) put(i int, value T, source Source, loadedAt time.Time, err error) {
	if r.results == nil {
		r.values[r.ids[i]] = value
		return
	}
	r.results[r.ids[i]] = Result[T]{Value: value, Source: source, Age: age(loadedAt), Err: err}
}

// refresh begins one load in the background that replaces what is due, but for the
// ids that are being loaded, or whose load failed a short time ago.
func (r *bulk[ID, T]) refresh(ctx context.Context, due *due) {
	s := r.scope
	if due.stale > 0 {
		s.servedStale("", due.stale, nil)
	}
	keys := make([]string, len(due.positions))
	for n, i := range due.positions {
		keys[n] = r.keys[i]
	}
	c := s.flights.boardRefresh(ctx, &request{keys: keys, seen: due.seen, stored: r.stored, purpose: toRefresh})
	if c == nil {
		return
	}
	c.lives = r.lives
	r.keep()
	s.start(c, &bulkJob[ID, T]{bulk: r, positions: due.positions})
}

// count counts a read of which so many ids were missing.
func (r *bulk[ID, T]) count(missing int) {
	s, hits := r.scope, len(r.ids)-missing
	s.stats.hits.Add(int64(hits))
	s.stats.misses.Add(int64(missing))
	if hits > 0 {
		s.happened(EventHit, "", hits, nil)
	}
	if missing > 0 {
		s.happened(EventMiss, "", missing, nil)
	}
}

// miss loads, alone or with others, the ids at the positions missing.
func (r *bulk[ID, T]) miss(ctx context.Context, missing []int) error {
	var errs []error
	for len(missing) > 0 {
		err := ctx.Err()
		if err != nil {
			return join(append(errs, err)...)
		}
		r.failed = r.scope.flights.failed.Load()
		missing, err = r.takeFailed(missing)
		if errs = append(errs, err); len(missing) == 0 {
			break
		}
		b, err := r.board(ctx, missing)
		if err == errFailedMeanwhile { //nolint:errorlint // it is returned as it is
			continue
		}
		if err != nil {
			return join(append(errs, err)...)
		}
		spare := r.spareCalls(&b, missing)
		gone := r.scope.waitAll(ctx, &b, func(c *call) bool { return spare[c] })
		late, otherType, err := r.collect(ctx, &b, missing, gone)
		errs = append(errs, err)
		if len(otherType) > 0 {
			errs = append(errs, r.loadAlone(ctx, otherType))
		}
		// Somebody else may have invalidated what these flights found or loaded,
		// before this reader began. The next ones begin after it.
		r.stored = r.scope.flights.stored.Load()
		missing = r.lookUp(ctx, late)
	}
	return join(errs...)
}

// takeFailed takes, for ids at positions whose last load failed a short time ago,
// the stale value or that error. It returns the positions of the others.
func (r *bulk[ID, T]) takeFailed(positions []int) (others []int, err error) {
	s := r.scope
	if s.flights.failing.Load() == 0 {
		return positions, nil
	}
	var errs []error
	for _, i := range positions {
		key := r.keys[i]
		if left := r.found[i]; left.isSpare {
			if resting, err := s.flights.resting(key); resting {
				r.fallBack(i, err)
				continue
			}
		} else if err := s.flights.lastError(key); err != nil {
			if !slices.ContainsFunc(errs, func(other error) bool { return same(err, other) }) {
				errs = append(errs, err)
			}
			continue
		}
		others = append(others, i)
	}
	return others, join(errs...)
}

// same reports whether two errors are one: a bulk load fails for many ids with
// one error.
func same(a, b error) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b //nolint:errorlint // identity is meant
}

// board boards a flight for each of the ids at the positions missing, and runs
// the call of those that are new.
func (r *bulk[ID, T]) board(ctx context.Context, missing []int) (boarding, error) {
	s := r.scope
	want := &request{keys: make([]string, len(missing)), stored: r.stored, failed: r.failed}
	if r.found != nil {
		want.seen = make([]time.Time, len(missing))
	}
	for n, i := range missing {
		want.keys[n] = r.keys[i]
		if r.found != nil {
			want.seen[n] = r.found[i].seen
		}
	}
	b, err := s.flights.board(ctx, want)
	if err != nil {
		return boarding{}, err
	}
	if r.began == 0 {
		r.began = b.began
	}
	if b.own != nil {
		b.own.lives = r.lives
		r.keep()
		s.start(b.own, &bulkJob[ID, T]{bulk: r, positions: missing})
	}
	if b.joined > 0 {
		s.stats.joined.Add(int64(b.joined))
		s.happened(EventJoin, "", b.joined, nil)
	}
	return b, nil
}

// spareCalls returns the calls for all of whose flights, among those for the ids
// at the positions missing, there is a stale value.
func (r *bulk[ID, T]) spareCalls(b *boarding, missing []int) map[*call]bool {
	if r.found == nil {
		return nil
	}
	spare := make(map[*call]bool)
	for _, c := range b.calls {
		spare[c] = true
	}
	for n, f := range b.flights {
		if !r.found[missing[n]].isSpare {
			spare[f.call] = false
		}
	}
	return spare
}

// collect takes the outcomes of the flights of b, whose ids are at the positions
// missing. It returns the positions of those that it may not take, because it
// began too late, and of those that were loaded as another type.
func (r *bulk[ID, T]) collect(ctx context.Context, b *boarding, missing []int, gone map[*call]error) (late, otherType []int, err error) {
	told := make(map[*call]bool) // a load that failed is one error, not one for each id
	leftTold := false            // and so is a reader that has left
	var errs []error
	tooLate := r.scope.flights.late(b.flights, gone, r.began, false)
	for n, f := range b.flights {
		i := missing[n]
		err := gone[f.call]
		left := err != nil
		if !left && !tooLate[f] && !f.outcome.entry.Absent {
			err = f.outcome.err
		}
		switch {
		case err != nil && r.found[i].isSpare && mayFallBack(ctx, err):
			r.fallBack(i, err)
		case err != nil:
			if !told[f.call] && !(left && leftTold && ctx.Err() != nil) {
				told[f.call] = true
				errs = append(errs, err)
			}
			leftTold = leftTold || left
		case tooLate[f]:
			late = append(late, i)
		case f.outcome.entry.Absent:
		case !r.takeLoaded(i, &f.outcome):
			otherType = append(otherType, i)
		}
	}
	return late, otherType, join(errs...)
}

// takeLoaded takes the value that was loaded for the id at position i. It returns
// false if it is of another type, which is then reported.
func (r *bulk[ID, T]) takeLoaded(i int, o *outcome) bool {
	value, err := valueOf[T](o.entry.Value)
	if err != nil {
		r.scope.report(OpGet, r.keys[i], err)
		return false
	}
	r.put(i, value, o.source(), o.entry.LoadedAt, nil)
	return true
}

// fallBack takes the stale value of the id at position i, in place of err.
func (r *bulk[ID, T]) fallBack(i int, err error) {
	left := r.found[i]
	r.scope.servedStale(r.keys[i], 1, err)
	r.put(i, left.spare, FromStale, left.seen, err)
}

// loadAlone loads the ids at positions for this reader alone.
func (r *bulk[ID, T]) loadAlone(ctx context.Context, positions []int) error {
	ids := make([]ID, len(positions))
	for n, i := range positions {
		ids[n] = r.ids[i]
	}
	loaded, err := loadAlone(ctx, func(ctx context.Context) (map[ID]T, error) { return r.load(ctx, ids) })
	for _, i := range positions {
		if value, ok := loaded[r.ids[i]]; ok {
			r.put(i, value, FromLoad, time.Time{}, nil)
		}
	}
	return err
}

// bulkJob is the job of the call that a bulk read made.
type bulkJob[ID comparable, T any] struct {
	bulk      *bulk[ID, T]
	positions []int // flight.index is a position in it
}

func (j *bulkJob[ID, T]) id(f *flight) ID { return j.bulk.ids[j.positions[f.index]] }

func (j *bulkJob[ID, T]) load(ctx context.Context, flights []*flight) error {
	ids := make([]ID, len(flights)) // the load function's to keep or change
	for n, f := range flights {
		ids[n] = j.id(f)
	}
	loaded, err := j.bulk.load(ctx, ids)
	used := 0
	for _, f := range flights {
		if value, ok := loaded[j.id(f)]; ok {
			f.outcome = outcome{known: true, entry: provider.Entry{Value: value}}
			used++
		}
	}
	if unexpected := len(loaded) - used; unexpected > 0 {
		j.bulk.scope.report(OpLoad, "", fmt.Errorf("%w: %d of %d", ErrUnexpectedID, unexpected, len(loaded)))
	}
	return err
}

func (*bulkJob[ID, T]) adopt(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (*bulkJob[ID, T]) holds(stored any) bool { return holds[T](stored) }
