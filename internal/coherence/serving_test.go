//go:build unix

package coherence_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// servings are the options of scopes that serve what is older than its TTL, or load
// ahead of it: the rows of the third table.
var servings = []struct {
	serving

	name string
	ttl  time.Duration
}{
	{serving{StaleWhileRevalidate: 5 * time.Second}, "stale while revalidate", 20 * time.Millisecond},
	{serving{StaleIfError: 5 * time.Second, SoftLoadTimeout: 2 * time.Millisecond}, "stale if error, soft timeout", 20 * time.Millisecond},
	{serving{RefreshAheadFactor: 0.3}, "refresh ahead", 50 * time.Millisecond},
	{serving{XFetchBeta: 20}, "XFetch", 100 * time.Millisecond},
	{serving{
		StaleWhileRevalidate: 30 * time.Millisecond, StaleIfError: 5 * time.Second, SoftLoadTimeout: 2 * time.Millisecond, RefreshAheadFactor: 0.5,
	}, allServing, 30 * time.Millisecond},
}

// allServing has all options that go together.
const allServing = "all together"

// serverAway is the scenario in which the server hangs now and then.
const serverAway = "server away"

const servingTable = "Serving beyond the TTL and loading ahead, with loads by hand, writes that store, conditional loads and outages of the source: stale / reads"

// TestServing checks G1 and G2 in fleets whose entries are all due soon, and are
// served meanwhile.
func TestServing(t *testing.T) {
	columns := []string{"3 processes", "hot keys", "hot keys, slow network", "duplicates", "resets", serverAway}
	for _, row := range servings {
		for _, column := range columns {
			if !*fullFlag && column != "3 processes" && (row.name != allServing || !slices.Contains([]string{"duplicates", serverAway}, column)) {
				continue
			}
			t.Run(row.name+"/"+column, func(t *testing.T) {
				if row.name != allServing || column == "3 processes" {
					beyondTheFirst(t)
				}
				s := baseline(t, subjectOurs)
				s.until = append(activity(), aimsOf(row.serving)...)
				s.Serving, s.TTL, s.RetryAfter, s.Slow = row.serving, row.ttl, 20*time.Millisecond, 5
				s.Mix.Refresh, s.Mix.Put = 2, 2
				for _, c := range calm {
					if c.name == column {
						c.edit(&s)
					}
				}
				if column == serverAway {
					s.disturb = away
					s.ProviderTimeout, s.InvalidateTimeout, s.BreakerCooldown = 50*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
				}
				s.disturb = both(outages, s.disturb)
				o := run(t, s)
				putCell(o, servingTable, row.name, column)
				o.wantNothing(t)
				o.wantAims(t)
			})
		}
	}
}

// aimsOf are what a run has to bring before it proves anything about a serving.
func aimsOf(s serving) []aim {
	aims := []aim{
		some("loads that found no change", func(c *counters) *word { return &c.unmodified }),
		some("values that writes store", func(c *counters) *word { return &c.put }),
		some("reads that the source failed", func(c *counters) *word { return &c.sourceErrors }),
	}
	if s.StaleWhileRevalidate+s.StaleIfError > 0 {
		aims = append(aims, some("stale values served", served))
	}
	if s.StaleWhileRevalidate > 0 || s.RefreshAheadFactor > 0 || s.XFetchBeta > 0 {
		aims = append(aims, some("loads in the background", func(c *counters) *word { return &c.refreshes }))
	}
	return aims
}

func served(c *counters) *word { return &c.served }

// kept returns for how long a value is stored.
func (c *config) kept() time.Duration {
	return c.TTL + max(c.Serving.StaleWhileRevalidate, c.Serving.StaleIfError)
}

// both disturbs a fleet in two ways at once.
func both(first, second func(*fleet, <-chan struct{})) func(*fleet, <-chan struct{}) {
	if second == nil {
		return first
	}
	return func(f *fleet, stop <-chan struct{}) {
		done := make(chan struct{})
		go func() { defer close(done); first(f, stop) }()
		second(f, stop)
		<-done
	}
}

// outages has the source fail now and then.
func outages(f *fleet, stop <-chan struct{}) {
	defer f.shared.down.Store(0)
	for down := int64(1); ; down = 1 - down {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(20+rand.IntN(60)*int(4-3*down)) * time.Millisecond): // down for a fourth of the time
			f.shared.down.Store(down)
		}
	}
}

// away has the server hang now and then.
func away(f *fleet, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(100+rand.IntN(200)) * time.Millisecond):
		}
		f.server().Pause()
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		f.server().Resume()
	}
}

// reading is a load of reads alone, of keys whose values are stored.
func reading(t *testing.T, s serving, ttl time.Duration) scenario {
	t.Helper()
	r := baseline(t, subjectOurs)
	r.Serving, r.TTL, r.RetryAfter = s, ttl, 20*time.Millisecond
	r.Keys, r.Families, r.Skew, r.Writers, r.Hold, r.Patient = 60, 6, 1, 0, 0, true
	r.Mix = mix{Bulk: 14, Burst: 6}
	r.LeaseTTL, r.ProviderTimeout = time.Minute, patience
	r.prepare = storeAll
	return r
}

// storeAll stores all keys, as if they had been loaded a little ago.
func storeAll(f *fleet) {
	f.t.Helper()
	client := newClient(&config{Addrs: []string{f.servers[0].Addr()}, Subject: f.s.Subject}, f.shared)
	defer client.Close()
	store, err := newStore(&f.s.config, client)
	require.NoError(f.t, err)
	var items []provider.Item
	for i, key := range keyNames(&f.s.config) {
		items = append(items, provider.Item{
			Key:   provider.Key{Scope: scopeName, Name: key},
			Entry: provider.Entry{Value: value{Version: f.shared.source[i].Load()}, LoadedAt: time.Now(), FreshUntil: time.Now()},
			TTL:   time.Hour,
		})
	}
	require.NoError(f.t, store.SetMany(context.Background(), items))
}

// TestOneRefresh checks that three processes that read the same keys load each of
// them once for each expiry.
func TestOneRefresh(t *testing.T) {
	s := reading(t, serving{StaleWhileRevalidate: time.Hour}, 5*time.Millisecond)
	s.Numbered = true
	for p := range s.Processes {
		s.until = append(s.until, aim{fmt.Sprintf("loads in the background and stale values of process %d", p), func(f *fleet) bool {
			c := &f.shared.process[p]
			return c.refreshes.Load() > 0 && c.served.Load() > 0
		}})
	}
	o := run(t, s)
	assert.Zero(t, o.sum(func(c *counters) *word { return &c.violations }), "loads beside others, such as: %s", o.samples)
	assert.Zero(t, o.sum(func(c *counters) *word { return &c.failed }), "reads failed")
	o.wantAims(t)
}

// TestSourceOutage checks that no read fails for want of the source while its value
// is stored, in whatever process.
func TestSourceOutage(t *testing.T) {
	s := reading(t, serving{StaleIfError: time.Hour}, 20*time.Millisecond)
	s.disturb = outages
	s.until = []aim{{"1,000 stale values served", func(f *fleet) bool { return f.sum(served) >= 1000 }}}
	o := run(t, s)
	assert.Zero(t, o.sum(func(c *counters) *word { return &c.failed }), "reads failed")
	t.Logf("%d reads, %d served stale, %d loads", o.sum(func(c *counters) *word { return &c.reads }), o.sum(served), o.sum(func(c *counters) *word { return &c.loads }))
	o.wantAims(t)
}
