package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// diary notes what happened, in order.
type diary []string

func (d *diary) note(what string) { *d = append(*d, what) }

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	assert.Equal(t, want, []string(*d), "happened")
}

// keysOf makes targets of keys.
func keysOf(keys ...string) readthrough.Targets { return readthrough.Targets{Keys: keys} }

// diary returns a diary in which the deletions of the rig's store are noted,
// when they begin and when they end.
func (r *rig) diary() *diary {
	d := new(diary)
	slow := func(_ context.Context, names []string) error {
		d.note("delete " + names[0])
		time.Sleep(10 * time.Millisecond)
		d.note("deleted")
		return nil
	}
	r.store.hook("delete", slow)
	r.store.hook("deletePrefix", slow)
	return d
}

func TestMutateOrder(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		d := r.diary()
		got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
			Write: func(context.Context) (string, error) {
				d.note("write")
				r.set("2")
				time.Sleep(time.Millisecond)
				d.note("written")
				return "result", nil
			},
			Invalidate: func(result string) readthrough.Targets {
				d.note("targets of " + result)
				return readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"list:"}}
			},
			Emit: func(_ context.Context, result string) error {
				d.note("emit " + result)
				r.expectRead("k", "2", true) // who reads because of it sees the change
				return nil
			},
		})
		want(t, "Mutate", got, err, "result")
		d.expect(t, "write", "written", "targets of result", "delete k", "deleted", "delete list:", "deleted", "emit result")
	})
}

// TestMutateReaderTriggeredByEmit: everybody who hears of the change sees it,
// also those who read all the time.
func TestMutateReaderTriggeredByEmit(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.delay = 3 * time.Millisecond // loads that are under way when the write happens
		r.store.hook("delete", func(context.Context, []string) error {
			time.Sleep(7 * time.Millisecond)
			return nil
		})
		stop := make(chan struct{})
		defer close(stop)
		for range 10 {
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						r.read("k")
					}
				}
			}()
		}
		for _, value := range []string{"2", "3", "4", "5", "6"} {
			time.Sleep(11 * time.Millisecond)
			_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
				Write:      func(context.Context) (string, error) { r.set(value); return value, nil },
				Invalidate: func(string) readthrough.Targets { return keysOf("k") },
				Emit: func(_ context.Context, value string) error {
					for range 10 {
						assert.Equal(t, value, r.read("k"), "read after the signal")
					}
					return nil
				},
			})
			require.NoError(t, err)
		}
	})
}

// TestMutateFailedWrite: after an error, a panic or a Goexit of the write, nobody knows what it has
// changed. What it may have made stale is invalidated, and nothing is emitted.
func TestMutateFailedWrite(t *testing.T) {
	errWrite := errors.New("the connection broke during the commit")
	outcomes := map[string]struct {
		end       func() error
		unchanged bool
	}{
		"error":             {end: func() error { return errWrite }},
		"panic":             {end: func() error { panic(errWrite) }},
		"Goexit":            {end: func() error { runtime.Goexit(); return nil }},
		"unchanged":         {end: func() error { return readthrough.ErrUnchanged }, unchanged: true},
		"unchanged, reason": {end: func() error { return fmt.Errorf("%w: %w", readthrough.ErrUnchanged, errWrite) }, unchanged: true},
	}
	targets := map[string]func(*readthrough.Mutation[string]){
		"Targets": func(m *readthrough.Mutation[string]) { m.Targets = keysOf("k") },
		"Hold":    func(m *readthrough.Mutation[string]) { m.Hold = keysOf("k") },
		"Invalidate": func(m *readthrough.Mutation[string]) {
			m.Invalidate = func(string) readthrough.Targets { return keysOf("k") }
		},
		"an Invalidate that panics": func(m *readthrough.Mutation[string]) {
			m.Targets = keysOf("k")
			m.Invalidate = func(result string) readthrough.Targets { return keysOf(result[len("system:"):]) }
		},
	}
	for name, outcome := range outcomes {
		for how, set := range targets {
			if how == "Invalidate" && (name == "panic" || name == "Goexit") {
				continue // nothing is known without a result
			}
			bubble(t, name+", "+how, func(t *testing.T) {
				r := newRig(t, readthrough.Options{}, 0)
				r.read("k")
				m := readthrough.Mutation[string]{
					Write: func(context.Context) (string, error) { r.set("2"); return "", outcome.end() },
					Emit:  func(context.Context, string) error { t.Error("emitted"); return nil },
				}
				set(&m)
				done := async(func() (got string, err error) {
					defer func() {
						if p := recover(); p != nil {
							err, _ = p.(error)
						}
					}()
					return readthrough.Mutate(t.Context(), r.scope, m)
				})
				if name == "Goexit" {
					synctest.Wait() // the goroutine has ended, and says nothing
				} else {
					end := <-done
					assert.Empty(t, end.value, "the result of a write that has failed")
					if !outcome.unchanged {
						assert.ErrorIs(t, end.err, errWrite)
					}
					assert.Equal(t, outcome.unchanged, errors.Is(end.err, readthrough.ErrUnchanged))
				}
				if outcome.unchanged {
					assert.Zero(t, r.scope.Stats().Invalidations, "Stats().Invalidations")
					r.expectRead("k", "1", false)
				} else {
					r.expectRead("k", "2", true)
				}
			})
		}
	}
}

