package readthrough_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// removals returns the removals that a store has got, as "delete a b".
func removalsOf(store *double) (calls []string) {
	for _, c := range store.calls("delete", "deletePrefix") {
		calls = append(calls, strings.Join(append([]string{c.op}, c.names...), " "))
	}
	return calls
}

// TestInvalidateSeveralScopes: what is invalidated in several scopes at once is gone in all of them, and the
// store gets the keys of all by one request.
func TestInvalidateSeveralScopes(t *testing.T) {
	for name, has := range map[string]capabilities{"in the process": likeMemory, "outside": 0} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, has)
			other := r.newScope("other")
			readOther := func(key string) string {
				got, err := r.readCtx(t.Context(), other, key)
				require.NoError(t, err)
				return got
			}
			for _, key := range []string{"a", "b", "list:1"} {
				r.read(key)
				readOther(key)
			}
			r.set("2")
			targets := r.scope.Of("a").And(other.Of("b"), r.scope.Under("list:"), other.Of("c").And(r.scope.Of("b")))
			left, leave := context.WithCancel(t.Context())
			leave() // the write has happened all the same
			require.NoError(t, r.cache.Invalidate(left, targets))
			assert.Equal(t, []string{"delete a b b c", "deletePrefix list:"}, removalsOf(r.store))
			got := []string{r.read("a"), r.read("b"), r.read("list:1"), readOther("a"), readOther("b"), readOther("list:1")}
			assert.Equal(t, []string{"2", "2", "2", "1", "2", "1"}, got, "a, b and list:1 of both scopes")
			if has == 0 {
				assert.Len(t, r.observed("invalidate"), 2, "each scope tells of its own")
			}
		})
	}
}

// TestInvalidateSeveralScopesFences: an invalidation of several scopes ends the epochs of the loads under way
// in all of them.
func TestInvalidateSeveralScopesFences(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		other := r.newScope("other")
		r.delay = time.Second
		reads := []<-chan result[string]{
			async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") }),
			async(func() (string, error) { return r.readCtx(t.Context(), other, "list:k") }),
		}
		synctest.Wait()
		r.set("2")
		require.NoError(t, r.cache.Invalidate(t.Context(), r.scope.Of("k"), other.Under("list:")))
		for _, read := range reads {
			assert.Equal(t, "1", (<-read).value, "the reader from before")
		}
		r.expectRead("k", "2", true)
		got, err := r.readCtx(t.Context(), other, "list:k")
		want(t, "a reader from after", got, err, "2")
	})
}

// TestInvalidateSeveralScopesPending: what the store does not confirm is pending in its scope, and the error
// says which. The others are invalidated.
func TestInvalidateSeveralScopesPending(t *testing.T) {
	for name, c := range map[string]struct {
		faults  []string
		pending [2]int
	}{
		"all":          {[]string{"delete", "deletePrefix"}, [2]int{1, 2}},
		"the keys":     {[]string{"delete"}, [2]int{1, 1}},
		"the prefixes": {[]string{"deletePrefix"}, [2]int{0, 1}},
	} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			other := r.newScope("other")
			r.read("k")
			_, err := r.readCtx(t.Context(), other, "list:k")
			require.NoError(t, err)
			r.store.fail(faultError, c.faults...)
			r.set("2")
			err = r.cache.Invalidate(t.Context(), r.scope.Of("k"), other.Of("k"), other.Under("list:"))
			require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
			pending := [2]int{r.scope.Stats().Pending, other.Stats().Pending}
			assert.Equal(t, c.pending, pending, "pending")
			for n, scope := range []string{`in scope "s"`, `in scope "other"`} {
				assert.Equal(t, c.pending[n] > 0, strings.Contains(err.Error(), scope), "%v names %s", err, scope)
			}
			assert.Equal(t, "2", r.read("k"), "read of k")
			got, err := r.readCtx(t.Context(), other, "list:k")
			want(t, "read of the other scope", got, err, "2")
			r.store.heal()
			time.Sleep(recovery)
			assert.Zero(t, r.scope.Stats().Pending+other.Stats().Pending, "pending after the store is back")
		})
	}
}

// TestInvalidateSeveralScopesWhileTheStoreIsLeftAlone: while the breaker is open, everything is pending, and
// nobody waits for the store.
func TestInvalidateSeveralScopesWhileTheStoreIsLeftAlone(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1, BreakerCooldown: time.Hour}, 0)
		other := r.newScope("other")
		r.store.failAll(faultError)
		r.read("k")
		r.store.forget()
		err := r.cache.Invalidate(t.Context(), r.scope.Of("k"), other.Under(""))
		require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		assert.Empty(t, removalsOf(r.store))
		assert.Equal(t, []int{1, 1}, []int{r.scope.Stats().Pending, other.Stats().Pending}, "pending")
	})
}

