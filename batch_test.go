package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// ledger is a source with transactions: what a transaction has written is read with its context only, until it
// is committed.
type ledger struct {
	committed string
	commitErr error // of the next commit
	reads     int
}

type ledgerTx struct{ value string }

type ledgerKey struct{}

func (l *ledger) load(ctx context.Context) (string, error) {
	l.reads++
	if tx, ok := ctx.Value(ledgerKey{}).(*ledgerTx); ok {
		return tx.value, nil
	}
	return l.committed, nil
}

// in runs f in a transaction, as a service would.
func (l *ledger) in(ctx context.Context, cache *readthrough.Cache, f func(ctx context.Context, tx *ledgerTx) error) error {
	tx := &ledgerTx{l.committed}
	batch := cache.Collect()
	defer batch.Discard()
	if err := f(batch.In(context.WithValue(ctx, ledgerKey{}, tx)), tx); err != nil {
		return err
	}
	if l.commitErr == nil || !errors.Is(l.commitErr, readthrough.ErrUnchanged) {
		l.committed = tx.value
	}
	return batch.Done(ctx, l.commitErr)
}

// reader reads one key in all ways that there are.
type reader map[string]func(context.Context) (string, error)

func newReader(t *testing.T, s *readthrough.CachedScope, load func(context.Context) (string, error)) reader {
	t.Helper()
	loadID := func(ctx context.Context, _ int) (string, error) { return load(ctx) }
	loadMany := func(ctx context.Context, ids []int) (map[int]string, error) {
		value, err := load(ctx)
		return map[int]string{ids[0]: value, 7: "not asked for"}, err
	}
	family := newFamily(t, s, readthrough.Loads[int, string]{One: loadID, Many: loadMany})
	memoized := readthrough.Memoize(s, keyOfID, loadID)
	many := func(values map[int]string, err error) (string, error) { return values[1], err }
	return reader{
		"Wrap":       func(ctx context.Context) (string, error) { return readthrough.Wrap(ctx, s, "k:1", load) },
		"Memoize":    func(ctx context.Context) (string, error) { return memoized(ctx, 1) },
		"Family.Get": func(ctx context.Context) (string, error) { return family.Get(ctx, 1) },
		"WrapResult": func(ctx context.Context) (string, error) {
			r, err := readthrough.WrapResult(ctx, s, "k:1", load)
			return r.Value, err
		},
		"WrapMany": func(ctx context.Context) (string, error) {
			return many(readthrough.WrapMany(ctx, s, []int{1, 1}, keyOfID, loadMany))
		},
		"WrapManyResult": func(ctx context.Context) (string, error) {
			values, err := readthrough.WrapManyResult(ctx, s, []int{1}, keyOfID, loadMany)
			return values[1].Value, err
		},
		"Family.GetMany": func(ctx context.Context) (string, error) { return many(family.GetMany(ctx, []int{1})) },
	}
}

// TestReadInATransaction: what a transaction reads that is not committed is never cached, and what is cached is not
// what the transaction reads.
func TestReadInATransaction(t *testing.T) {
	for _, has := range []capabilities{likeMemory, 0} {
		bubble(t, fmt.Sprint(has), func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, has)
			source := ledger{committed: "old"}
			for name, read := range newReader(t, r.scope, source.load) {
				require.NoError(t, r.scope.Invalidate(t.Context(), "k:1"))
				err := source.in(t.Context(), r.cache, func(ctx context.Context, tx *ledgerTx) error {
					tx.value = "not committed"
					got, err := read(ctx)
					want(t, name+" in the transaction", got, err, "not committed")
					return errFault // rolled back: nothing is invalidated
				})
				require.ErrorIs(t, err, errFault)
				got, err := read(t.Context())
				want(t, name+" after the rollback", got, err, "old")
				err = source.in(t.Context(), r.cache, func(ctx context.Context, tx *ledgerTx) error {
					tx.value = "newer"
					got, err := read(ctx)
					want(t, name+" in a transaction, of what is cached", got, err, "newer")
					return errFault
				})
				require.ErrorIs(t, err, errFault)
			}
			for name, refresh := range map[string]func(context.Context) (string, error){
				"Refresh": func(ctx context.Context) (string, error) {
					return readthrough.Refresh(ctx, r.scope, "k:1", source.load)
				},
				"Put": func(ctx context.Context) (string, error) { return readthrough.Put(ctx, r.scope, "k:1", source.load) },
			} {
				err := source.in(t.Context(), r.cache, func(ctx context.Context, tx *ledgerTx) error {
					tx.value = "not committed"
					got, err := refresh(ctx)
					want(t, name, got, err, "not committed")
					value, _ := r.store.value("s", "k:1")
					assert.NotEqual(t, "not committed", value, "%s: stored", name)
					return errFault
				})
				require.ErrorIs(t, err, errFault)
			}
			assert.Equal(t, int64(7*2+1), r.scope.Stats().Bypassed, "bypassed")
		})
	}
}