// TestMutateFailedWriteThatIsPending: the error says both.
func TestMutateFailedWriteThatIsPending(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		r.store.fail(faultError, "delete")
		errWrite := errors.New("nobody knows")
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
			Targets: keysOf("k"), Write: func(context.Context) (int, error) { r.set("2"); return 0, errWrite },
		})
		assert.ErrorIs(t, err, errWrite)
		assert.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		r.expectRead("k", "2", true)
	})
}

// TestMutateGivesItsHoldUp, however the write ends.
func TestMutateGivesItsHoldUp(t *testing.T) {
	for name, end := range map[string]func() error{
		"error":     func() error { return errDatabase },
		"unchanged": func() error { return readthrough.ErrUnchanged },
		"panic":     func() error { panic(errDatabase) },
		"Goexit":    func() error { runtime.Goexit(); return nil },
	} {
		bubble(t, name, func(t *testing.T) {
			a, _, _, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
			go func() {
				defer func() { _ = recover() }()
				_, _ = readthrough.Mutate(t.Context(), a, readthrough.Mutation[int]{
					Hold: keysOf("k"), Write: func(context.Context) (int, error) { return 0, end() },
				})
			}()
			synctest.Wait()
			server.mu.Lock()
			defer server.mu.Unlock()
			assert.Empty(t, server.holds, "holds")
		})
	}
}

// TestMutateTargetsOfTheResult: what a write made stale may only be known after
// it, such as the system that a maintenance was moved away from.
func TestMutateTargetsOfTheResult(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		type moved struct{ from, to string }
		r := newRig(t, readthrough.Options{}, 0)
		for _, key := range []string{"system:a", "system:b", "system:c"} {
			r.read(key)
		}
		got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[moved]{
			Write: func(context.Context) (moved, error) { r.set("2"); return moved{"a", "b"}, nil },
			Invalidate: func(m moved) readthrough.Targets {
				return keysOf("system:"+m.from, "system:"+m.to)
			},
		})
		want(t, "Mutate", got, err, moved{"a", "b"})
		r.expectRead("system:a", "2", true)
		r.expectRead("system:b", "2", true)
		r.expectRead("system:c", "1", false)
	})
}

// TestMutateInvalidatesWhatItHeld, in a store without holds too: there, nothing has
// happened to it before.
func TestMutateInvalidatesWhatItHeld(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		for _, key := range []string{"k", "list:a", "other"} {
			r.read(key)
		}
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
			Hold:       readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"list:"}},
			Write:      func(context.Context) (int, error) { r.set("2"); return 0, nil },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
		})
		assert.NoError(t, err)
		r.expectRead("k", "2", true)
		r.expectRead("list:a", "2", true)
		r.expectRead("other", "1", false)
	})
}

func TestMutateNothingStale(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		d := r.diary()
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
			Write:      func(context.Context) (int, error) { return 0, nil },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
			Emit:       func(context.Context, int) error { d.note("emit"); return nil },
		})
		assert.NoError(t, err)
		d.expect(t, "emit")
		r.expectRead("k", "1", false)
	})
}

