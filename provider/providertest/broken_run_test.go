package providertest

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/race"
	"github.com/readthrough/readthrough/provider"
)

// allCases returns the cases of the suite by "group/case".
func allCases(t *testing.T) map[string]testCase {
	t.Helper()
	all := map[string]testCase{}
	for _, g := range append(groups(), sharedGroups()...) {
		for _, c := range g.cases {
			name := g.name + "/" + c.name
			_, twice := all[name]
			assert.False(t, twice, "there are two cases %s", name)
			all[name] = c
		}
	}
	return all
}

// record runs a case in a bubble and returns what it reports.
func record(t *testing.T, c testCase, clk clock, newProvider func() provider.CacheProvider) (failures []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{t: t}
		runCase(r, newProvider(), c, clk)
		failures = r.reported()
		time.Sleep(time.Minute) // let what a broken store does behind the back of its callers end
	})
	return failures
}

func (b breakage) store() provider.CacheProvider {
	r := newReference()
	if b.encoding {
		r = newEncoding()
	}
	store := breakReference(r)
	b.apply(store)
	return store
}

// TestBrokenStoresAreCaught runs, for every broken store, the cases that are
// meant for it. What a case does in real time is run in a bubble too, where it
// costs no time.
func TestBrokenStoresAreCaught(t *testing.T) {
	if race.Enabled {
		t.Skip("a hundred broken stores take minutes under the race detector; to run it: go test -run ^TestBrokenStoresAreCaught$ ./provider/providertest")
	}
	all := allCases(t)
	for _, b := range breakages() {
		t.Run(b.name, func(t *testing.T) {
			clocks := []clock{exactTime, realTime}
			if b.exactOnly {
				clocks = clocks[:1]
			}
			for _, name := range b.cases {
				c, ok := all[name]
				require.True(t, ok, "there is no case %s", name)
				for _, clk := range clocks {
					wantCaught(t, b, name, c, record(t, c, clk, b.store))
				}
			}
		})
	}
}

// wantCaught checks that a case failed for its own reason and explained itself.
func wantCaught(t *testing.T, b breakage, name string, c testCase, failures []string) {
	t.Helper()
	if !assert.NotEmpty(t, failures, "case %s did not catch it", name) {
		return
	}
	first := failures[0]
	assert.Contains(t, first, c.rule.text, "case %s does not explain itself", name)
	assert.Contains(t, first, c.rule.source, "case %s does not explain itself", name)
	isPanic := slices.ContainsFunc(failures, func(f string) bool { return strings.HasPrefix(f, "panic:") })
	assert.Equal(t, b.panics, isPanic, "case %s: reported as a panic: %s", name, first)
	assert.NotContains(t, first, "has not ended", "case %s hangs", name)
}

// TestEveryCaseCatchesSomething keeps cases out that cannot fail.
func TestEveryCaseCatchesSomething(t *testing.T) {
	caught := map[string]bool{}
	for _, b := range breakages() {
		for _, name := range b.cases {
			caught[name] = true
		}
	}
	for _, b := range brokenMembers() {
		for _, name := range b.cases {
			caught[name] = true
		}
	}
	for name, c := range allCases(t) {
		assert.True(t, caught[name], "no broken store is caught by case %s", name)
		assert.GreaterOrEqual(t, len(c.rule.text), 40, "case %s does not explain itself", name)
		assert.Regexp(t, `\.$`, c.rule.text, "case %s does not explain itself", name)
		assert.Contains(t, c.rule.source, ".go:", "case %s does not explain itself", name)
	}
}

// TestUnbrokenStorePasses makes sure that it is the replaced methods that break a
// broken store. What the cases do where time is exact, the references show.
func TestUnbrokenStorePasses(t *testing.T) {
	proofs.Unraced(t, "-run ^TestUnbrokenStorePasses$ ./provider/providertest")
	for _, encoding := range []bool{false, true} {
		b := breakage{encoding: encoding, apply: func(*broken) {}}
		for name, c := range allCases(t) {
			failures := record(t, c, realTime, b.store)
			assert.Empty(t, failures, "case %s fails for a correct store", name)
		}
	}
}

// hangs is a store whose Get does not return until it is released, and then fails.
type hangs struct {
	*reference

	release chan struct{}
}

func (h hangs) Get(context.Context, provider.Key) (provider.Entry, bool, error) {
	<-h.release
	return provider.Entry{}, false, errOdd
}

// TestHangingStore: a call that never returns fails its case, with the stacks.
func TestHangingStore(t *testing.T) {
	for _, clk := range []clock{exactTime, realTime} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{t: t}
			release := make(chan struct{})
			runCase(r, hangs{newReference(), release}, allCases(t)["get/nothing-beside-something"], clk)
			close(release)
			synctest.Wait() // what the case reports now is too late
			failures := r.reported()
			if assert.Len(t, failures, 1, "reports of a hanging store") {
				assert.Contains(t, failures[0], "hangs.Get", "reports of a hanging store")
			}
		})
	}
}

// TestPanickingStore: a panic fails its case, in the goroutines of a case too.
func TestPanickingStore(t *testing.T) {
	all := allCases(t)
	for _, name := range []string{"get/nothing", "concurrent/right-key"} {
		failures := record(t, all[name], exactTime, func() provider.CacheProvider {
			b := breakReference(newReference())
			b.get = func(context.Context, provider.Key) (provider.Entry, bool, error) { panic("broken store") }
			return b
		})
		if assert.NotEmpty(t, failures, "case %s: reports of a panicking store", name) {
			assert.Contains(t, failures[0], "panic: broken store", "case %s: reports of a panicking store", name)
		}
	}
}