// TestBatchInvalidatesAfterTheCommit: nothing that follows a write happens before the commit, and all of it after
// it.
func TestBatchInvalidatesAfterTheCommit(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		source := ledger{committed: "old"}
		var emitted []string
		read := func(key string) string {
			got, err := readthrough.Wrap(t.Context(), r.scope, key, source.load)
			require.NoError(t, err)
			return got
		}
		keys := []string{"single", "list:1", "of the cache", "of a mutation", "put"}
		for _, key := range keys {
			read(key)
		}
		err := source.in(t.Context(), r.cache, func(ctx context.Context, tx *ledgerTx) error {
			tx.value = "new"
			require.NoError(t, r.scope.Invalidate(ctx, "single"))
			removed, err := r.scope.InvalidatePrefix(ctx, "list:")
			want(t, "InvalidatePrefix", removed, err, 0)
			require.NoError(t, r.cache.Invalidate(ctx, r.scope.Of("of the cache"), r.scope.Of("single")))
			_, err = readthrough.Mutate(ctx, r.scope, readthrough.Mutation[string]{
				Targets: r.scope.Of("of a mutation"),
				Write:   func(context.Context) (string, error) { return "result", nil },
				Emit: func(ctx context.Context, result string) error {
					emitted = append(emitted, result+" "+read("of a mutation"))
					return errFault
				},
			})
			require.NoError(t, err, "the error of Emit comes later")
			_, err = readthrough.Put(ctx, r.scope, "put", func(context.Context) (string, error) { return tx.value, nil })
			require.NoError(t, err)
			assert.Empty(t, removalsOf(r.store), "removals before the commit")
			assert.Empty(t, emitted, "emitted before the commit")
			for _, key := range keys {
				assert.Equal(t, "old", read(key), "others read %q", key)
			}
			return nil
		})
		require.ErrorIs(t, err, errFault, "the error of Emit")
		assert.Equal(t, []string{"result new"}, emitted)
		assert.Equal(t, []string{"delete single of the cache of a mutation put", "deletePrefix list:"}, removalsOf(r.store))
		for _, key := range keys {
			assert.Equal(t, "new", read(key), "read of %q", key)
		}
	})
}

