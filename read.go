package readthrough

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// read is what one Wrap or WrapMany does about the keys that the store has not answered at once. It
// goes round until no item is left:
//
//	join   flights, or make a call for the keys that have none
//	wait   for the calls
//	take   the outcomes that the read may take
//	look   into the store again for the keys whose outcomes came too late
//
// A key goes round twice at most, unless its load is cancelled: the second flight begins after the
// read has joined the first one (epoch.go).
//
// Single and bulk reads are one algorithm, so a rule is written and tested once. A read knows
// neither the type of the values nor the type of the ids: its target does. It is not generic,
// because a generic copy of the loop for each type would cost more code than the two interface
// calls for each key.
//
// Invariant: each key of the read is in exactly one place. It is answered (its value is in the
// target), it has failed (its error is in the list), or it is in items. A read belongs to the
// goroutine of its reader, and has no lock.
type read struct {
	request

	scope  *keyspace
	target target
	ttls   ttls
	// toRefresh are the items that were answered and are to be loaded again in the background.
	toRefresh []item
	// near counts the items that the memory in front of the store has answered.
	near int
	// fallbacks: some item has a fallback.
	fallbacks bool
	// single: the store is asked by Get, not by GetMany.
	single bool
}

// target is the typed end of a read: its load function, and the place where its values go. one and
// bulk implement it.
type target interface {
	decoder
	// loader returns the typed end of a call that this read starts. The call may outlast the read,
	// so it must not share memory that the read or its caller uses again.
	loader() loader
	// put sets the value of an item. If stored cannot be read as the type of the values, put
	// returns an error and sets nothing. why is the error in place of which a stale value is
	// served.
	put(i *item, stored any, source Source, loadedAt time.Time, why error) error
	// absent records that the source has nothing. err is how the load said so; nil for an absence
	// from the store.
	absent(i *item, err error)
}

// ---- what the store has

// look answers the items that the store has, leaves the others in items, and starts the refresh of
// the items that are due.
func (r *read) look(ctx context.Context) {
	switch {
	case len(r.items) == 0:
	case r.single:
		if entry, found := r.scope.get(ctx, r.items[0].key); found && r.serve(ctx, &r.items[0], &entry) {
			r.items = r.items[:0]
		}
	default:
		r.lookMany(ctx)
	}
	r.refresh(ctx)
}

// lookMany is look for many items. It keeps the items that are left in the order of the ids,
// because a load function gets its ids in that order.
func (r *read) lookMany(ctx context.Context) {
	bypassed := r.takeBypassed()
	results := r.scope.getMany(ctx, len(r.items), func(i int) string { return r.items[i].key }, r.scope.reportGet)
	left := r.items[:0]
	for n := range results {
		i := &r.items[n]
		if !results[n].Found || !r.serve(ctx, i, &results[n].Entry) {
			left = append(left, *i)
		}
	}
	r.items = left
	if len(bypassed) > 0 {
		r.add(bypassed)
	}
}

// takeBypassed takes those items out for whose keys the read must not ask the store.
func (r *read) takeBypassed() (out []item) {
	g := &r.scope.flights
	if g.bypassing.Load() == 0 {
		return nil
	}
	r.items = slices.DeleteFunc(r.items, func(i item) bool {
		if g.bypasses(i.key) {
			out = append(out, i)
			return true
		}
		return false
	})
	return out
}

// add adds items, and restores the order of the ids.
func (r *read) add(items []item) {
	r.items = append(r.items, items...)
	slices.SortFunc(r.items, func(a, b item) int { return a.index - b.index })
}

// serve answers an item with entry, if entry may be served at once, and reports whether it did.
// Otherwise it keeps of entry what the item needs: a fallback, and what the load will replace.
//
// A read inside the load function of the same key does not get an entry that is due: that is what
// the load is to replace. It then waits for its own load, which is ErrRecursiveLoad.
func (r *read) serve(ctx context.Context, i *item, entry *provider.Entry) bool {
	if i.alone {
		return false // whatever is stored, by whomever
	}
	is := r.scope.freshness(entry)
	if (is == early || is == stale) && isLoadOf(ctx, i.key) {
		is = expired // a load does not get what it is to replace: it waits for itself, which is an error
	}
	if i.replaces != nil {
		i.replace(time.Time{}) // the entry is one of an earlier look
	}
	if is == fresh && entry.Absent {
		r.target.absent(i, nil)
		r.countNear(entry)
		return true
	}
	if is == ifError {
		r.keepFallback(ctx, i, entry)
		return false
	}
	if is == expired {
		i.replace(entry.LoadedAt)
		return false
	}
	source := FromStore
	switch {
	case is == stale:
		source = FromStale
	case entry.Near:
		source = FromNear
	}
	if err := r.target.put(i, entry.Value, source, entry.LoadedAt, nil); err != nil {
		r.scope.report(ctx, opGet, i.key, err)
		return false
	}
	r.countNear(entry)
	if is == stale {
		r.scope.servedStale(ctx, i.key, 1, nil)
	}
	if is != fresh {
		i.replace(entry.LoadedAt)
		r.toRefresh = append(r.toRefresh, *i)
	}
	return true
}

