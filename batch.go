package readthrough

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/readthrough/readthrough/internal/backend"
)

// Batch collects invalidations until the transaction that makes them necessary has ended. What it changes is
// not in the source before its commit, so an invalidation before it would be too early: a reader in between
// would store the old value again.
//
//	batch := cache.Collect()
//	defer batch.Discard() // unless it is done: then nothing was committed
//	if err := change(batch.In(ctx), tx); err != nil {
//		return errors.Join(err, tx.Rollback())
//	}
//	return batch.Done(ctx, tx.Commit())
//
// Get it from [Cache.Collect]. It is safe for concurrent use.
type Batch struct {
	engine *engine

	mu      sync.Mutex // guards following
	ended   bool       // never unset
	stale   []collected
	holds   []held
	emits   []emit
	unholds context.Context //nolint:containedctx // of the last mutation, without its end: to give holds up
}

// collected is what a batch has of one scope.
type collected struct {
	share

	keys map[string]struct{} // those of the share
}

// emit is an emission that waits for the commit.
type emit struct {
	emit func() error
	// ifConfirmed: not if an invalidation is pending.
	ifConfirmed bool
}

// Collect begins a batch, for one transaction. Each batch has to be ended by [Batch.Done] or [Batch.Discard].
// Until then, every read of the cache looks for a value in its context, which costs some nanoseconds.
func (c *Cache) Collect() *Batch {
	if !c.isMade() {
		return new(Batch)
	}
	c.directives.Add(1)
	return &Batch{engine: &c.engine}
}

// In returns a context for everything that runs inside of the transaction. With it, until the batch ends:
//
//   - invalidations, of whatever kind, are only collected, and return nil;
//   - [Mutate] and [Put] run their writes. What has to follow them waits for the commit;
//   - reads bypass the cache, as with [Cache.Bypass]: what is not committed is for nobody else, and what is
//     stored is not what the transaction sees.
//
// ctx must not be nil.
func (b *Batch) In(ctx context.Context) context.Context { return b.with(ctx, false) }

// OnlyWrites is In without its last part: reads go through the cache, except those of keys that the batch has
// collected. It is for transactions whose reads do not use the connection of the transaction. A load that does
// would store what is not committed.
func (b *Batch) OnlyWrites(ctx context.Context) context.Context { return b.with(ctx, true) }

func (b *Batch) with(ctx context.Context, onlyWrites bool) context.Context {
	if b == nil || b.engine == nil || ctx == nil {
		return ctx
	}
	return b.engine.with(ctx, directive{batch: b, onlyWrites: onlyWrites})
}

// Done ends the batch after the transaction. err is what the commit has returned.
//
// If err is nil, everything collected is invalidated, and then the collected mutations emit. If err matches
// [ErrUnchanged], nothing happens. After any other err, nobody knows whether the transaction was committed: the
// batch is invalidated, and nothing is emitted.
//
// Done returns err, joined with [ErrInvalidationPending] if the store does not confirm, with the errors of
// functions Emit, and with [ErrClosed] if the cache was closed. A nil err with [ErrInvalidationPending] means
// that the change is committed. Mutations emit all the same then, unless they have FailWhenPending. With
// [ErrClosed] the change is committed, too; but nothing is invalidated, and nobody would do it later, so nothing is
// emitted, as [Mutate] does not.
//
// If a function Emit panics or calls [runtime.Goexit], the others emit all the same. Then the panic goes on.
//
// The cancellation of ctx does not count. If ctx has another open batch, what this one has collected goes to that
// one: a savepoint inside of a transaction. A batch that has ended returns err.
func (b *Batch) Done(ctx context.Context, err error) error {
	if ctx == nil {
		return joinErrors(err, errNoContext)
	}
	err = backend.Sane(err)
	unchanged := errors.Is(err, ErrUnchanged) // before the lock: the error may be the user's code
	stale, holds, emits, ok := b.end()
	if !ok {
		return err
	}
	after := context.WithoutCancel(ctx)
	if unchanged {
		unholdShares(after, holds)
		return err
	}
	if err != nil {
		emits = nil
	}
	if outer := b.engine.collector(ctx); outer != nil && outer.add(after, stale, holds, emits...) {
		return err // a savepoint
	}
	_, errs := b.engine.settle(ctx, stale, holds)
	errs = append([]error{err}, errs...)
	if errors.Is(joinErrors(errs[1:]...), ErrClosed) {
		emits = nil // others would read what is still stored
	} else if joinErrors(errs...) != nil {
		emits = slices.DeleteFunc(emits, func(e emit) bool { return e.ifConfirmed })
	}
	return joinErrors(append(errs, emitAll(emits)...)...)
}