// TestGoexitingStore: a store that ends the goroutine fails its case.
func TestGoexitingStore(t *testing.T) {
	failures := record(t, allCases(t)["get/nothing"], exactTime, func() provider.CacheProvider {
		b := breakReference(newReference())
		b.get = func(context.Context, provider.Key) (provider.Entry, bool, error) {
			runtime.Goexit()
			return provider.Entry{}, false, nil
		}
		return b
	})
	if assert.Len(t, failures, 1, "reports of a store that ends the goroutine") {
		assert.Contains(t, failures[0], "ended the goroutine", "reports of a store that ends the goroutine")
	}
}

// TestNilStore: a nil store is reported and not called.
func TestNilStore(t *testing.T) {
	r := &recorder{t: t}
	runCase(r, nil, allCases(t)["get/nothing"], realTime)
	failures := r.reported()
	if assert.Len(t, failures, 1, "reports of a nil store") {
		assert.Contains(t, failures[0], "nil store", "reports of a nil store")
	}
}

// TestFailuresAreFew: a store that gets everything wrong floods no log.
func TestFailuresAreFew(t *testing.T) {
	failures := record(t, allCases(t)["keys/every-byte"], exactTime, func() provider.CacheProvider {
		b := breakReference(newReference())
		b.get = func(context.Context, provider.Key) (provider.Entry, bool, error) { return provider.Entry{}, false, nil }
		return b
	})
	if assert.Len(t, failures, mostFailures+1, "reports") {
		assert.Contains(t, failures[mostFailures], "not shown", "the last report")
	}
}

// TestSkippedCases: a capability that is missing is named.
func TestSkippedCases(t *testing.T) {
	for name, want := range map[string]string{
		"batch/many":            "provider.Batcher",
		"inspect/has":           "provider.Inspector",
		"close/twice":           "io.Closer",
		"close/get-after":       "io.Closer",
		"get/nothing":           "",
		"inprocess/never-waits": "provider.InProcess",
		"getvalue/like-get":     "provider.ValueGetter",
		"acquire/grants":        "provider.Leaser",
		"refresh/ends":          "provider.Refresher",
		"renew/ends":            "provider.Renewer",
		"hold/removes":          "provider.Holder",
		"getttl/left":           "provider.TTLGetter",
		"announce/own":          "provider.Announcer",
		"shared/told":           "provider.Announcer",
	} {
		r := &recorder{t: t}
		skipped := runCase(r, plain{newReference()}, allCases(t)[name], realTime)
		assert.Equal(t, want == "", skipped == "", "case %s on a store without capabilities", name)
		assert.Contains(t, skipped, want, "case %s on a store without capabilities", name)
		assert.Empty(t, r.reported(), "case %s on a store without capabilities", name)
	}
}

// holdsOnly, refreshesOnly and renewsOnly are stores with a capability that needs leases, and without leases.
type (
	holdsOnly struct {
		plain
		provider.Holder
	}
	refreshesOnly struct {
		plain
		provider.Refresher
	}
	renewsOnly struct {
		plain
		provider.Renewer
	}
)

// TestCapabilitiesWithoutLeases: a store is not skipped if it holds what cannot be leased, has refresh
// leases that nobody can fill, or renews leases that nobody can take.
func TestCapabilitiesWithoutLeases(t *testing.T) {
	for name, store := range map[string]func(r *reference) provider.CacheProvider{
		"hold/removes":  func(r *reference) provider.CacheProvider { return holdsOnly{plain{r}, r} },
		"refresh/force": func(r *reference) provider.CacheProvider { return refreshesOnly{plain{r}, r} },
		"renew/several": func(r *reference) provider.CacheProvider { return renewsOnly{plain{r}, r} },
	} {
		t.Run(name, func(t *testing.T) {
			failures := record(t, allCases(t)[name], exactTime, func() provider.CacheProvider { return store(newReference()) })
			if assert.Len(t, failures, 1, "reports") {
				assert.Contains(t, failures[0], "no provider.Leaser", "reports")
			}
		})
	}
}

// slowly has each call of the store that the cases wait with take its time before
// it has its effect, and after.
func slowly(b *broken) {
	slow := func() func() {
		time.Sleep(3 * time.Millisecond)
		return func() { time.Sleep(3 * time.Millisecond) }
	}
	b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
		defer slow()()
		return b.reference.Get(ctx, key)
	}
	b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
		defer slow()()
		return b.reference.Set(ctx, key, entry, ttl)
	}
	b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
		defer slow()()
		return b.reference.Acquire(ctx, keys, ttl)
	}
	b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
		defer slow()()
		return b.reference.Fill(ctx, fills)
	}
	b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
		defer slow()()
		return b.reference.Refresh(ctx, requests, ttl)
	}
	b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
		defer slow()()
		return b.reference.Hold(ctx, targets, token, ttl)
	}
}

// TestSlowStoreInRealTime: in real time, no case depends on how fast a store is.
func TestSlowStoreInRealTime(t *testing.T) {
	for name, c := range allCases(t) {
		if strings.HasSuffix(name, "/many") || name == "model/random-calls" || strings.Contains(name, "concurrent/") {
			continue // thousands of calls: they would only reach the limit of a case
		}
		failures := record(t, c, realTime, func() provider.CacheProvider {
			b := breakReference(newReference())
			slowly(b)
			return b
		})
		assert.Empty(t, failures, "case %s fails for a slow store", name)
	}
}
