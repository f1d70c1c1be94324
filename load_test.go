package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// decided returns a load of value 1 that says something about its entry.
func decided(say func(load *readthrough.Load)) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		say(readthrough.LoadOf(ctx, "k:1"))
		return 1, nil
	}
}

// What a load says about the life of its entry is exact, also in bulk.
func TestLoadDecidesHowLongItIsStored(t *testing.T) {
	notFound := func(say func(*readthrough.Load)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			say(readthrough.LoadOf(ctx, "k:1"))
			return 0, readthrough.ErrNotFound
		}
	}
	for _, test := range []struct {
		name   string
		load   func(context.Context) (int, error)
		stored time.Duration
	}{
		{"nothing said", decided(func(*readthrough.Load) {}), time.Minute},
		{"longer", decided(func(l *readthrough.Load) { l.SetTTL(time.Hour) }), time.Hour},
		{"shorter", decided(func(l *readthrough.Load) { l.SetTTL(1) }), 1},
		{"the last counts", decided(func(l *readthrough.Load) { l.SetTTL(time.Hour); l.SetTTL(time.Second) }), time.Second},
		{"an absence, longer", notFound(func(l *readthrough.Load) { l.SetTTL(time.Hour) }), time.Hour},
		{"not stored", decided(func(l *readthrough.Load) { l.DoNotStore() }), 0},
		{"not stored, whatever its TTL", decided(func(l *readthrough.Load) { l.SetTTL(time.Hour); l.DoNotStore() }), 0},
		{"an absence, not stored", notFound(func(l *readthrough.Load) { l.DoNotStore() }), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEachPath(t, func(*readthrough.ScopeOptions) {}, func(t *testing.T, p *path) {
				got, err := p.read(test.load)
				absent := strings.HasPrefix(test.name, "an absence")
				assert.Equal(t, absent, errors.Is(err, readthrough.ErrNotFound), "error %v", err)
				if !absent {
					assert.Equal(t, 1, got.Value, "error %v", err)
				}
				wantStoredFor(t, p.store, "k:1", test.stored)
			})
		})
	}
}

// A TTL of a load is one: its end is followed by the stale window, and jitter
// applies to it.
func TestLoadDecidesItsTTLAndTheStaleWindowFollows(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }
	onEachPath(t, change, func(t *testing.T, p *path) {
		p.fill(decided(func(l *readthrough.Load) { l.SetTTL(time.Second) }))
		time.Sleep(time.Second - 1)
		got, err := p.read(decided(func(*readthrough.Load) {}))
		wantResult(t, "before its end", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore, Age: time.Second - 1})
		time.Sleep(1)
		src := newSource(0)
		src.fail(errDatabase)
		got, err = p.read(src.load)
		wantResult(t, "at its end", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Second, Err: errDatabase})
		wantStoredFor(t, p.store, "k:1", time.Hour)
	})
}

// What makes no sense fails the load, and nothing is stored.
func TestBadDecisions(t *testing.T) {
	for want, say := range map[string]func(*readthrough.Load){
		`Load.NotModified: key "k:1": there is no value that this load would replace`: func(l *readthrough.Load) { l.NotModified() },
	} {
		onEachPath(t, func(*readthrough.ScopeOptions) {}, func(t *testing.T, p *path) {
			got, err := p.read(decided(say))
			if assert.Error(t, err, "error %v", err) {
				assert.Zero(t, got.Value, "error %v", err)
				assert.True(t, strings.HasPrefix(err.Error(), "readthrough: "+want), "error %v", err)
			}
			wantStoredFor(t, p.store, "k:1", 0)
		})
	}
}