// TestInvalidateSeveralLaggingScopes: a scope whose source lags holds its keys, and another one does not.
func TestInvalidateSeveralLaggingScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLeaseDouble()
		cache := newCache(t, store.as(likeShared), readthrough.Options{})
		plain, err := cache.Scope("plain", readthrough.ScopeOptions{TTL: time.Hour})
		require.NoError(t, err)
		lagging, err := cache.Scope("lagging", readthrough.ScopeOptions{TTL: time.Hour, ReplicaLag: time.Second})
		require.NoError(t, err)
		require.NoError(t, cache.Invalidate(t.Context(), plain.Of("a"), lagging.Of("b"), plain.Of("c")))
		assert.Equal(t, []string{"delete a c"}, removalsOf(store.double))
		assert.Equal(t, int64(1), store.count("hold"), "holds")
	})
}

func TestMutateSeveralScopes(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		users := newFamily(t, r.scope, readthrough.Loads[memberID, string]{One: func(_ context.Context, id memberID) (string, error) { return r.load(id.Tenant) }})
		lists, err := readthrough.NewList(r.newScope("lists"), "list:", func(_ context.Context, f userFilter) (string, error) { return r.load("list") })
		require.NoError(t, err)
		filters := []userFilter{{Status: []string{"a"}}, {Status: []string{"b"}}}
		read := func() (got []string) {
			for _, id := range []memberID{{"acme", 1}, {"acme", 2}, {"acm", 3}} {
				value, err := users.Get(t.Context(), id)
				require.NoError(t, err)
				got = append(got, value)
			}
			for _, f := range filters {
				value, err := lists.Get(t.Context(), f)
				require.NoError(t, err)
				got = append(got, value)
			}
			return got
		}
		read()
		for _, c := range []struct {
			value   string
			targets readthrough.Targets
			want    []string
		}{
			{"2", users.Of(memberID{"acme", 1}), []string{"2", "1", "1", "1", "1"}},
			{"3", users.Under(memberID{Tenant: "acme"}, 1), []string{"3", "3", "1", "1", "1"}},
			{"4", users.All(), []string{"4", "4", "4", "1", "1"}},
			{"5", lists.Of(filters[0]), []string{"4", "4", "4", "5", "1"}},
			{"6", lists.All().And(users.Of()), []string{"4", "4", "4", "6", "6"}},
			{"7", readthrough.Targets{Prefixes: []string{""}}.And(lists.All()), []string{"7", "7", "7", "7", "7"}},
		} {
			_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
				Targets: c.targets,
				Write:   func(context.Context) (int, error) { r.set(c.value); return 0, nil },
				Emit: func(context.Context, int) error {
					assert.Equal(t, c.want, read(), "after %s", c.value)
					return nil
				},
			})
			require.NoError(t, err)
		}
	})
}

// TestMutateHoldsSeveralScopes: holds in all scopes are there during the write and given up after it. If one
// cannot be had, nothing is written, and the others are given up.
func TestMutateHoldsSeveralScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLeaseDouble()
		cache := newCache(t, store.as(likeShared), readthrough.Options{OnError: func(*readthrough.OpError) {}})
		a, err := cache.Scope("a", readthrough.ScopeOptions{TTL: time.Hour})
		require.NoError(t, err)
		b, err := cache.Scope("b", readthrough.ScopeOptions{TTL: time.Hour})
		require.NoError(t, err)
		holds := func() [2]int64 { return [2]int64{store.count("hold"), store.count("unhold")} }
		mutation := readthrough.Mutation[int]{
			Hold: a.Of("k").And(b.Of("k")),
			Write: func(context.Context) (int, error) {
				assert.Equal(t, [2]int64{2, 0}, holds(), "holds during the write")
				return 0, nil
			},
		}
		_, err = readthrough.Mutate(t.Context(), a, mutation)
		require.NoError(t, err)
		assert.Equal(t, [2]int64{2, 2}, holds(), "holds after the write")
		mutation.Write = func(context.Context) (int, error) { return 0, readthrough.ErrUnchanged }
		_, err = readthrough.Mutate(t.Context(), a, mutation)
		require.ErrorIs(t, err, readthrough.ErrUnchanged)
		assert.Equal(t, [2]int64{4, 4}, holds(), "holds after a write that changed nothing")

		store.forget()
		n := 0
		store.hook("hold", func(context.Context, []string) error {
			if n++; n == 2 {
				return errFault
			}
			return nil
		})
		mutation.Write = func(context.Context) (int, error) { t.Error("written"); return 0, nil }
		_, err = readthrough.Mutate(t.Context(), a, mutation)
		require.ErrorIs(t, err, readthrough.ErrNotHeld)
		assert.Equal(t, [2]int64{2, 2}, holds(), "holds after one of them has failed")
	})
}