// emitAll makes emissions, and returns their errors. If one of them panics or ends its goroutine, the others are made
// all the same.
func emitAll(emits []emit) (errs []error) {
	next := 0
	defer func() {
		if next < len(emits) { // the one before it has not returned
			emitAll(emits[next:])
		}
	}()
	for next < len(emits) {
		next++
		errs = append(errs, emits[next-1].emit())
	}
	return errs
}

// Discard ends the batch of a transaction that was not committed, for certain: its commit was never tried, or
// has failed with an error that says so. Nothing is invalidated and nothing emitted. After Done it does nothing.
func (b *Batch) Discard() {
	if _, holds, _, ok := b.end(); ok {
		unholdShares(b.unholds, holds)
	}
}

// end ends the batch, and returns what it has. ok is false if it has ended before.
func (b *Batch) end() (stale []share, holds []held, emits []emit, ok bool) {
	if b == nil || b.engine == nil {
		return nil, nil, nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, nil, nil, false
	}
	b.ended = true
	b.engine.directives.Add(-1)
	for i := range b.stale {
		stale = append(stale, b.stale[i].share)
	}
	return stale, b.holds, b.emits, true
}

func (b *Batch) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended
}

// add collects stale, with what follows its invalidation. It returns false if the batch has ended. after is a
// context without an end.
func (b *Batch) add(after context.Context, stale []share, holds []held, emits ...emit) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	for _, s := range stale {
		b.addLocked(s)
	}
	b.holds, b.emits, b.unholds = append(b.holds, holds...), append(b.emits, emits...), after
	return true
}

// addLocked adds what the batch does not have of a share. It changes no slice of the caller.
func (b *Batch) addLocked(s share) {
	i := slices.IndexFunc(b.stale, func(c collected) bool { return c.scope == s.scope })
	if i < 0 {
		i = len(b.stale)
		b.stale = append(b.stale, collected{share{scope: s.scope}, make(map[string]struct{})})
	}
	c := &b.stale[i]
	for _, key := range s.targets.Keys {
		if _, ok := c.keys[key]; !ok {
			c.keys[key] = struct{}{}
			c.targets.Keys = append(c.targets.Keys, key)
		}
	}
	for _, prefix := range s.targets.Prefixes {
		if !slices.Contains(c.targets.Prefixes, prefix) {
			c.targets.Prefixes = append(c.targets.Prefixes, prefix)
		}
	}
}

// has reports whether the batch has collected key.
func (b *Batch) has(s *keyspace, key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.stale {
		c := &b.stale[i]
		if c.scope != s {
			continue
		}
		_, ok := c.keys[key]
		return ok || c.targets.coverByPrefix(key)
	}
	return false
}

// settle invalidates stale and gives holds up after it, or has the open batch of ctx do that later. It returns the
// error of each share, or ErrClosed alone.
func (e *engine) settle(ctx context.Context, stale []share, holds []held) (removed int, errs []error) {
	after := context.WithoutCancel(ctx)
	if b := e.collector(ctx); b != nil && b.add(after, stale, holds) {
		return 0, nil
	}
	defer unholdShares(after, holds)
	if e.closed.Load() {
		errs = []error{ErrClosed}
	} else if len(stale) > 0 {
		removed, errs = e.invalidateShares(after, stale)
	}
	return removed, errs
}

// emitLater collects an emission that follows a write. It returns false if no batch takes it.
func (e *engine) emitLater(ctx context.Context, ifConfirmed bool, emission func() error) bool {
	b := e.collector(ctx)
	return b != nil && b.add(context.WithoutCancel(ctx), nil, nil, emit{emission, ifConfirmed})
}

// errEmit is the error of a function Emit.
func errEmit(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("readthrough: emit: %w", err)
}