// TestMutateWhenPending: the caller chooses. Readers of this process see the
// change in any case.
func TestMutateWhenPending(t *testing.T) {
	stores := map[string]struct {
		prepare func(r *rig)
		reports int // of the failed deletion
	}{
		"failed": {func(r *rig) { r.store.fail(faultError, "delete") }, 1},
		"left alone": {func(r *rig) {
			r.store.failAll(faultError)
			for range breakerFailures {
				r.read("x")
			}
		}, 1},
		"stuck fill": {func(r *rig) {
			r.store.fail(faultStuck, "set")
			r.scope.Invalidate(r.t.Context(), "k")
			r.read("k")
		}, 1},
	}
	for name, store := range stores {
		for _, fails := range []bool{false, true} {
			bubble(t, name+map[bool]string{false: "/emit", true: "/fail"}[fails], func(t *testing.T) {
				r := newRig(t, readthrough.Options{}, 0)
				r.read("k")
				store.prepare(r)
				before := len(r.reports())
				d := new(diary)
				got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
					Write:           func(context.Context) (string, error) { r.set("2"); return "result", nil },
					Invalidate:      func(string) readthrough.Targets { return keysOf("k") },
					Emit:            func(context.Context, string) error { d.note("emit"); return nil },
					FailWhenPending: fails,
				})
				assert.Equal(t, "result", got, "Mutate: error %v", err)
				assert.Equal(t, fails, errors.Is(err, readthrough.ErrInvalidationPending), "Mutate: error %v", err)
				assert.Equal(t, fails, err != nil, "Mutate: error %v", err)
				if fails {
					d.expect(t)
				} else {
					d.expect(t, "emit")
				}
				r.expectPending(1)
				reports := r.reports()[before:]
				if !fails {
					assert.Len(t, reports, store.reports, "reported: who does not get the error has to find it in the log, once")
				}
				for _, report := range reports {
					assert.Equal(t, "delete", report.op, "reported: the deletion of k")
					assert.Equal(t, "k", report.key, "reported: the deletion of k")
					assert.Equal(t, "s", report.scope, "reported: the deletion of k")
				}
				r.expectRead("k", "2", true)
			})
		}
	}
}

// TestMutateWhenTheCallerLeaves: the change has happened, so the rest has to.
func TestMutateWhenTheCallerLeaves(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		type key struct{}
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		emitted := false
		got, err := readthrough.Mutate(ctx, r.scope, readthrough.Mutation[string]{
			Write: func(got context.Context) (string, error) {
				r.set("2")
				cancel()
				assert.Error(t, got.Err(), "the context of the write is not that of the caller")
				return "result", nil
			},
			Invalidate: func(string) readthrough.Targets { return keysOf("k") },
			Emit: func(ctx context.Context, _ string) error {
				emitted = true
				assert.NoError(t, ctx.Err(), "the context of the emit has ended")
				assert.Equal(t, "v", ctx.Value(key{}), "the context of the emit has the value")
				return nil
			},
		})
		want(t, "Mutate", got, err, "result")
		assert.True(t, emitted, "nothing was emitted")
		r.expectPending(0)
		r.expectRead("k", "2", true)
	})
}

func TestMutateEmitError(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		errEmit := errors.New("nobody listens")
		got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
			Write:      func(context.Context) (string, error) { r.set("2"); return "result", nil },
			Invalidate: func(string) readthrough.Targets { return keysOf("k") },
			Emit:       func(context.Context, string) error { return errEmit },
		})
		assert.Equal(t, "result", got, "Mutate returns the result and the error of the emit")
		assert.ErrorIs(t, err, errEmit, "Mutate returns the result and the error of the emit")
		assert.NotErrorIs(t, err, readthrough.ErrInvalidationPending, "Mutate returns the result and the error of the emit")
		r.expectRead("k", "2", true)
	})
}

// TestMutateBadTargets: the write has happened, but nobody may be told.
func TestMutateBadTargets(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		for _, bad := range []readthrough.Targets{keysOf("k", ""), {Keys: []string{"k"}, Prefixes: []string{tooLong}}} {
			got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
				Write:      func(context.Context) (string, error) { return "result", nil },
				Invalidate: func(string) readthrough.Targets { return bad },
				Emit:       func(context.Context, string) error { t.Error("emitted"); return nil },
			})
			assert.Equal(t, "result", got, "Mutate returns the result and an error")
			assert.Error(t, err, "Mutate returns the result and an error")
			assert.NotErrorIs(t, err, readthrough.ErrInvalidationPending, "Mutate returns the result and an error")
		}
		assert.Empty(t, r.store.calls(), "the store was asked")
	})
	bubble(t, "closed during the write", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
			Write:      func(context.Context) (string, error) { return "", r.cache.Close() },
			Invalidate: func(string) readthrough.Targets { return keysOf("k") },
			Emit:       func(context.Context, string) error { t.Error("emitted"); return nil },
		})
		assert.ErrorIs(t, err, readthrough.ErrClosed)
		synctest.Wait()
	})
}

