package readthrough_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// TestClocks: what a process reads that another one has stored, whose clock is ahead or behind.
func TestClocks(t *testing.T) {
	const ttl = 10 * time.Second
	serves := func(change func(*readthrough.ScopeOptions)) readthrough.ScopeOptions {
		o := readthrough.ScopeOptions{TTL: ttl, Jitter: -1}
		change(&o)
		return o
	}
	revalidates := serves(func(o *readthrough.ScopeOptions) { o.StaleWhileRevalidate = time.Hour })
	falls := serves(func(o *readthrough.ScopeOptions) { o.StaleIfError = time.Hour })
	ahead := serves(func(o *readthrough.ScopeOptions) { o.RefreshAheadFactor = 0.5 })
	for name, test := range map[string]struct {
		options readthrough.ScopeOptions
		ahead   time.Duration // the clock of the other process
		source  readthrough.Source
		age     time.Duration
		loads   int64
	}{
		"the same clock":               {revalidates, 0, readthrough.FromStore, time.Second, 0},
		"a little ahead":               {revalidates, 2 * time.Second, readthrough.FromStore, 0, 0},
		"ahead":                        {revalidates, 10 * time.Minute, readthrough.FromStale, 0, 1},
		"behind":                       {revalidates, -10 * time.Minute, readthrough.FromStale, 10*time.Minute + time.Second, 1},
		"if error, a little ahead":     {falls, 2 * time.Second, readthrough.FromStore, 0, 0},
		"if error, ahead":              {falls, 10 * time.Minute, readthrough.FromLoad, 0, 1},
		"if error, behind":             {falls, -10 * time.Minute, readthrough.FromLoad, 0, 1},
		"early loads, a little ahead":  {ahead, 2 * time.Second, readthrough.FromStore, 0, 0},
		"early loads, ahead":           {ahead, 10 * time.Minute, readthrough.FromLoad, 0, 1},
		"early loads, a little behind": {ahead, -5 * time.Second, readthrough.FromStore, 6 * time.Second, 1},
		"early loads, behind":          {ahead, -10 * time.Minute, readthrough.FromLoad, 0, 1},
	} {
		for storeName, store := range map[string]func(t *testing.T) (provider.CacheProvider, func(provider.Entry)){
			"no leases": func(t *testing.T) (provider.CacheProvider, func(provider.Entry)) {
				t.Helper()
				s := plain(newStore(t))
				return s, func(e provider.Entry) {
					require.NoError(t, s.below.Set(t.Context(), provider.Key{Scope: "test", Name: "k"}, e, time.Hour))
				}
			},
			"leases": func(t *testing.T) (provider.CacheProvider, func(provider.Entry)) {
				t.Helper()
				s := &leaseStore{newLeaseServer(), new(network)}
				return s, func(e provider.Entry) {
					s.slots[provider.Key{Scope: "test", Name: "k"}] = slot{entry: e, hasEntry: true, until: time.Now().Add(time.Hour)}
				}
			},
		} {
			bubble(t, name+"/"+storeName, func(t *testing.T) {
				store, put := store(t)
				s := newScope(t, on(store), with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { *o = test.options }))
				loaded := time.Now().Add(test.ahead).Round(0)
				put(provider.Entry{Value: 1, LoadedAt: loaded, FreshUntil: loaded.Add(ttl)})
				time.Sleep(time.Second)
				src := newSource(2)
				r, err := readthrough.WrapResult(t.Context(), s, "k", src.load)
				require.NoError(t, err)
				assert.Equal(t, test.source, r.Source)
				assert.Equal(t, test.age, r.Age)
				synctest.Wait()
				assert.Equal(t, test.loads, src.loads.Load(), "loads")
				time.Sleep(time.Second)
				for range 3 { // what was loaded is fresh
					r, err = readthrough.WrapResult(t.Context(), s, "k", src.load)
					require.NoError(t, err)
					assert.GreaterOrEqual(t, r.Age, time.Duration(0))
					assert.Equal(t, readthrough.FromStore, r.Source)
				}
				synctest.Wait()
				assert.Equal(t, test.loads, src.loads.Load(), "loads later")
			})
		}
	}
}