// TestBatchOutcomes: everything but a certain rollback invalidates, and only a certain commit emits.
func TestBatchOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		err              error // of the commit
		discard, failing bool
		invalidates      bool
		emits            int
	}{
		"committed":              {invalidates: true, emits: 2},
		"nobody knows":           {err: errFault, invalidates: true},
		"nothing was changed":    {err: fmt.Errorf("rolled back: %w", readthrough.ErrUnchanged)},
		"not committed":          {discard: true},
		"the store is not there": {failing: true, invalidates: true, emits: 1},
	} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			r.read("k")
			batch := r.cache.Collect()
			emits := 0
			for _, strict := range []bool{false, true} {
				_, err := readthrough.Mutate(batch.In(t.Context()), r.scope, readthrough.Mutation[int]{
					Targets: r.scope.Of("k"), FailWhenPending: strict,
					Write: func(context.Context) (int, error) { return 0, nil },
					Emit:  func(context.Context, int) error { emits++; return nil },
				})
				require.NoError(t, err)
			}
			if c.failing {
				r.store.fail(faultError, "delete")
			}
			if c.discard {
				batch.Discard()
			}
			left, leave := context.WithCancel(t.Context())
			leave() // the commit has happened all the same
			err := batch.Done(left, c.err)
			if c.err != nil {
				assert.ErrorIs(t, err, c.err)
			}
			assert.Equal(t, c.failing, errors.Is(err, readthrough.ErrInvalidationPending), "%v", err)
			assert.Equal(t, c.emits, emits, "emitted")
			r.set("2")
			r.expectRead("k", map[bool]string{true: "2", false: "1"}[c.invalidates], c.invalidates)
			batch.Discard()
			assert.NoError(t, batch.Done(t.Context(), nil), "Done again")
			assert.Equal(t, c.emits, emits, "emitted again")
		})
	}
}

// TestBatchHolds: what a mutation in a transaction holds is held until the transaction has ended.
func TestBatchHolds(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, b *readthrough.Batch) error{
		"done": func(ctx context.Context, b *readthrough.Batch) error { return b.Done(ctx, nil) },
		"unchanged": func(ctx context.Context, b *readthrough.Batch) error {
			b.Done(ctx, readthrough.ErrUnchanged)
			return nil
		},
		"discarded":    func(_ context.Context, b *readthrough.Batch) error { b.Discard(); return nil },
		"nobody knows": func(ctx context.Context, b *readthrough.Batch) error { b.Done(ctx, errFault); return nil },
	} {
		bubble(t, name, func(t *testing.T) {
			store := newLeaseDouble()
			cache := newCache(t, store.as(likeShared), readthrough.Options{})
			s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
			require.NoError(t, err)
			batch := cache.Collect()
			_, err = readthrough.Mutate(batch.In(t.Context()), s, readthrough.Mutation[int]{
				Hold:  s.Of("k"),
				Write: func(context.Context) (int, error) { return 0, nil },
			})
			require.NoError(t, err)
			assert.Equal(t, []int64{1, 0}, []int64{store.count("hold"), store.count("unhold")}, "before the end")
			require.NoError(t, end(t.Context(), batch))
			assert.Equal(t, []int64{1, 1}, []int64{store.count("hold"), store.count("unhold")}, "after the end")
		})
	}
}

// TestBatchInABatch: a savepoint gives what it has collected to the transaction around it.
func TestBatchInABatch(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		for _, key := range []string{"a", "b", "c", "d"} {
			r.read(key)
		}
		emitted := 0
		outer := r.cache.Collect()
		ctx := outer.In(t.Context())
		inner := r.cache.Collect()
		innerCtx := inner.In(ctx)
		require.NoError(t, r.scope.Invalidate(innerCtx, "a"))
		_, err := readthrough.Mutate(innerCtx, r.scope, readthrough.Mutation[int]{
			Targets: r.scope.Of("b"),
			Write:   func(context.Context) (int, error) { return 0, nil },
			Emit:    func(context.Context, int) error { emitted++; return nil },
		})
		require.NoError(t, err)
		require.NoError(t, inner.Done(innerCtx, nil))
		discarded := r.cache.Collect()
		require.NoError(t, r.scope.Invalidate(discarded.In(ctx), "d"))
		discarded.Discard()
		require.NoError(t, r.scope.Invalidate(innerCtx, "c"), "the context of a savepoint that is over is that of its transaction")
		assert.Empty(t, removalsOf(r.store))
		assert.Zero(t, emitted, "emitted before the commit")
		require.NoError(t, outer.Done(t.Context(), nil))
		assert.Equal(t, []string{"delete a b c"}, removalsOf(r.store))
		assert.Equal(t, 1, emitted)

		r.set("2")
		require.NoError(t, r.scope.Invalidate(innerCtx, "d"))
		assert.Equal(t, []string{"delete a b c", "delete d"}, removalsOf(r.store), "a batch that is over collects nothing")
		got, err := r.readCtx(innerCtx, r.scope, "d")
		want(t, "read", got, err, "2")
		assert.Zero(t, r.scope.Stats().Bypassed)
	})
}