func TestTargetsThatMakeNoSense(t *testing.T) {
	s := newScope(t)
	cache := newCache(t, newStore(t), readthrough.Options{})
	own, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	ids := newFamily(t, own, readthrough.Loads[int, int]{One: func(_ context.Context, id int) (int, error) { return id, nil }})
	members := newMembers(t, own, "m:", nil)
	appended := newMembers(t, own, "n:", func(b []byte, id memberID) []byte { return append(b, id.Tenant...) })
	lists, err := readthrough.NewList(own, "list:", func(context.Context, float64) (int, error) { return 0, nil })
	require.NoError(t, err)
	var noFamily *readthrough.Family[int, int]
	var noList *readthrough.List[int, int]
	var noScope *readthrough.CachedScope
	nan := 0.0
	nan /= nan
	for want, targets := range map[string]readthrough.Targets{
		`targets "k": they name no scope`:              {Keys: []string{"k"}},
		`scope "test": the scope belongs to another`:   s.Of("k"),
		"key: must not be empty":                       own.Of("k", ""),
		"key: 9000 bytes":                              own.Of("k").And(own.Of(strings.Repeat("k", 9000))),
		"prefix: 9000 bytes":                           own.Under(strings.Repeat("k", 9000)),
		"Family.Under: family \"k:\": the ids have no": ids.Under(1, 1),
		"2 fields, of ids that have 2":                 members.Under(memberID{}, 2),
		"family \"n:\": it has Loads.AppendID":         appended.Under(memberID{}, 1),
		"the family was not made by NewFamily":         noFamily.Of(1).And(noFamily.All(), noFamily.Under(1, 1)),
		"the list was not made by NewList":             noList.Of(1).And(noList.All()),
		"scope: must not be nil; get it from":          noScope.Of("k").And(noScope.Under("k")),
		"readthrough: List: stablekey: value: ":        lists.Of(nan),
	} {
		err := cache.Invalidate(t.Context(), own.Of("other"), targets)
		assert.ErrorContains(t, err, want)
		_, err = readthrough.Mutate(t.Context(), own, readthrough.Mutation[int]{
			Hold:    targets,
			Write:   func(context.Context) (int, error) { return 0, errors.New("written") },
			Targets: own.Of("other"),
		})
		if !strings.Contains(want, "they name no scope") {
			assert.ErrorContains(t, err, "Mutation.Hold")
			assert.ErrorContains(t, err, want)
		}
	}
	assert.NoError(t, cache.Invalidate(t.Context()), "no targets")
	assert.NoError(t, cache.Invalidate(t.Context(), ids.Of(), readthrough.Targets{}), "no keys")
	assert.ErrorContains(t, cache.Invalidate(nil, own.Of("k")), "ctx: must not be nil") //nolint:staticcheck // on purpose
	assert.ErrorContains(t, (*readthrough.Cache)(nil).Invalidate(t.Context()), "not made by New")
	require.NoError(t, cache.Close())
	assert.ErrorIs(t, cache.Invalidate(t.Context(), own.Of("k")), readthrough.ErrClosed)
}

func newMembers(t *testing.T, s *readthrough.CachedScope, prefix string, appendID func([]byte, memberID) []byte) *readthrough.Family[memberID, int] {
	t.Helper()
	f, err := readthrough.NewFamily(s, prefix, readthrough.Loads[memberID, int]{
		One:      func(context.Context, memberID) (int, error) { return 0, nil },
		AppendID: appendID,
	})
	require.NoError(t, err)
	return f
}

// TestAndChangesNothing: targets are values.
func TestAndChangesNothing(t *testing.T) {
	s := newScope(t)
	one := s.Of("a").And(s.Of("b"))
	two, three := one.And(s.Of("c")), one.And(s.Of("d"))
	keys := []string{"a", "b", "c", "d"}
	left := func(targets readthrough.Targets) (left []string) {
		for _, key := range keys {
			_, err := readthrough.Wrap(t.Context(), s, key, func(context.Context) (int, error) { return 1, nil })
			require.NoError(t, err)
		}
		_, err := s.InvalidateTargets(t.Context(), targets)
		require.NoError(t, err)
		return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
			has, err := s.Has(t.Context(), key)
			require.NoError(t, err)
			return !has
		})
	}
	assert.Equal(t, []string{"c", "d"}, left(one))
	assert.Equal(t, []string{"d"}, left(two))
	assert.Equal(t, []string{"c"}, left(three))
}

// TestLiteralBelongsToTheScopeOfTheCall: And says nothing about the scope of what it joins. Targets that name
// no scope belong to the scope of the call, also behind some that name another; a call without a scope refuses
// them.
func TestLiteralBelongsToTheScopeOfTheCall(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, likeMemory)
		other := r.newScope("other")
		literal := readthrough.Targets{Keys: []string{"k"}}
		for name, m := range map[string]readthrough.Mutation[int]{
			"Targets and Hold":       {Targets: other.Of("a"), Hold: literal},
			"Invalidate and Targets": {Targets: literal, Invalidate: func(int) readthrough.Targets { return other.Of("a") }},
			"joined":                 {Targets: other.Of("a").And(literal)},
		} {
			r.set("old")
			r.read("k")
			m.Write = func(context.Context) (int, error) { r.set("new"); return 1, nil }
			_, err := readthrough.Mutate(t.Context(), r.scope, m)
			require.NoError(t, err, name)
			assert.Equal(t, "new", r.read("k"), name)
			require.NoError(t, r.scope.Invalidate(t.Context(), "k"))
		}
		err := r.cache.Invalidate(t.Context(), other.Of("a").And(literal))
		assert.ErrorContains(t, err, "they name no scope")
	})
}