// Hold closes the gap between the write and the invalidation for readers in other
// processes, whatever happens to the writer in it.
func TestHoldSurvivesTheWriter(t *testing.T) {
	for name, hold := range map[string]bool{"with Hold": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, networks, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
				var source versioned
				source.version.Store(1)
				readNow(t, b, source.load)
				mutation := readthrough.Mutation[int64]{
					Write: func(context.Context) (int64, error) {
						// B reads past the store
						if hold {
							assert.Equal(t, int64(1), readNow(t, b, source.load), "B sees the write before it happened")
						}
						networks[0].cut.Store(true)
						return source.version.Add(1), nil
					},
					Invalidate:      func(int64) readthrough.Targets { return readthrough.Targets{Keys: []string{"k"}} },
					FailWhenPending: true,
				}
				if hold {
					mutation.Hold = readthrough.Targets{Keys: []string{"k"}}
				}
				_, err := readthrough.Mutate(t.Context(), a, mutation)
				require.ErrorIs(t, err, readthrough.ErrInvalidationPending, "Mutate")
				assert.Equal(t, int64(2), readNow(t, a, source.load), "the version that A reads")
				got := readNow(t, b, source.load)
				assert.Equal(t, hold, got == 2, "B reads version %d", got)
				networks[0].cut.Store(false)
				time.Sleep(time.Minute)
				assert.Equal(t, int64(2), readNow(t, b, source.load), "the version that B reads after the heal")
				loads := source.loads.Load()
				readNow(t, a, source.load)
				assert.Equal(t, loads, source.loads.Load(), "the key is still held")
			})
		})
	}
}

// Without the hold nothing is written.
func TestMutateDoesNotWriteWhatItCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, networks, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		networks[0].cut.Store(true)
		_, err := readthrough.Mutate(t.Context(), a, readthrough.Mutation[int64]{
			Write:      func(context.Context) (int64, error) { t.Error("written"); return 0, nil },
			Invalidate: func(int64) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Prefixes: []string{"list:"}},
		})
		assert.ErrorIs(t, err, readthrough.ErrNotHeld, "Mutate")
	})
}

// A write that fails leaves nothing held and nothing invalidated but what the
// hold removed.
func TestFailedWriteGivesUpTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		var source versioned
		_, err := readthrough.Mutate(t.Context(), a, readthrough.Mutation[int64]{
			Write: func(ctx context.Context) (int64, error) {
				<-ctx.Done() // after HoldFor
				return 0, ctx.Err()
			},
			Invalidate: func(int64) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Keys: []string{"k"}}, HoldFor: time.Second,
		})
		require.ErrorIs(t, err, context.DeadlineExceeded, "Mutate")
		readNow(t, b, source.load)
		readNow(t, b, source.load)
		assert.Equal(t, int64(1), source.loads.Load(), "loads: the key is still held")
	})
}

// A process that only mutates finds out that the store is back.
func TestHoldNeverProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		_, scope := newFleetScope(t, &leaseStore{newLeaseServer(), n}, readthrough.Options{}, readthrough.ScopeOptions{})
		m := readthrough.Mutation[int]{
			Write:      func(context.Context) (int, error) { return 1, nil },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Keys: []string{"k"}},
		}
		n.cut.Store(true)
		for range 10 {
			_, err := readthrough.Mutate(t.Context(), scope, m)
			require.ErrorIs(t, err, readthrough.ErrNotHeld)
		}
		n.cut.Store(false)
		time.Sleep(24 * time.Hour)
		_, err := readthrough.Mutate(t.Context(), scope, m)
		assert.NoError(t, err, "the store has been back for a day")
	})
}