// TestBatchOnlyWrites: its reads go through the cache, until the transaction has changed their key.
func TestBatchOnlyWrites(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		other := r.newScope("other")
		r.read("k")
		batch := r.cache.Collect()
		defer batch.Discard()
		ctx := batch.OnlyWrites(t.Context())
		r.set("2")
		read := func(s *readthrough.CachedScope, key string) string {
			got, err := r.readCtx(ctx, s, key)
			require.NoError(t, err)
			return got
		}
		assert.Equal(t, "1", read(r.scope, "k"), "from the cache")
		require.NoError(t, r.cache.Invalidate(ctx, r.scope.Of("k"), other.Under("list:")))
		assert.Equal(t, "2", read(r.scope, "k"))
		assert.Equal(t, "1", r.read("k"), "others")
		assert.Equal(t, []string{"2", "2", "2"}, []string{read(other, "list:1"), read(other, "k"), read(r.scope, "list:1")})
		assert.Equal(t, []int64{1, 1}, []int64{r.scope.Stats().Bypassed, other.Stats().Bypassed}, "bypassed")
	})
}

// TestBatchOfAPanic: the deferred Discard ends the batch of a transaction that panics. A write that panics inside
// of it is collected all the same: the transaction may be committed after it was recovered.
func TestBatchOfAPanic(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		r.read("k")
		source := ledger{}
		assert.Panics(t, func() {
			_ = source.in(t.Context(), r.cache, func(ctx context.Context, _ *ledgerTx) error {
				require.NoError(t, r.scope.Invalidate(ctx, "k"))
				panic("in the transaction")
			})
		})
		assert.Empty(t, removalsOf(r.store))
		for _, put := range []bool{false, true} {
			r.store.forget()
			require.NoError(t, source.in(t.Context(), r.cache, func(ctx context.Context, _ *ledgerTx) error {
				assert.Panics(t, func() {
					if put {
						_, _ = readthrough.Put(ctx, r.scope, "k", func(context.Context) (string, error) { panic("in the write") })
						return
					}
					_, _ = readthrough.Mutate(ctx, r.scope, readthrough.Mutation[int]{
						Targets: r.scope.Of("k"),
						Write:   func(context.Context) (int, error) { panic("in the write") },
					})
				})
				return nil
			}))
			assert.Equal(t, []string{"delete k"}, removalsOf(r.store))
		}
	})
}

func TestBatchOfNothing(t *testing.T) {
	var none *readthrough.Batch
	ctx := t.Context()
	assert.Equal(t, ctx, none.In(ctx))
	none.Discard()
	assert.ErrorIs(t, none.Done(ctx, errFault), errFault)
	unmade := new(readthrough.Cache).Collect()
	assert.Equal(t, ctx, unmade.OnlyWrites(ctx))
	assert.NoError(t, unmade.Done(ctx, nil))
	assert.Equal(t, ctx, (*readthrough.Cache)(nil).Bypass(ctx))

	cache := newCache(t, newStore(t), readthrough.Options{})
	s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	batch := cache.Collect()
	assert.ErrorContains(t, batch.Done(nil, errFault), "ctx: must not be nil") //nolint:staticcheck // on purpose
	require.NoError(t, s.Invalidate(batch.In(ctx), "k"))
	assert.ErrorIs(t, s.Invalidate(batch.In(ctx), ""), readthrough.ErrBadKey, "a bad key is an error at once")
	require.NoError(t, cache.Close())
	assert.ErrorIs(t, batch.Done(ctx, nil), readthrough.ErrClosed)
}