// A source says that what it has is over already, as by max-age=0: it is served, and not stored, and
// what it would replace is removed.
func TestTTLThatIsOver(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }, func(t *testing.T, p *path) {
			got, err := p.read(decided(func(l *readthrough.Load) { l.SetTTL(ttl) }))
			require.NoError(t, err)
			assert.Equal(t, readthrough.FromLoad, got.Source)
			wantStoredFor(t, p.store, "k:1", 0)
			_, err = p.read(func(context.Context) (int, error) { return 2, nil })
			require.NoError(t, err)
			_, err = readthrough.Refresh(t.Context(), p.scope, "k:1", func(ctx context.Context) (int, error) {
				readthrough.LoadOf(ctx, "k:1").SetTTL(ttl)
				return 3, nil
			})
			require.NoError(t, err)
			wantStoredFor(t, p.store, "k:1", 0) // not the old value, which the source has replaced
		})
	}
}

// What a load has marked as DoNotStore is for the reader that began it. Those that have joined load for
// themselves, all at once: what the first one saw may not be committed.
func TestDoNotStoreKeepsJoinersAway(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t)
			private := func(ctx context.Context) (int, error) {
				time.Sleep(time.Second)
				readthrough.LoadOf(ctx, "k").DoNotStore()
				return 1, nil
			}
			first := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", private) })
			synctest.Wait()
			committed := newSource(2)
			committed.take(time.Second)
			began := time.Now()
			var joiners []<-chan result[readthrough.Result[int]]
			for range 3 {
				joiners = append(joiners, async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", committed.load) }))
			}
			r := <-first
			wantResult(t, "first", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
			for _, joiner := range joiners {
				r := <-joiner
				wantResult(t, "joiner", r.value, r.err, readthrough.Result[int]{Value: 2, Source: readthrough.FromLoad})
			}
			assert.Equal(t, 2*time.Second, time.Since(began), "the joiners have loaded one after the other")
			wantIdle(t, s)
		})
	}
}

// TestDoNotStoreKeepsErrorsToTheReader: the error of a load that has said DoNotStore is for its reader, too. It may be
// that of a transaction. Neither those that have joined get it, nor those that come within ErrorTTL.
func TestDoNotStoreKeepsErrorsToTheReader(t *testing.T) {
	for name, fails := range map[string]func() (int, error){
		"error":  func() (int, error) { return 0, errFault },
		"panic":  func() (int, error) { panic(errFault) },
		"absent": func() (int, error) { return 0, fmt.Errorf("%w: %w", readthrough.ErrNotFound, errFault) },
	} {
		for kind, read := range resultReads[int]() {
			if kind != "Wrap" && name == "absent" {
				continue // a bulk load does not return it
			}
			bubble(t, name+"/"+kind, func(t *testing.T) {
				s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Hour }))
				first := async(func() (readthrough.Result[int], error) {
					return read(t.Context(), s, "k", func(ctx context.Context) (int, error) {
						readthrough.LoadOf(ctx, "k").DoNotStore()
						time.Sleep(time.Second)
						return fails()
					})
				})
				synctest.Wait()
				joiner := async(func() (readthrough.Result[int], error) {
					return read(t.Context(), s, "k", func(context.Context) (int, error) { return 2, nil })
				})
				if r := <-first; kind == "Wrap" || name != "absent" {
					assert.ErrorIs(t, r.err, errFault, "first")
				}
				later, err := read(t.Context(), s, "k2", func(context.Context) (int, error) { return 3, nil })
				want(t, "another key", later.Value, err, 3)
				r := <-joiner
				want(t, "joiner", r.value.Value, r.err, 2)
				got, err := read(t.Context(), s, "k", func(context.Context) (int, error) { return 4, nil })
				want(t, "within ErrorTTL", got.Value, err, 4)
				wantIdle(t, s)
			})
		}
	}
}

// A load function also works outside of the cache, and for keys that are not its
// own.
func TestLoadOfNothing(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		check := func(l *readthrough.Load) {
			t.Helper()
			l.SetTTL(-1)
			l.DoNotStore()
			l.SetValidator("v")
			l.NotModified()
			_, ok := readthrough.OldValue[int](l)
			assert.Nil(t, l, "%v has something", l)
			assert.False(t, ok, "%v has something", l)
			assert.Empty(t, l.Validator(), "%v has something", l)
		}
		check(readthrough.LoadOf(nil, "k")) //nolint:staticcheck // nil is what is tested
		check(readthrough.LoadOf(t.Context(), "k"))
		s := newScope(t)
		value, err := readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			check(readthrough.LoadOf(ctx, "another key"))
			return 1, nil
		})
		want(t, "Wrap", value, err, 1)
	})
}

