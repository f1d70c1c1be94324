package readthrough_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
)

// TestEveryConfiguration: what the contract promises holds in every combination of
// options, on stores of every kind, for single and bulk reads.
func TestEveryConfiguration(t *testing.T) {
	proofs.Unraced(t, "-run ^TestEveryConfiguration$ .")
	guarantees := map[string]func(t *testing.T, p *path){
		"a miss loads, a hit does not":        hitAndMiss,
		"one load for all":                    oneLoad,
		"an invalidation during a load":       invalidationDuringALoad,
		"a stale value and an invalidation":   invalidationOfAStaleValue,
		"the end of a value":                  endOfAValue,
		"failures reach all and leave no one": failuresAreWhole,
		"the last reader cancels":             lastReaderCancels,
		"absences":                            absences,
		"writes that store":                   putAndRefresh,
		"close":                               closeDuringALoad,
	}
	for name, change := range configurations() {
		t.Run(name, func(t *testing.T) {
			for kind, newStore := range storeKinds() {
				for what, guarantee := range guarantees {
					for how, read := range resultReads[int]() {
						bubble(t, what+"/"+kind+"/"+how, func(t *testing.T) {
							p := newPath(t, newStore(t), change)
							p.reading = read
							guarantee(t, p)
							wantIdle(t, p.scope)
						})
					}
				}
			}
			bubble(t, "an outage of the store", func(t *testing.T) { outageOfTheStore(t, change) })
		})
	}
}

func hitAndMiss(t *testing.T, p *path) {
	src := newSource(1)
	p.fill(src.load)
	got, err := p.read(src.load)
	wantResult(t, "hit", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore})
	got, err = p.reading(t.Context(), p.scope, "k:2", src.load)
	wantResult(t, "another key", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
	wantLoads(t, &src.loads, 2)
}

func oneLoad(t *testing.T, p *path) {
	src := newGated(1)
	var readers []<-chan result[readthrough.Result[int]]
	for range 20 {
		readers = append(readers, async(func() (readthrough.Result[int], error) { return p.read(src.load) }))
	}
	synctest.Wait()
	close(src.gate)
	for _, reader := range readers {
		r := <-reader
		wantResult(t, "reader", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
	}
	wantLoads(t, &src.loads, 1)
}

// By key and by prefix, for who began before it, who joins after it, and the store.
func invalidationDuringALoad(t *testing.T, p *path) {
	for _, how := range invalidations {
		src := newGated(1)
		before := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		src.set(2)
		require.NoError(t, how.do(t.Context(), p.scope))
		after := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		close(src.gate)
		r := <-before
		wantResult(t, "before", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
		r = <-after
		assert.NoError(t, r.err, "after")
		assert.Equal(t, 2, r.value.Value, "after")
		wantIdle(t, p.scope)
		if v, ok := stored(t, p.store, "k:1"); ok {
			assert.Equal(t, 2, v, "what is stored")
		}
		p.invalidateNow()
	}
}

// Whatever is done with a value that is too old, nobody gets it who begins after
// an invalidation: not if the source fails, nor if it is slow.
func invalidationOfAStaleValue(t *testing.T, p *path) {
	for _, how := range invalidations {
		for _, age := range []time.Duration{45 * time.Second, time.Minute, 90 * time.Second, 3 * time.Minute} {
			src := newSource(1)
			p.fill(src.load)
			time.Sleep(age)
			src.set(2)
			src.take(time.Minute)
			src.fail(errDatabase)
			before := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
			time.Sleep(5 * time.Second) // longer than a soft timeout
			require.NoError(t, how.do(t.Context(), p.scope))
			r := <-async(func() (readthrough.Result[int], error) { return p.read(src.load) })
			assert.ErrorIs(t, r.err, errDatabase, "after the invalidation: got %+v", r.value)
			if r := <-before; r.err == nil {
				assert.Equal(t, 1, r.value.Value, "before the invalidation")
			}
			time.Sleep(time.Minute)
			wantIdle(t, p.scope)
			p.invalidateNow()
		}
	}
}

// A value is served until its TTL ends, and not at all when the longest time is
// over for which it may be kept.
func endOfAValue(t *testing.T, p *path) {
	src := newSource(1)
	p.fill(src.load)
	src.set(2)
	time.Sleep(30*time.Second - 1)
	got, err := p.read(src.load)
	wantResult(t, "young", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore, Age: 30*time.Second - 1})
	time.Sleep(30*time.Second + time.Hour + 1)
	got, err = p.read(src.load)
	wantResult(t, "over", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromLoad})
}

func failuresAreWhole(t *testing.T, p *path) {
	for _, failure := range failures {
		var readers []<-chan result[readthrough.Result[int]]
		gate := make(chan struct{})
		for range 3 {
			readers = append(readers, async(func() (readthrough.Result[int], error) {
				return p.read(func(context.Context) (int, error) { <-gate; return 0, failure.fail() })
			}))
		}
		synctest.Wait()
		before := p.scope.Stats().Loads
		close(gate)
		for _, reader := range readers {
			r := <-reader
			assert.True(t, failure.check(r.err), "%s: got %+v and error %v", failure.name, r.value, r.err)
		}
		wantIdle(t, p.scope)
		assert.Equal(t, int64(1), p.scope.Stats().Loads-before, "%s: loads", failure.name)
		p.invalidateNow() // which forgets it
		p.fill(newSource(1).load)
		p.invalidateNow()
	}
}