// TestBypass: a context that bypasses one cache sees the source, stores nothing, and is one of the others for another
// cache.
func TestBypass(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		source := ledger{committed: "1"}
		ctx := r.cache.Bypass(r.cache.Bypass(t.Context()))
		for name, read := range newReader(t, r.scope, source.load) {
			got, err := read(ctx)
			want(t, name, got, err, "1")
			has, err := r.scope.Has(t.Context(), "k:1")
			want(t, name+" has stored", has, err, false)
		}
		got, err := readthrough.Wrap(t.Context(), r.scope, "k:1", source.load)
		want(t, "another reader", got, err, "1")
		source.committed = "2"
		got, err = readthrough.Wrap(ctx, r.scope, "k:1", source.load)
		want(t, "past the cache", got, err, "2")
		_, ok, err := readthrough.Peek[string](ctx, r.scope, "k:1")
		want(t, "Peek", ok, err, false)
		require.NoError(t, r.scope.Invalidate(ctx, "k:1"))
		got, err = readthrough.Wrap(t.Context(), r.scope, "k:1", source.load)
		want(t, "after an invalidation that bypasses nothing", got, err, "2")

		otherCache := newCache(t, newStore(t), readthrough.Options{})
		other, err := otherCache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		defer otherCache.Collect().Discard() // so that it looks at contexts
		_, err = readthrough.Wrap(ctx, other, "k", source.load)
		require.NoError(t, err)
		assert.Equal(t, int64(1), other.Stats().Misses, "misses of another cache")
	})
}

// TestBypassErrors: a read past the cache has the errors of one through it.
func TestBypassErrors(t *testing.T) {
	errNoRow := errors.New("no row")
	s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.NotFound = errNoRow }))
	cache := newCache(t, newStore(t), readthrough.Options{})
	own, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, NotFound: errNoRow})
	require.NoError(t, err)
	for _, bypassed := range []struct {
		ctx   context.Context //nolint:containedctx // a table
		scope *readthrough.CachedScope
	}{{t.Context(), s}, {cache.Bypass(t.Context()), own}} {
		value, err := readthrough.Wrap(bypassed.ctx, bypassed.scope, "k", func(context.Context) (int, error) { return 1, errNoRow })
		assert.ErrorIs(t, err, errNoRow)
		assert.ErrorIs(t, err, readthrough.ErrNotFound)
		assert.Zero(t, value)
		value, err = readthrough.Wrap(bypassed.ctx, bypassed.scope, "k2", func(context.Context) (int, error) { return 1, errFault })
		assert.ErrorIs(t, err, errFault)
		assert.Zero(t, value)
		values, err := readthrough.WrapMany(bypassed.ctx, bypassed.scope, []int{1, 2}, keyOfID, func(context.Context, []int) (map[int]int, error) {
			return map[int]int{1: 1}, errFault
		})
		assert.ErrorIs(t, err, errFault)
		assert.Equal(t, map[int]int{1: 1}, values)
		_, err = readthrough.Wrap(bypassed.ctx, bypassed.scope, "", func(context.Context) (int, error) { return 1, nil })
		assert.ErrorIs(t, err, readthrough.ErrBadKey)
	}
}

// TestBatchTogether: a batch may be used by several goroutines.
func TestBatchTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		batch := r.cache.Collect()
		ctx := batch.OnlyWrites(t.Context())
		for n := range 20 {
			go func() {
				if err := r.scope.Invalidate(ctx, fmt.Sprint("k", n)); err != nil {
					t.Error(err)
				}
				if _, err := r.readCtx(ctx, r.scope, fmt.Sprint("k", n)); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		require.NoError(t, batch.Done(t.Context(), nil))
		assert.Len(t, r.store.calls("delete")[0].names, 20)
	})
}

// TestBatchWithACommitErrorThatPanics: nobody knows what a commit has done that returns such an error. The
// batch is invalidated, as after every other error.
func TestBatchWithACommitErrorThatPanics(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		r.read("k")
		batch := r.cache.Collect()
		defer batch.Discard()
		require.NoError(t, r.scope.Invalidate(batch.In(t.Context()), "k"))
		r.set("2")
		assert.Error(t, batch.Done(t.Context(), &askedError{}))
		assert.Equal(t, "2", r.read("k"))
	})
}

