package readthrough_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough"
)

// diary notes what happened, in order.
type diary []string

func (d *diary) note(what string) { *d = append(*d, what) }

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*d, want) {
		t.Errorf("happened: %q, want %q", *d, want)
	}
}

// keysOf makes targets of keys.
func keysOf(keys ...string) readthrough.Targets { return readthrough.Targets{Keys: keys} }

// diaryOf returns a diary in which the deletions of the rig's store are noted,
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
		r := newRig(t, readthrough.Options{}, nil)
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
		r := newRig(t, readthrough.Options{}, nil)
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
						if got := r.read("k"); got != value {
							t.Errorf("read %q after the signal, want %q", got, value)
						}
					}
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestMutateFailedWrite(t *testing.T) {
	errWrite := errors.New("constraint violated")
	mutation := func(r *rig, d *diary, write func(context.Context) (string, error)) readthrough.Mutation[string] {
		return readthrough.Mutation[string]{
			Write:      write,
			Invalidate: func(string) readthrough.Targets { d.note("targets"); return keysOf("k") },
			Emit:       func(context.Context, string) error { d.note("emit"); return nil },
		}
	}
	bubble(t, "error", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.read("k")
		d := r.diary()
		got, err := readthrough.Mutate(t.Context(), r.scope, mutation(r, d, func(context.Context) (string, error) {
			return "half done", errWrite
		}))
		if got != "" || err != errWrite { //nolint:errorlint // it is returned as it is
			t.Errorf("Mutate: %q, %v; want the error of the write alone", got, err)
		}
		d.expect(t)
		r.expectRead("k", "1", false)
		if got := r.scope.Stats().Invalidations; got != 0 {
			t.Errorf("Stats().Invalidations = %d", got)
		}
	})
	bubble(t, "panic", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.read("k")
		d := r.diary()
		func() {
			defer func() {
				if got, ok := recover().(error); !ok || !errors.Is(got, errWrite) {
					t.Errorf("recovered %v, want the panic of the write", got)
				}
			}()
			_, _ = readthrough.Mutate(t.Context(), r.scope, mutation(r, d, func(context.Context) (string, error) { panic(errWrite) }))
		}()
		d.expect(t)
		r.expectRead("k", "1", false)
	})
}

// TestMutateTargetsOfTheResult: what a write made stale may only be known after
// it, such as the system that a maintenance was moved away from.
func TestMutateTargetsOfTheResult(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		type moved struct{ from, to string }
		r := newRig(t, readthrough.Options{}, nil)
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
		r := newRig(t, readthrough.Options{}, nil)
		for _, key := range []string{"k", "list:a", "other"} {
			r.read(key)
		}
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
			Hold:       readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"list:"}},
			Write:      func(context.Context) (int, error) { r.set("2"); return 0, nil },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
		})
		if err != nil {
			t.Error(err)
		}
		r.expectRead("k", "2", true)
		r.expectRead("list:a", "2", true)
		r.expectRead("other", "1", false)
	})
}

func TestMutateNothingStale(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.read("k")
		d := r.diary()
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
			Write:      func(context.Context) (int, error) { return 0, nil },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
			Emit:       func(context.Context, int) error { d.note("emit"); return nil },
		})
		if err != nil {
			t.Error(err)
		}
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
		for _, choice := range []readthrough.OnPending{readthrough.EmitWhenPending, readthrough.FailWhenPending} {
			fails := choice == readthrough.FailWhenPending
			bubble(t, name+map[bool]string{false: "/emit", true: "/fail"}[fails], func(t *testing.T) {
				r := newRig(t, readthrough.Options{}, nil)
				r.read("k")
				store.prepare(r)
				before := len(r.reports())
				d := new(diary)
				got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
					Write:      func(context.Context) (string, error) { r.set("2"); return "result", nil },
					Invalidate: func(string) readthrough.Targets { return keysOf("k") },
					Emit:       func(context.Context, string) error { d.note("emit"); return nil },
					OnPending:  choice,
				})
				if got != "result" || errors.Is(err, readthrough.ErrInvalidationPending) != fails || (err != nil) != fails {
					t.Errorf("Mutate: %q, %v", got, err)
				}
				if fails {
					d.expect(t)
				} else {
					d.expect(t, "emit")
				}
				r.expectPending(1)
				reports := r.reports()[before:]
				if !fails && len(reports) != store.reports {
					t.Errorf("reported %v: who does not get the error has to find it in the log, once", reports)
				}
				for _, report := range reports {
					if report.op != readthrough.OpDelete || report.key != "k" || report.scope != "s" {
						t.Errorf("reported %+v, want the deletion of k", report)
					}
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
		r := newRig(t, readthrough.Options{}, nil)
		r.read("k")
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		emitted := false
		got, err := readthrough.Mutate(ctx, r.scope, readthrough.Mutation[string]{
			Write: func(got context.Context) (string, error) {
				r.set("2")
				cancel()
				if got.Err() == nil {
					t.Error("the context of the write is not that of the caller")
				}
				return "result", nil
			},
			Invalidate: func(string) readthrough.Targets { return keysOf("k") },
			Emit: func(ctx context.Context, _ string) error {
				emitted = true
				if err := ctx.Err(); err != nil {
					t.Errorf("the context of the emit has ended: %v", err)
				}
				if got := ctx.Value(key{}); got != "v" {
					t.Errorf("the context of the emit has the value %v", got)
				}
				return nil
			},
		})
		want(t, "Mutate", got, err, "result")
		if !emitted {
			t.Error("nothing was emitted")
		}
		r.expectPending(0)
		r.expectRead("k", "2", true)
	})
}

func TestMutateEmitError(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.read("k")
		errEmit := errors.New("nobody listens")
		got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
			Write:      func(context.Context) (string, error) { r.set("2"); return "result", nil },
			Invalidate: func(string) readthrough.Targets { return keysOf("k") },
			Emit:       func(context.Context, string) error { return errEmit },
		})
		if got != "result" || !errors.Is(err, errEmit) || errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Errorf("Mutate: %q, %v; want the result and the error of the emit", got, err)
		}
		r.expectRead("k", "2", true)
	})
}

// TestMutateBadTargets: the write has happened, but nobody may be told.
func TestMutateBadTargets(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		for _, bad := range []readthrough.Targets{keysOf("k", ""), {Keys: []string{"k"}, Prefixes: []string{tooLong}}} {
			got, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
				Write:      func(context.Context) (string, error) { return "result", nil },
				Invalidate: func(string) readthrough.Targets { return bad },
				Emit:       func(context.Context, string) error { t.Error("emitted"); return nil },
			})
			if got != "result" || err == nil || errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Errorf("Mutate: %q, %v; want the result and an error", got, err)
			}
		}
		if calls := r.store.calls(); len(calls) != 0 {
			t.Errorf("the store was asked: %v", calls)
		}
	})
	bubble(t, "closed during the write", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		_, err := readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[string]{
			Write:      func(context.Context) (string, error) { return "", r.cache.Close() },
			Invalidate: func(string) readthrough.Targets { return keysOf("k") },
			Emit:       func(context.Context, string) error { t.Error("emitted"); return nil },
		})
		if !errors.Is(err, readthrough.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		synctest.Wait()
	})
}