// conditional is a source that is asked whether its value has changed.
type conditional struct {
	value, version int
	full           int // how often it has sent the value
}

func (c *conditional) load(ctx context.Context) (int, error) {
	load := readthrough.LoadOf(ctx, "k:1")
	if validator := load.Validator(); validator == fmt.Sprint(c.version) {
		if old, ok := readthrough.OldValue[int](load); !ok || old != c.value {
			return 0, fmt.Errorf("the old value is %d, %v", old, ok)
		}
		if _, ok := readthrough.OldValue[string](load); ok {
			return 0, errors.New("there is an old value of another type")
		}
		load.NotModified()
		return -1, nil // which is not used
	}
	c.full++
	load.SetValidator(fmt.Sprint(c.version))
	return c.value, nil
}

// A value that the source confirms gets a new TTL and age, and keeps its
// validator, as often as that happens; a store with leases does not get it again.
func TestNotModified(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }
	onEachPath(t, change, func(t *testing.T, p *path) {
		source := conditional{value: 7, version: 1}
		p.fill(source.load)
		for range 3 {
			time.Sleep(time.Minute)
			got, err := p.read(source.load)
			wantResult(t, "not modified", got, err, readthrough.Result[int]{Value: 7, Source: readthrough.FromLoad})
			time.Sleep(time.Minute - 1)
			got, err = p.read(source.load)
			wantResult(t, "until its new end", got, err, readthrough.Result[int]{Value: 7, Source: readthrough.FromStore, Age: time.Minute - 1})
			time.Sleep(1)
		}
		assert.Equal(t, 1, source.full, "the source has sent its value")
		source.value, source.version = 8, 2
		got, err := p.read(source.load)
		wantResult(t, "modified", got, err, readthrough.Result[int]{Value: 8, Source: readthrough.FromLoad})
		time.Sleep(time.Minute)
		got, err = p.read(source.load)
		wantResult(t, "not modified again", got, err, readthrough.Result[int]{Value: 8, Source: readthrough.FromLoad})
		assert.Equal(t, 2, source.full, "the source has sent its value")
		p.invalidateNow()
		p.fill(source.load)
		assert.Equal(t, 3, source.full, "the source has sent its value: what was invalidated is not confirmed")
	})
}

// A load that fails has failed, whatever it has said before.
func TestNotModifiedAndAnError(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }, func(t *testing.T, p *path) {
		p.fill(decided(func(*readthrough.Load) {}))
		time.Sleep(time.Minute)
		got, err := p.read(func(ctx context.Context) (int, error) {
			readthrough.LoadOf(ctx, "k:1").NotModified()
			return 0, errDatabase
		})
		wantResult(t, "read", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute, Err: errDatabase})
	})
}

// What is stored can be confirmed only as what it is: not as a value of another
// type, and an absence as no value at all.
func TestOldValueIsOfItsType(t *testing.T) {
	type load = func(context.Context) (any, error)
	for name, first := range map[string]load{
		"another type": func(ctx context.Context) (any, error) { return "text", nil },
		"an absence":   func(context.Context) (any, error) { return nil, readthrough.ErrNotFound },
	} {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s := newScope(t, on(store))
				_, err := readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (any, error) {
					readthrough.LoadOf(ctx, "k").SetValidator("v")
					return first(ctx)
				})
				require.Equal(t, name == "an absence", errors.Is(err, readthrough.ErrNotFound), "%v", err)
				check := func(ctx context.Context) {
					assert.Empty(t, readthrough.LoadOf(ctx, "k").Validator(), "the validator of an old value")
				}
				if name == "an absence" {
					value, err := readthrough.Refresh(t.Context(), s, "k", func(ctx context.Context) (any, error) { check(ctx); return 1, nil })
					want(t, "Refresh", value, err, any(1))
					return
				}
				value, err := readthrough.Refresh(t.Context(), s, "k", func(ctx context.Context) (int, error) { check(ctx); return 1, nil })
				want(t, "Refresh", value, err, 1)
			})
		})
	}
}