func (r *read) countNear(entry *provider.Entry) {
	if entry.Near {
		r.near++
	}
}

// keepFallback keeps an entry whose TTL is over, for the case that the load fails or takes long.
func (r *read) keepFallback(ctx context.Context, i *item, entry *provider.Entry) {
	var value any
	if !entry.Absent {
		var err error
		if value, err = r.target.decode(*entry); err != nil {
			r.scope.report(ctx, opGet, i.key, err)
			return
		}
	}
	i.replace(entry.LoadedAt)
	i.replaces.fallback, i.replaces.absent, i.replaces.hasFallback, r.fallbacks = value, entry.Absent, true, true
}

// refresh starts one load in the background for all items that are due. startRefresh leaves out
// keys that are being loaded, and keys whose load failed a short time ago.
func (r *read) refresh(ctx context.Context) {
	if len(r.toRefresh) == 0 {
		return
	}
	if c := r.scope.flights.startRefresh(ctx, r.toRefresh, r.stored); c != nil {
		r.start(c)
	}
	r.toRefresh = nil
}

// start starts a call that this read has made.
func (r *read) start(c *call) {
	c.ttls = r.ttls
	r.scope.start(c, r.target.loader())
}

// ---- what loads bring

// miss answers all items by loads, its own and those of other readers. It returns the errors of the
// items that have failed.
//
// Each later round takes stored anew and looks into the store, in this order. The flights of the
// last round may have found or loaded what another process had invalidated before this read began.
// The next ones begin after it.
func (r *read) miss(ctx context.Context) error {
	var errs errorList
	for len(r.items) > 0 {
		if err := ctx.Err(); err != nil {
			return errs.with(err)
		}
		if err := r.wait(ctx, &errs); err != nil {
			return errs.with(err)
		}
		if len(r.items) > 0 && r.purpose != toReplace {
			r.look(ctx)
		}
	}
	return errs.with(nil)
}

// wait gets a flight for each item, waits for their calls, and takes what they have brought.
//
// If a function of the user ends the goroutine, or the reader's context panics, the reader leaves the
// calls: the last reader of a load ends it.
func (r *read) wait(ctx context.Context, errs *errorList) error {
	j, err := r.scope.flights.join(ctx, &r.request)
	if err != nil {
		return err
	}
	if j.own != nil {
		r.start(j.own)
	}
	var joined time.Time
	if r.scope.observer.Waited != nil && j.others > 0 {
		joined = time.Now()
	}
	waited := false
	defer func() {
		if !waited {
			r.scope.flights.leaveAll(j.calls, j.gone, ErrGoexit)
		}
	}()
	if j.others > 0 {
		r.scope.stats.joined.Add(int64(j.others))
		r.scope.tell(ctx, r.scope.observer.Join, Event{Key: r.onlyKey(), Count: j.others})
	}
	r.takeFailed(ctx, j.failed, errs)
	if len(r.items) > 0 {
		r.scope.waitAll(ctx, &j, r.haveFallbacks)
		waited = true
		r.tellWaited(ctx, &j, joined)
		r.collect(ctx, j.gone, errs)
		r.stored = r.scope.flights.stored.Load()
	}
	waited = true
	return nil
}

// tellWaited tells of the loads of others that the read has waited for until they ended. A zero joined means
// that there are none, or that nobody wants to know.
func (r *read) tellWaited(ctx context.Context, j *joined, since time.Time) {
	if since.IsZero() {
		return
	}
	took := time.Since(since)
	for _, c := range j.calls {
		if c == j.own || j.gone[c] != nil {
			continue
		}
		event := Event{Key: r.onlyKey(), Began: since, Duration: took, Load: c.loadCtx} // it has landed
		for i := range r.items {
			if r.items[i].flight.call == c {
				event.Count++
			}
		}
		r.scope.tell(ctx, r.scope.observer.Waited, event)
	}
}

// onlyKey returns the key of the only item, or "" if there are more.
func (r *read) onlyKey() string {
	if len(r.items) == 1 {
		return r.items[0].key
	}
	return ""
}

// takeFailed answers the items that are not loaded because their last load failed: by their
// fallbacks, or by that error.
func (r *read) takeFailed(ctx context.Context, items []failed, errs *errorList) {
	for n := range items {
		i := &items[n]
		if !i.hasFallback() || !r.fallBack(ctx, &i.item, i.err) {
			errs.addOnce(i.err)
		}
	}
}