// TestZeroBatch has collected nothing, and ends without an error.
func TestZeroBatch(t *testing.T) {
	new(readthrough.Batch).Discard()
	assert.NoError(t, new(readthrough.Batch).Done(t.Context(), nil))
}

// TestBypassedAbsences: what the scope calls absent is absent for a bulk read that bypasses the cache, too.
func TestBypassedAbsences(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		gone := errors.New("no rows")
		s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, NotFound: gone})
		require.NoError(t, err)
		load := readthrough.Each(2, func(_ context.Context, id int) (int, error) {
			switch id {
			case 1:
				return 0, fmt.Errorf("id %d: %w", id, gone)
			case 2:
				return 0, errFault
			default:
				return id, nil
			}
		})
		key := func(id int) string { return fmt.Sprint(id) }
		got, err := readthrough.WrapMany(cache.Bypass(t.Context()), s, []int{1, 3}, key, load)
		require.NoError(t, err)
		assert.Equal(t, map[int]int{3: 3}, got)
		got, err = readthrough.WrapMany(cache.Bypass(t.Context()), s, []int{1, 2, 3}, key, load)
		require.ErrorIs(t, err, errFault)
		require.NotErrorIs(t, err, gone)
		assert.Equal(t, map[int]int{3: 3}, got)
	})
}

// TestMutationThatPanicsAfterClose: the panic of the user's function goes on, whatever was known before.
func TestMutationThatPanicsAfterClose(t *testing.T) {
	cache := newCache(t, newStore(t), readthrough.Options{})
	s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	assert.PanicsWithValue(t, "write", func() {
		_, _ = readthrough.Mutate(t.Context(), s, readthrough.Mutation[int]{
			Write:      func(context.Context) (int, error) { _ = cache.Close(); panic("write") },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
		})
	})
}

// TestBatchWhoseEmissionFails: an emission that panics or ends its goroutine does not keep the others from being made.
func TestBatchWhoseEmissionFails(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("emit") }, "Goexit": runtime.Goexit} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, likeMemory)
			batch := r.cache.Collect()
			var emitted []int
			for i := range 4 {
				_, err := readthrough.Mutate(batch.In(t.Context()), r.scope, readthrough.Mutation[int]{
					Write:   func(context.Context) (int, error) { return i, nil },
					Targets: readthrough.Targets{Keys: []string{"k"}},
					Emit: func(context.Context, int) error {
						emitted = append(emitted, i)
						if i == 1 || i == 2 {
							fail()
						}
						return nil
					},
				})
				require.NoError(t, err)
			}
			r.expectRead("k", "1", true)
			var panicked any
			ended(func() {
				defer func() { panicked = recover() }()
				_ = batch.Done(t.Context(), nil)
			})
			assert.Equal(t, name == "panic", panicked != nil, "the panic goes on: %v", panicked)
			assert.Equal(t, []int{0, 1, 2, 3}, emitted)
			r.set("2")
			r.expectRead("k", "2", true)
		})
	}
}

// TestBatchAfterClose: nothing is invalidated any more, so nothing is emitted: who acts on it would read what is still
// stored.
func TestBatchAfterClose(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		batch := r.cache.Collect()
		emitted := false
		_, err := readthrough.Mutate(batch.In(t.Context()), r.scope, readthrough.Mutation[int]{
			Write:   func(context.Context) (int, error) { return 1, nil },
			Targets: readthrough.Targets{Keys: []string{"k"}},
			Emit:    func(context.Context, int) error { emitted = true; return nil },
		})
		require.NoError(t, err)
		require.NoError(t, r.cache.Close())
		require.ErrorIs(t, batch.Done(t.Context(), nil), readthrough.ErrClosed)
		assert.False(t, emitted, "emitted")
	})
}