func lastReaderCancels(t *testing.T, p *path) {
	src := newGated(1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := p.reading(ctx, p.scope, "k:1", src.load)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	wantIdle(t, p.scope)
	close(src.gate)
	p.fill(src.load)
}

func absences(t *testing.T, p *path) {
	src := newSource(1)
	p.fill(src.load)
	time.Sleep(2 * time.Minute)
	src.fail(readthrough.ErrNotFound)
	got, err := p.read(src.load)
	assert.ErrorIs(t, err, readthrough.ErrNotFound, "got %+v", got)
	synctest.Wait()
	if v, ok := stored(t, p.store, "k:1"); ok {
		assert.Nil(t, v, "what is stored")
	}
	p.invalidateNow()
	src.fail(nil)
	p.fill(src.load)
}

func putAndRefresh(t *testing.T, p *path) {
	src := newSource(1)
	p.fill(src.load)
	value, err := readthrough.Put(t.Context(), p.scope, "k:1", writing(src, 2, time.Second))
	want(t, "Put", value, err, 2)
	got, err := p.read(src.load)
	wantResult(t, "after the put", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
	time.Sleep(time.Second)
	src.set(3)
	value, err = readthrough.Refresh(t.Context(), p.scope, "k:1", src.load)
	want(t, "Refresh", value, err, 3)
	got, err = p.read(src.load)
	wantResult(t, "after the refresh", got, err, readthrough.Result[int]{Value: 3, Source: readthrough.FromStore})
	wantLoads(t, &src.loads, 2)
}

func closeDuringALoad(t *testing.T, p *path) {
	if _, ok := p.store.(*double); !ok { // which is not closed with its cache
		p.fill(newSource(1).load)
	}
	time.Sleep(2 * time.Minute)
	src := newGated(1)
	reader := async(func() (readthrough.Result[int], error) { return p.reading(t.Context(), p.scope, "k:2", src.load) })
	old := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
	synctest.Wait()
	assert.NoError(t, p.cache.Close())
	r := <-reader
	assert.ErrorIs(t, r.err, readthrough.ErrClosed, "got %+v", r.value)
	if r := <-old; r.err != nil {
		assert.ErrorIs(t, r.err, readthrough.ErrClosed, "got %+v, want a value or ErrClosed", r.value)
	}
}

// Reads survive the store: what it does not answer is loaded, and what was loaded
// before is not needed.
func outageOfTheStore(t *testing.T, change func(*readthrough.ScopeOptions)) {
	store := plain(newStore(t))
	p := newPath(t, store, change)
	src := newSource(1)
	p.fill(src.load)
	time.Sleep(2 * time.Minute)
	store.failAll(faultError)
	for i := range 10 {
		src.set(i)
		got, err := p.read(src.load)
		wantResult(t, "during the outage", got, err, readthrough.Result[int]{Value: i, Source: readthrough.FromLoad})
	}
	store.heal()
	time.Sleep(time.Minute)
	src.fail(errDatabase)
	_, err := p.reading(t.Context(), p.scope, "k:2", src.load)
	assert.ErrorIs(t, err, errDatabase, "the source fails")
	wantIdle(t, p.scope)
}

// configurations returns every meaningful combination of the options about when a
// value is served and loaded. What is refused is in TestBadScopes.
func configurations() map[string]func(*readthrough.ScopeOptions) {
	type part struct {
		name   string
		change func(*readthrough.ScopeOptions)
	}
	parts := [][]part{
		{
			{"plain", func(*readthrough.ScopeOptions) {}},
			{"revalidate", func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Minute }},
			{"on error", func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }},
			{"revalidate, on error", func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Minute, time.Hour }},
			{"on error, soft", func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = time.Hour, time.Second }},
			{"revalidate, on error, soft", func(so *readthrough.ScopeOptions) {
				so.StaleWhileRevalidate, so.StaleIfError, so.SoftLoadTimeout = time.Minute, time.Hour, time.Second
			}},
		},
		{
			{"", func(*readthrough.ScopeOptions) {}},
			{", ahead", func(so *readthrough.ScopeOptions) { so.RefreshAheadFactor = 0.5 }},
			{", lottery", func(so *readthrough.ScopeOptions) { so.XFetchBeta = 1 }},
		},
		{
			{"", func(*readthrough.ScopeOptions) {}},
			{", keeps errors", func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Minute }},
		},
		{
			{"", func(*readthrough.ScopeOptions) {}},
			{", limited", func(so *readthrough.ScopeOptions) { so.MaxLoads, so.LoadTimeout = 1, 10*time.Minute }},
			{", no absences", func(so *readthrough.ScopeOptions) { so.NegativeTTL = -1 }},
		},
	}
	all := map[string]func(*readthrough.ScopeOptions){"": func(*readthrough.ScopeOptions) {}}
	for _, choices := range parts {
		next := make(map[string]func(*readthrough.ScopeOptions))
		for name, change := range all {
			for _, choice := range choices {
				next[name+choice.name] = func(so *readthrough.ScopeOptions) { change(so); choice.change(so) }
			}
		}
		all = next
	}
	return all
}
