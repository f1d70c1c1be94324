package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// happened is an event, with the name of the observer's function that was told.
type happened struct {
	readthrough.Event

	kind string
}

// observer returns an observer whose functions all tell f. "refresh" is the start of a load in the
// background.
func observer(f func(happened)) readthrough.Observer {
	tell := func(kind string) func(context.Context, readthrough.Event) {
		return func(_ context.Context, e readthrough.Event) { f(happened{e, kind}) }
	}
	return readthrough.Observer{
		Hit: tell("hit"), Miss: tell("miss"), Join: tell("join"), Stale: tell("stale"),
		LoadStart: func(ctx context.Context, e readthrough.Event) context.Context {
			if e.Refresh {
				tell("refresh")(ctx, e)
			}
			return ctx
		},
		SampledStale: tell("sampledStale"),
		LoadEnd:      tell("load"), RefusedFill: tell("refusedFill"),
		Invalidate: tell("invalidate"), Recovered: tell("recovered"),
		Error: func(_ context.Context, e *readthrough.OpError) {
			f(happened{readthrough.Event{Scope: e.Scope, Key: e.Key, Count: 1, Err: e.Err}, "error"})
		},
	}
}

// TestEvents: an observer is told of everything, once.
func TestEvents(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		seen := 0
		expect := func(what string, wanted ...happened) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			got := r.events[seen:]
			seen = len(r.events)
			require.Len(t, got, len(wanted), "%s: events", what)
			for i, e := range got {
				w := wanted[i]
				assert.Equal(t, "s", e.Scope, "%s: event %d", what, i)
				assert.Equal(t, w.kind, e.kind, "%s: event %d", what, i)
				assert.Equal(t, w.Key, e.Key, "%s: event %d", what, i)
				assert.Equal(t, w.Count, e.Count, "%s: event %d", what, i)
				assert.Equal(t, w.Duration, e.Duration, "%s: event %d", what, i)
				assert.ErrorIs(t, e.Err, w.Err, "%s: event %d", what, i)
			}
		}
		event := func(kind, key string, count int) happened {
			return happened{readthrough.Event{Key: key, Count: count}, kind}
		}
		lasting := func(e happened, d time.Duration, err error) happened {
			e.Duration, e.Err = d, err
			return e
		}
		const hit, miss, join, load = "hit", "miss", "join", "load"
		const refused, invalidate = "refusedFill", "invalidate"

		r.delay = time.Second
		r.read("k")
		expect("miss", event(miss, "k", 1), lasting(event(load, "k", 1), time.Second, nil))
		r.read("k")
		expect("hit", event(hit, "k", 1))

		first := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "l") })
		synctest.Wait()
		r.read("l")
		<-first
		expect("join", event(miss, "l", 1), event(miss, "l", 1), event(join, "l", 1), lasting(event(load, "l", 1), time.Second, nil))

		r.delay = 0
		r.readMany("k", "m", "n")
		expect("bulk", event(hit, "", 1), event(miss, "", 2), event(load, "", 2))

		_, _ = readthrough.Wrap(t.Context(), r.scope, "e", func(context.Context) (int, error) { return 0, errFault })
		expect("load error", event(miss, "e", 1), lasting(event(load, "e", 1), 0, errFault))

		_, _ = readthrough.Wrap(t.Context(), r.scope, "f", func(ctx context.Context) (int, error) { return 0, r.scope.Invalidate(ctx, "f") })
		expect("refused fill", event(miss, "f", 1), event(invalidate, "f", 1), event(load, "f", 1), event(refused, "f", 1))

		r.store.hook("deletePrefix", func(context.Context, []string) error { time.Sleep(time.Millisecond); return nil })
		_, _ = r.scope.InvalidatePrefix(t.Context(), "k")
		expect("prefix", lasting(event(invalidate, "k", 1), time.Millisecond, nil))
		_, _ = r.scope.InvalidateTargets(t.Context(), readthrough.Targets{Keys: []string{"k", "l"}, Prefixes: []string{"m"}})
		expect("targets", lasting(event(invalidate, "", 3), time.Millisecond, nil))

		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k")
		expect("pending", lasting(event("error", "k", 1), 0, errFault),
			lasting(event(invalidate, "k", 1), 0, readthrough.ErrInvalidationPending))
		r.store.heal()
		time.Sleep(recovery)
		expect("recovered", event("recovered", "k", 1))
	})
}

// TestLoadStart: the load function gets the context that LoadStart returns, and so do LoadEnd and
// RefusedFill. A LoadStart that returns nil or panics changes nothing.
func TestLoadStart(t *testing.T) {
	type spanKey struct{}
	for name, bulk := range map[string]bool{"single": false, "bulk": true} {
		bubble(t, name, func(t *testing.T) {
			var got []string
			note := func(what string) func(context.Context, readthrough.Event) {
				return func(ctx context.Context, e readthrough.Event) {
					got = append(got, fmt.Sprintf("%s %s %d %v %v", what, e.Key, e.Count, ctx.Value(spanKey{}), ctx.Value(contextKey{})))
				}
			}
			start := func(ctx context.Context, e readthrough.Event) context.Context {
				note("start")(ctx, e)
				return context.WithValue(ctx, spanKey{}, "span")
			}
			observe := readthrough.Observer{
				LoadStart: func(ctx context.Context, e readthrough.Event) context.Context { return start(ctx, e) },
				LoadEnd:   note("end"), RefusedFill: note("refused"),
			}
			s := newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.Observer = observe }),
				with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.OnError = func(*readthrough.OpError) {} }))
			ctx := context.WithValue(t.Context(), contextKey{}, "reader")
			read := func() {
				t.Helper()
				load := func(ctx context.Context) (int, error) {
					got = append(got, fmt.Sprint("load ", ctx.Value(spanKey{})))
					return 1, s.Invalidate(ctx, "k")
				}
				if bulk {
					values, err := readthrough.WrapMany(ctx, s, []string{"k"}, self, many(load))
					require.NoError(t, err)
					require.Equal(t, map[string]int{"k": 1}, values)
				} else {
					value, err := readthrough.Wrap(ctx, s, "k", load)
					want(t, "Wrap", value, err, 1)
				}
				synctest.Wait()
			}
			read()
			require.Equal(t, []string{"start k 1 <nil> reader", "load span", "end k 1 span reader", "refused k 1 span reader"}, got)
			for _, start = range []func(context.Context, readthrough.Event) context.Context{
				func(context.Context, readthrough.Event) context.Context { return nil },
				func(context.Context, readthrough.Event) context.Context { panic("LoadStart") },
			} {
				got = nil
				read()
				require.Equal(t, []string{"load <nil>", "end k 1 <nil> reader", "refused k 1 <nil> reader"}, got)
			}
		})
	}
}

var errCause = errors.New("the cause")

// TestObserverUsesTheCache: the observer is told after the call has landed, so that an invalidation of
// the key in it does not wait for itself.
func TestObserverUsesTheCache(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := plain(newStore(t))
		store.fail(faultError, "set")
		var s *readthrough.CachedScope
		told := 0
		s = newScope(t, on(store), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(e *readthrough.OpError) {
				told++
				assert.NoError(t, s.Invalidate(t.Context(), e.Key), "in OnError")
			}
			o.Observer.Error = func(ctx context.Context, e *readthrough.OpError) {
				told++
				assert.NoError(t, s.Invalidate(ctx, e.Key), "in the observer")
			}
		}))
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		want(t, "Wrap", value, err, 1)
		synctest.Wait()
		assert.Equal(t, 2, told, "told of the fill that failed")
		wantIdle(t, s)
	})
}