// The longest HoldFor is a long one.
func TestHoldForOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		store := &leaseStore{server, &network{}}
		_, scope := newFleetScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		_, err := readthrough.Mutate(t.Context(), scope, readthrough.Mutation[int]{
			Write: func(ctx context.Context) (int, error) {
				g, _ := store.Acquire(ctx, []provider.Key{{Scope: "fleet", Name: "k"}}, time.Second)
				assert.Equal(t, provider.LeaseHeld, g[0].State, "during the write the key is held")
				return 0, nil
			},
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Keys: []string{"k"}}, HoldFor: math.MaxInt64,
		})
		t.Log(err)
	})
}

// However Invalidate ends after a write that has happened, what was known to be stale is invalidated, and
// nothing stays held.
func TestMutateWhenInvalidateFails(t *testing.T) {
	for name, invalidate := range map[string]func(string) readthrough.Targets{
		"panic":  func(string) readthrough.Targets { panic("invalidate") },
		"Goexit": func(string) readthrough.Targets { runtime.Goexit(); return readthrough.Targets{} },
		"bad":    func(string) readthrough.Targets { return keysOf("k", "") },
	} {
		for outcome, failure := range map[string]error{"written": nil, "failed": errDatabase} {
			bubble(t, name+" "+outcome, func(t *testing.T) {
				a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
				var held, known source[int]
				read := func(s *readthrough.CachedScope) (values [2]int) {
					for i, src := range []*source[int]{&held, &known} {
						value, err := readthrough.Wrap(t.Context(), s, []string{"held", "known"}[i], src.load)
						require.NoError(t, err)
						values[i] = value
					}
					return values
				}
				assert.Equal(t, [2]int{}, read(b))
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_, err := readthrough.Mutate(t.Context(), a, readthrough.Mutation[string]{
						Write: func(context.Context) (string, error) {
							held.set(1)
							known.set(1)
							return "", failure
						},
						Invalidate: invalidate,
						Targets:    keysOf("known"),
						Hold:       keysOf("held"),
						Emit:       func(context.Context, string) error { t.Error("emitted"); return nil },
					})
					assert.Error(t, err)
				}()
				<-done
				assert.Equal(t, [2]int{1, 1}, read(b), "after the mutation")
				read(b)
				wantLoads(t, &held.loads, 2) // it is not held any more
				wantLoads(t, &known.loads, 2)
			})
		}
	}
}

// TestHoldOutlastsTheInvalidation: a write that takes all of HoldFor is followed by an invalidation that
// takes all of its time. The key is held until that is over, so no other process stores what it has loaded
// before the commit.
func TestHoldOutlastsTheInvalidation(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := newLeaseDouble()
		_, s := newFleetScope(t, d.as(likeShared), readthrough.Options{}, readthrough.ScopeOptions{})
		held := false
		d.around("delete", func(_ context.Context, _ *request, call func() error) error {
			time.Sleep(time.Second - time.Millisecond)
			d.server.mu.Lock()
			held = d.server.heldLocked(provider.Key{Scope: "fleet", Name: "k"})
			d.server.mu.Unlock()
			return call()
		})
		_, err := readthrough.Mutate(t.Context(), s, readthrough.Mutation[int]{
			Hold: readthrough.Targets{Keys: []string{"k"}}, HoldFor: 3 * time.Second,
			Write: func(context.Context) (int, error) { time.Sleep(3*time.Second - time.Millisecond); return 1, nil },
		})
		require.NoError(t, err)
		assert.True(t, held, "the hold has ended before the removal")
	})
}

// TestHoldThatWasNotConfirmedIsGivenUp: it may have been placed, and would keep the key out of the store.
func TestHoldThatWasNotConfirmedIsGivenUp(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := newLeaseDouble()
		_, s := newFleetScope(t, d.as(likeShared), readthrough.Options{}, readthrough.ScopeOptions{})
		d.fail(faultLost, "hold")
		_, err := readthrough.Mutate(t.Context(), s, readthrough.Mutation[int]{
			Hold: readthrough.Targets{Keys: []string{"k"}}, Write: func(context.Context) (int, error) { return 1, nil },
		})
		require.ErrorIs(t, err, readthrough.ErrNotHeld)
		var loads atomic.Int64
		for range 3 {
			value, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { loads.Add(1); return 1, nil })
			want(t, "read", value, err, 1)
		}
		wantLoads(t, &loads, 1)
	})
}