// haveFallbacks reports whether all items that wait for c have a fallback. Only then may the read
// leave c early.
func (r *read) haveFallbacks(c *call) bool {
	if !r.fallbacks {
		return false
	}
	for i := range r.items {
		if r.items[i].flight.call == c && !r.items[i].hasFallback() {
			return false
		}
	}
	return true
}

// collect answers the items whose outcomes the read may take. It leaves those whose outcomes came too
// late for it, and those that it has to load alone. gone are the calls that the reader has left, with
// the reasons.
func (r *read) collect(ctx context.Context, gone map[*call]error, errs *errorList) {
	r.scope.flights.markLate(&r.request, gone)
	left := r.items[:0]
	for n := range r.items {
		i := &r.items[n]
		c := i.flight.call
		switch is, err := r.take(ctx, i, gone[c]); is {
		case answered:
		case hasFailed:
			errs.addOf(c, err, gone[c] != nil && ctx.Err() != nil)
		case hasOtherType:
			r.scope.report(ctx, opGet, i.key, err) // the reader that began the flight loads another type
			fallthrough
		case isPrivate:
			i.alone = true
			fallthrough
		case cameLate:
			left = append(left, *i)
		}
	}
	r.items = left
}

// taken is what became of an item whose flight has ended.
type taken uint8

const (
	// answered: the item has its value, or its absence.
	answered taken = iota
	// hasFailed: the load has failed, or the reader has left it.
	hasFailed
	// cameLate: the read began too late for the outcome.
	cameLate
	// hasOtherType: the outcome is of another type than the read's.
	hasOtherType
	// isPrivate: the outcome is for the reader that began the load.
	isPrivate
)

// take answers an item with the outcome of its flight, if the read may take that. left is why the
// reader has left the call; nil: it has not.
func (r *read) take(ctx context.Context, i *item, left error) (taken, error) {
	if left == errEndless { //nolint:errorlint // the very error of awaitEnd
		return cameLate, nil
	}
	if left == nil && r.isForOthers(i) {
		return isPrivate, nil
	}
	o, err := &i.flight.outcome, left
	if err == nil && !i.late && o.failed() {
		err = o.err
	}
	switch {
	case err != nil && i.hasFallback() && mayFallBack(ctx, err) && r.fallBack(ctx, i, err):
	case err != nil:
		return hasFailed, err
	case i.late:
		return cameLate, nil
	case o.entry.Absent:
		r.target.absent(i, o.err)
	default:
		if err := r.target.put(i, o.entry.Value, o.source(), o.entry.LoadedAt, nil); err != nil {
			return hasOtherType, err
		}
	}
	return answered, nil
}

// isForOthers reports whether the outcome of an item's flight, be it an error, is for the reader alone that began
// the load.
func (r *read) isForOthers(i *item) bool {
	return !i.late && i.flight.outcome.private && i.flight.call != r.own
}

// fallBack answers an item with its fallback, in place of err.
func (r *read) fallBack(ctx context.Context, i *item, err error) bool {
	r.scope.servedStale(ctx, i.key, 1, err)
	if i.replaces.absent {
		r.target.absent(i, nil)
		return true
	}
	return r.target.put(i, i.replaces.fallback, FromStale, i.replaces.loadedAt, err) == nil
}

// mayFallBack reports whether a stale value may be served in place of err: not if the reader's
// context has ended, if the cache is closed, or if the read waits for itself. ErrStillLoading is
// the error of a reader that has left a load for its fallback, so it always falls back.
func mayFallBack(ctx context.Context, err error) bool {
	if err == ErrStillLoading { //nolint:errorlint // a load function that returns it means something else
		return true
	}
	return ctx.Err() == nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrRecursiveLoad)
}

// errorList has the errors of a read. The error of a load is in it once, not once for each key: a
// bulk load that failed is one error (G8).
type errorList struct {
	list []error
	// of has the calls whose error is in the list.
	of map[*call]error
	// left: the list has the error of the reader's own context.
	left bool
}

func (l *errorList) add(err error) { l.list = append(l.list, err) }

// addOnce adds err unless it is there.
func (l *errorList) addOnce(err error) {
	if !slices.ContainsFunc(l.list, func(other error) bool { return same(other, err) }) {
		l.add(err)
	}
}

// addOf adds the error of c, once. ended says that err is the end of the reader's context, which is
// the same error for all calls.
func (l *errorList) addOf(c *call, err error, ended bool) {
	if before := l.of[c]; before != nil && (same(before, err) || !reflect.ValueOf(err).Comparable()) || ended && l.left {
		return
	}
	if l.of == nil {
		l.of = make(map[*call]error)
	}
	l.of[c], l.left = err, l.left || ended
	l.add(err)
}

// with returns all errors and err as one, or nil if there are none.
func (l *errorList) with(err error) error {
	if len(l.list) == 0 {
		return err
	}
	return joinErrors(append(l.list, err)...)
}