// The same in the background, and by hand.
func TestNotModifiedInTheBackground(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
		source := conditional{value: 7, version: 1}
		read := func(wanted readthrough.Result[int]) {
			t.Helper()
			got, err := readthrough.WrapResult(t.Context(), s, "k:1", source.load)
			wantResult(t, "read", got, err, wanted)
			synctest.Wait()
		}
		read(readthrough.Result[int]{Value: 7, Source: readthrough.FromLoad})
		time.Sleep(time.Minute)
		read(readthrough.Result[int]{Value: 7, Source: readthrough.FromStale, Age: time.Minute})
		read(readthrough.Result[int]{Value: 7, Source: readthrough.FromStore})
		time.Sleep(time.Second)
		value, err := readthrough.Refresh(t.Context(), s, "k:1", source.load)
		want(t, "Refresh", value, err, 7)
		read(readthrough.Result[int]{Value: 7, Source: readthrough.FromStore})
		assert.Equal(t, 1, source.full, "the source has sent its value")
	})
}

// What was invalidated while the source was asked whether it has changed is not
// stored again, whatever the source says.
func TestNotModifiedWhatWasInvalidated(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Minute, time.Hour }
	for name, age := range map[string]time.Duration{"in the background": time.Minute, "in the foreground": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			onEachPath(t, change, func(t *testing.T, p *path) {
				p.fill(decided(func(*readthrough.Load) {}))
				time.Sleep(age)
				before := async(func() (readthrough.Result[int], error) {
					return p.read(decided(func(l *readthrough.Load) { l.NotModified(); time.Sleep(time.Second) }))
				})
				synctest.Wait()
				p.invalidateNow()
				src := newSource(2)
				src.take(time.Minute)
				after := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
				r := <-before
				assert.NoError(t, r.err, "before")
				assert.Equal(t, 1, r.value.Value, "before")
				time.Sleep(2 * time.Second)
				v, ok := stored(t, p.store, "k:1")
				assert.False(t, ok, "%v is stored", v)
				r = <-after
				assert.NoError(t, r.err, "after")
				assert.Equal(t, 2, r.value.Value, "after")
			})
		})
	}
}

// In a bulk load each id has its own decisions: what is said of one is not said of
// the others, and an error of the load does not take back what the source has
// confirmed.
func TestBulkLoadDecidesPerID(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("fails ", fails), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
				ids := []string{"same", "changed", "long", "unstored", "absent", "failed"}
				_, err := readthrough.WrapMany(t.Context(), s, []string{"same", "changed"}, self, func(ctx context.Context, ids []string) (map[string]int, error) {
					for _, id := range ids {
						readthrough.LoadOf(ctx, id).SetValidator("1 of " + id)
					}
					return map[string]int{"same": 1, "changed": 1}, nil
				})
				require.NoError(t, err)
				time.Sleep(time.Minute)
				got, err := readthrough.WrapManyResult(t.Context(), s, ids, self, func(ctx context.Context, ids []string) (map[string]int, error) {
					for _, id := range ids {
						v := readthrough.LoadOf(ctx, id).Validator()
						assert.Equal(t, id == "same" || id == "changed", v == "1 of "+id, "the validator of %q is %q", id, v)
					}
					readthrough.LoadOf(ctx, "same").NotModified()
					readthrough.LoadOf(ctx, "changed").SetValidator("2")
					readthrough.LoadOf(ctx, "long").SetTTL(2 * time.Hour)
					readthrough.LoadOf(ctx, "unstored").DoNotStore()
					readthrough.LoadOf(ctx, "failed").NotModified() // there is nothing that it would replace
					values := map[string]int{"changed": 2, "long": 2, "unstored": 2, "failed": 2}
					if fails {
						return values, errDatabase
					}
					return values, nil
				})
				assert.Error(t, err)
				assert.Equal(t, fails, errors.Is(err, errDatabase), "error %v", err)
				assert.Len(t, got, 4)
				for id, value := range map[string]int{"same": 1, "changed": 2, "long": 2, "unstored": 2} {
					wantResult(t, id, got[id], nil, readthrough.Result[int]{Value: value, Source: readthrough.FromLoad})
				}
				for id, isStored := range map[string]bool{"same": true, "changed": true, "long": true, "unstored": false, "absent": !fails, "failed": false} {
					_, ok := stored(t, store, id)
					assert.Equal(t, isStored, ok, "%s is stored", id)
				}
				time.Sleep(time.Minute + time.Hour)
				for id, isStored := range map[string]bool{"same": false, "changed": false, "long": true} {
					_, ok := stored(t, store, id)
					assert.Equal(t, isStored, ok, "an hour later %s is stored", id)
				}
			})
		})
	}
}

// A store with leases gets a confirmed value without its bytes.
func TestConfirmedValueIsNotSentAgain(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseDouble()
		var fills []provider.Fill
		store.around("fill", func(_ context.Context, r *request, fill func() error) error {
			fills = append(fills, r.fills...)
			return fill()
		})
		s := newScope(t, on(store.as(likeShared)), serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
		source := conditional{value: 7, version: 1}
		for range 2 {
			_, err := readthrough.Wrap(t.Context(), s, "k:1", source.load)
			require.NoError(t, err)
			time.Sleep(time.Minute)
		}
		if assert.Len(t, fills, 2, "the second fill extends") {
			assert.False(t, fills[0].Extend, "the second fill extends")
			assert.True(t, fills[1].Extend, "the second fill extends")
			assert.Equal(t, "1", fills[1].Entry.Validator, "the second fill extends")
		}
	})
}

// What a load says after its timeout is not used, as what it returns.
func TestDecisionsAfterTheTimeout(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) { so.StaleIfError, so.LoadTimeout = time.Hour, time.Second }
	onEachPath(t, change, func(t *testing.T, p *path) {
		p.fill(decided(func(*readthrough.Load) {}))
		time.Sleep(time.Minute)
		got, err := p.read(decided(func(l *readthrough.Load) { time.Sleep(time.Minute); l.NotModified() }))
		wantResult(t, "at the timeout", got, err, readthrough.Result[int]{
			Value: 1, Source: readthrough.FromStale, Age: time.Minute + time.Second, Err: readthrough.ErrLoadTimeout,
		})
		time.Sleep(time.Minute)
		wantIdle(t, p.scope)
		wantStoredFor(t, p.store, "k:1", time.Hour-time.Minute-time.Second)
	})
}

// Nor is it in the background, where nobody is sent away at the timeout.
func TestDecisionsAfterTheTimeoutInTheBackground(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.LoadTimeout = time.Hour, time.Second }))
		read := func(load func(context.Context, []string) (map[string]int, error)) map[string]readthrough.Result[int] {
			got, err := readthrough.WrapManyResult(t.Context(), s, []string{"a", "b"}, self, load)
			assert.NoError(t, err)
			return got
		}
		read(many(newSource(1).load))
		time.Sleep(time.Minute)
		read(func(ctx context.Context, ids []string) (map[string]int, error) {
			time.Sleep(time.Minute)
			for _, id := range ids {
				readthrough.LoadOf(ctx, id).NotModified()
			}
			return nil, nil
		})
		time.Sleep(2 * time.Minute)
		wantResult(t, "afterwards", read(many(newSource(1).load))["a"], nil, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: 3 * time.Minute})
		synctest.Wait()
	})
}
